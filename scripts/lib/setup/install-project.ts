import { createInterface } from 'node:readline/promises'
import { harmless } from '../shared/foreign-text.ts'
import type { Authorization } from './authorized-key.ts'
import type { Hop } from './hops.ts'
import { installHook } from './install-hook.ts'
import { commandForRoot, hasNewFiles, type Project } from './project.ts'
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
 * Installs the hook with the settings of a project, and copies its other files for the server. At a terminal it waits
 * until root has done what these need.
 *
 * @param login how the server is reached, and what came of that, if it was tried; undefined for a path on this machine
 */
export async function installProject(
  settings: SetupSettings,
  { settingsFile: file, files, needsRoot }: Project,
  sshFolder: string | undefined,
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
  showInstallation(installed)
  const rows: Row[] = []
  let isRootDone = true
  if (needsRoot) {
    const command = commandForRoot(remote, login)
    // Files that were there before may have been installed before.
    if (!hasNewFiles(installed.output)) rows.push(['as root', 'ok', `nothing new; again: ${command}`])
    else if (await isDone(command)) {
      rows.push(['as root', 'ok', 'done, as you say'])
      if (installed.exitCode !== 0) {
        console.log(`INSTALLING THE HOOK (${where}) ...`)
        installed = await install()
        showInstallation(installed)
      }
    } else {
      isRootDone = false
      rows.push(['as root', 'TO DO', `${command}\n${' '.repeat(28)}then run setup-ssh again`])
    }
  }
  const isInstalled = installed.exitCode === 0
  rows.unshift(['hook', isInstalled ? 'ok' : 'TO DO', isInstalled ? where : 'see above'])
  return { rows, exitCode: installed.exitCode, isReady: isInstalled && isRootDone }
}

/** What it says beside its announcements, which are all as they should be unless it has failed. */
function showInstallation({ exitCode: code, output }: { readonly exitCode: number; readonly output: string }): void {
  const lines = harmless(output).trimEnd().split('\n')
  const shown = code === 0 ? lines.filter(line => /^( {2}|TO DO)/.test(line)) : lines
  for (const line of shown) console.log(`  ${line.trimStart()}`)
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
