import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { readProcess } from '../shared/process-table.ts'
import { exitCode, Failure } from '../shared/program.ts'

const prefix = 'pushlive-'
const owner = 'owner'

/**
 * A folder with files that only its owner can read. The caller removes it. First this sweeps what killed runs have left.
 *
 * @throws Failure (usage) where nothing can be written there, as on a full disk; then nothing of it is left
 */
export function makePrivateFolder(filesFor: (folder: string) => Readonly<Record<string, string>>): string {
  const parent = shortTemporaryFolder()
  let folder = ''
  try {
    sweep(parent)
    folder = mkdtempSync(join(parent, prefix))
    // The owner before anything that is worth sweeping.
    const files = { [owner]: identify(process.pid) ?? '', ...filesFor(folder) }
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(folder, name), text, { mode: 0o600, flag: 'wx' })
    }
    return folder
  } catch (cause) {
    if (folder) rmSync(folder, { recursive: true, force: true })
    throw new Failure(exitCode.usage, `The temporary folder ${parent} cannot be used.`, {
      why: (cause as Error).message,
      fix: 'make room there, or let TMPDIR name a folder that can be written to',
      cause,
    })
  }
}

/**
 * The path goes into GIT_SSH_COMMAND, which a shell splits, and a space in it breaks ProxyJump. ssh puts 17 characters
 * behind the name of a socket while it makes one, and macOS takes 103 in all. git runs in the top folder of a clone.
 */
function shortTemporaryFolder(): string {
  const folder = resolve(tmpdir())
  return /^[\w./-]{1,60}$/.test(folder) ? folder : '/tmp'
}

/**
 * Removes what runs of this user have left that ended without removing it. A folder whose run may be alive stays: so do
 * those of another machine or container that shares the temporary folder, because this process cannot tell.
 */
function sweep(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue
    const folder = join(parent, name)
    try {
      const { uid, mode } = lstatSync(folder)
      if (uid !== process.getuid?.() || (mode & 0o170777) !== 0o040700) continue
      const run = readFileSync(join(folder, owner), 'utf8')
      const [, , pid = ''] = run.split(' ')
      const here = identify(process.pid)
      if (here === undefined || placeOf(run) !== placeOf(here) || identify(Number(pid)) === run) continue
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // It is none of ours, or another run has just swept it; and no leftover stops a deployment.
    }
  }
}

/**
 * `boot namespace pid start`: no two processes have the same, also after the numbers have been used up. Undefined where
 * there is no /proc, or no such process.
 */
function identify(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const namespace = readlinkSync('/proc/self/ns/pid')
    const run = readProcess(pid)
    return run && `${boot} ${namespace} ${pid} ${run.started}`
  } catch {
    return undefined
  }
}

const placeOf = (run: string) => run.split(' ').slice(0, 2).join(' ')
