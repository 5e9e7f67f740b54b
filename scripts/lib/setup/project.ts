import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { copyingServerFiles, rootScript, serverFolder } from '../protocol/server-files.ts'
import { quoteForSh } from '../shared/foreign-text.ts'
import type { Remote } from '../ssh/remote.ts'
import type { Hop } from './hops.ts'
import type { SshFolder } from './ssh-folder.ts'

/** What a project has for its server, in the current directory; `deploy init` writes it. */
export interface Project {
  readonly settingsFile: string
  /** The folder of what is copied to the server, if there is one. */
  readonly files: string | undefined
  /** Whether some of it needs root. */
  readonly needsRoot: boolean
}

/** How a server is reached; undefined for a path on this machine. */
export type Login = { readonly ssh: SshFolder; readonly hop: Hop } | undefined

/** Undefined where the current directory has no settings for a hook. */
export function findProject(): Project | undefined {
  const settingsFile = 'deploy/server.env'
  // `deploy` may be the program itself.
  if (!existsSync(settingsFile)) return undefined
  const files = existsSync('deploy/server') ? 'deploy/server' : undefined
  return { settingsFile, files, needsRoot: files !== undefined && existsSync(join(files, rootScript)) }
}

/** Whether an installation has copied files with which root has done nothing yet. */
export const hasNewFiles = (output: string) => new RegExp(`^${copyingServerFiles} `, 'm').test(output)

/** What runs a project's commands for root, in a shell on the server. @param sudo where the login is not root's */
export function commandOnServer(remote: Remote, login: Login, sudo = 'sudo'): string {
  const script = `${remote.path.replace(/^~\//, '')}/${serverFolder}/${rootScript}`
  const isRoot = login ? login.hop.server.user === 'root' : process.getuid?.() === 0
  return `${isRoot ? '' : `${sudo} `}sh ${word(script)}`
}

/** What the operator pastes into a terminal for that. */
export function commandForRoot(remote: Remote, login: Login): string {
  const command = commandOnServer(remote, login)
  if (login === undefined) return command
  // A shell here and one there read it.
  return [...login.ssh.atTerminal(login.hop).map(word), command.includes("'") ? quoteForSh(command) : command].join(' ')
}

const word = (text: string) => (/^[\w./:@%+,=-]+$/.test(text) ? text : quoteForSh(text))
