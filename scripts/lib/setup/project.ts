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

/** What the operator pastes into a terminal, to run a project's commands for root on the server. */
export function commandForRoot(
  remote: Remote,
  login: { readonly ssh: SshFolder; readonly hop: Hop } | undefined,
): string {
  const script = `${remote.path.replace(/^~\//, '')}/${serverFolder}/${rootScript}`
  const isRoot = login ? login.hop.server.user === 'root' : process.getuid?.() === 0
  const command = `${isRoot ? '' : 'sudo '}sh ${word(script)}`
  if (login === undefined) return command
  // A shell here and one there read it.
  return [...login.ssh.atTerminal(login.hop).map(word), word(script) === script ? command : quoteForSh(command)].join(
    ' ',
  )
}

const word = (text: string) => (/^[\w./:@%+,=-]+$/.test(text) ? text : quoteForSh(text))
