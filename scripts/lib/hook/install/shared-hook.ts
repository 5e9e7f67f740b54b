import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, realpathSync, type Stats, statSync, symlinkSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { flatten } from '../../shared/foreign-text.ts'
import { Failure, version } from '../../shared/program.ts'
import { replaceFile } from '../../shared/replace-file.ts'
import { thisUser } from '../folder-mode.ts'
import { existingFolder, explainNotWritable, isWritable } from '../place.ts'
import { isForeignHook, isThisProgram, placeProgram } from './hook-files.ts'

/** Below the login's home folder. All its repositories link to this file, so replacing it renews the hook of all. */
const place = '.local/lib/pushlive/post-receive'

/** The file that a login's repositories share, and why this repository has to have its own, if it has. */
interface Shared {
  readonly file: string
  readonly why?: string
}

/**
 * Finds the file that a repository is to link to. Whoever can write it can deploy anything in all of them, and a user who
 * cannot reach it would deploy nothing.
 */
export function findSharedHook(repository: string, hook: string): Shared {
  const { HOME = '' } = process.env
  const file = join(HOME, place)
  if (!isAbsolute(HOME) || !existsSync(HOME)) return { file, why: 'there is no home folder (HOME)' }
  const words = place.split('/')
  const folders = words.map((_, depth) => join(HOME, ...words.slice(0, depth)))
  const open = [repository, dirname(hook), ...folders, file].find(path => existsSync(path) && !isOwn(statSync(path)))
  if (open !== undefined) return { file, why: `others than ${thisUser()} can write ${open}` }
  const folder = existingFolder(dirname(file))
  if (!isWritable(folder)) return { file, why: explainNotWritable(folder) }
  if (isForeignHook(file) && !leadsTo(hook, file)) return { file, why: `${file} is another program` }
  return { file }
}

/** Whether only this user can write it: many have a group of their own, which has their number. */
const isOwn = ({ uid, gid, mode }: Stats) =>
  uid === process.geteuid?.() && (mode & 0o002) === 0 && ((mode & 0o020) === 0 || gid === uid)

/** Whether a hook is a link to a file that is there. */
export const leadsTo = (hook: string, file: string) =>
  isLink(hook) && existsSync(hook) && existsSync(file) && realpathSync(hook) === realpathSync(file)

export const isLink = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true

/**
 * Makes this program the shared one, unless it is, and the hook a link to it. A push meanwhile goes on with the old file.
 *
 * @returns why that cannot be, as on a file system that is mounted noexec
 */
export async function shareProgram(file: string, hook: string): Promise<string | undefined> {
  const before = readVersion(file)
  if (!isThisProgram(file)) {
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o755 })
      await placeProgram(file)
    } catch (error) {
      return error instanceof Failure ? error.message : flatten((error as Error).message)
    }
    // Said only now, because where this cannot be, nothing changes.
    console.log(`COPYING THE HOOK (${file}) ...`)
    if (before !== undefined) {
      const age = isNewer(before, version) ? ', which is newer' : ''
      console.log(`  it was ${before}${age}: all repositories of ${thisUser()} that link to it have ${version} now`)
    }
  }
  if (leadsTo(hook, file)) return undefined
  console.log(`LINKING THE HOOK (${hook}) ...`)
  await replaceFile(hook, temporary => symlinkSync(file, temporary), 0o755)
  return undefined
}

/** What a hook says of itself; undefined where there is none. */
function readVersion(hook: string): string | undefined {
  // Another program would do whatever it does.
  if (!existsSync(hook) || isForeignHook(hook)) return undefined
  const { stdout } = spawnSync(hook, ['--version'], { encoding: 'utf8', timeout: 10_000 })
  return /^pushlive post-receive (\S[^\n]{0,80})$/m.exec(stdout ?? '')?.[1] ?? 'of another version'
}

function isNewer(one: string, other: string): boolean {
  const [a = [], b = []] = [one, other].map(text => /^\d+(\.\d+)*/.exec(text)?.[0].split('.').map(Number))
  const at = a.findIndex((number, index) => number !== b[index])
  return b.length > 0 && at !== -1 && (a[at] ?? 0) > (b[at] ?? 0)
}
