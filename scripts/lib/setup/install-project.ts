import { createInterface } from 'node:readline/promises'
import { $ as zx } from 'zx/core'
import { harmless } from '../shared/foreign-text.ts'
import type { Authorization } from './authorized-key.ts'
import type { Hop } from './hops.ts'
import { type Installed, installHook } from './install-hook.ts'
import { commandForRoot, commandOnServer, hasNewFiles, type Login, type Project } from './project.ts'
import type { SetupSettings } from './settings.ts'
import type { SshFolder } from './ssh-folder.ts'
import type { Row } from './summary.ts'

export interface InstalledProject {
  readonly rows: readonly Row[]
  /** Of the installation. */
  readonly exitCode: number
  /** Whether nothing is left to do before a deployment. */
  readonly isReady: boolean
}

/**
 * Installs the hook with the settings of a project, and copies its other files for the server. Root does what these need
 * where it may; at a terminal it otherwise waits until that is done. Then it goes on, also where git was not there.
 *
 * @param asRoot whether to run the commands for root
 * @param login how the server is reached, and what came of that, if it was tried; undefined for a path on this machine
 */
export async function installProject(
  settings: SetupSettings,
  { settingsFile: file, files, needsRoot }: Project,
  { sshFolder, asRoot }: { readonly sshFolder: string | undefined; readonly asRoot: boolean },
  login?: { readonly ssh: SshFolder; readonly hop: Hop; readonly authorization: Authorization | undefined },
): Promise<InstalledProject> {
  const { STAGING_REMOTE_REPO: remote } = settings
  const outcome = login?.authorization?.outcome
  if (outcome === 'no access' || outcome === 'no commands') {
    const row: Row = ['hook', 'TO DO', 'once you can log in there, run setup-ssh again']
    return { rows: [row], exitCode: 0, isReady: false }
  }
  const where = `${login ? `${login.hop.place}:` : ''}${remote.path}`
  console.log(`INSTALLING THE HOOK (${where}) ...`)
  const install = () => installHook(settings, { file, merges: true, files, sshFolder }, false)
  let installed = await install()
  const rows: Row[] = []
  let isRootDone = true
  if (needsRoot) {
    const command = commandForRoot(remote, login)
    const isFirst = hasNewFiles(installed.output)
    // Files that were there before may have been installed before.
    if (!isFirst && !asRoot) rows.push(['as root', 'ok', `nothing new; again: ${command}`])
    else if (asRoot ? await runAsRoot(settings, login) : await isDone(command)) {
      rows.push(['as root', 'ok', asRoot ? 'done' : 'done, as you say'])
      // What lacked was git, mostly, which these commands install.
      if (installed.exitCode !== 0) installed = await install()
    } else {
      isRootDone = false
      const again = asRoot ? 'see above; by hand:' : ''
      rows.push([
        'as root',
        'TO DO',
        `${again && `${again}\n${' '.repeat(28)}`}${command}\n${' '.repeat(28)}then run setup-ssh again`,
      ])
    }
  }
  showInstallation(installed)
  const isInstalled = installed.exitCode === 0
  rows.unshift(['hook', isInstalled ? 'ok' : 'TO DO', isInstalled ? where : 'see above'])
  return { rows, exitCode: installed.exitCode, isReady: isInstalled && isRootDone }
}

/** What it says beside its announcements, which are all as they should be unless it has failed. */
function showInstallation({ exitCode: code, output, errors }: Installed): void {
  const lines = harmless(output).trimEnd().split('\n')
  const shown = code === 0 ? lines.filter(line => /^( {2}|TO DO)/.test(line)) : lines
  for (const line of shown) console.log(`  ${line.trimStart()}`)
  process.stderr.write(harmless(errors))
}

/** Shows nothing of it where it works. sudo asks for a password at a terminal only. */
async function runAsRoot({ STAGING_REMOTE_REPO: remote }: SetupSettings, login: Login): Promise<boolean> {
  const command = commandOnServer(remote, login, 'sudo -n')
  console.log(`RUNNING WHAT NEEDS ROOT (${command}) ...`)
  const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const words = login ? [...login.ssh.login(login.hop), command] : ['sh', '-c', command]
  const { ok, stdout, stderr } = await $`exec ${words}`
  if (ok) return true
  const asksForPassword = /^sudo: .*password/m.test(stderr) && process.stdin.isTTY && process.stdout.isTTY
  if (!asksForPassword) {
    console.log(harmless(`${stdout}${stderr}`.trimEnd()))
    return false
  }
  const asked = commandOnServer(remote, login)
  const atTerminal = login ? [...login.ssh.atTerminal(login.hop), asked] : ['sh', '-c', asked]
  return (await $({ stdio: 'inherit' })`exec ${atTerminal}`).ok
}

/** At a terminal. */
async function isDone(command: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false
  console.log(`RUN THIS IN ANOTHER TERMINAL, for what needs root (deploy/server/root.sh):\n  ${command}`)
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    // Ctrl-C and Ctrl-D make it reject.
    await terminal.question('Press Enter when it is done: ')
    return true
  } catch {
    console.log()
    return false
  } finally {
    terminal.close()
  }
}
