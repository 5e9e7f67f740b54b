import { chmodSync, lstatSync, mkdirSync, readdirSync, realpathSync, renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { foldersAbove, fromText, toBytes, toText } from './git-paths.ts'
import { mountPoints } from './mount-points.ts'
import type { HookSettings } from './settings.ts'

/*
 * What is left in a release's folder when it is used again. All paths are bytes (git-paths.ts), and relative to the folder.
 * No link is followed, and no other file system is entered.
 */

/** The paths of the settings that stay in a release. */
export function pathsThatStay(
  { PATH_TO_GIT_WORK_TREE, PATH_TO_VENV, KEEP_PATHS, SHARED_PATHS }: HookSettings,
  isVenvKept: boolean,
): string[] {
  return [
    ...KEEP_PATHS,
    ...SHARED_PATHS,
    ...(isVenvKept && PATH_TO_VENV ? [relative(PATH_TO_GIT_WORK_TREE, PATH_TO_VENV)] : []),
  ]
}

/** What stays in a folder. */
export class Kept {
  /** These stay with all that lies in them. */
  readonly #trees: ReadonlySet<string>
  readonly #files: ReadonlySet<string>
  /** Of these folders only a part stays. */
  readonly #folders = new Set<string>()

  /** @param entries files that stay, and folders that stay without what lies in them, whose paths end with a slash */
  constructor(folder: string, trees: readonly string[], entries: readonly string[] = []) {
    const isThere = (path: string) => isDefined(() => lstatSync(toBytes(`${fromText(folder)}/${path}`)))
    this.#trees = new Set([...trees.map(fromText).filter(isThere), ...mountPointsIn(folder)])
    this.#files = new Set(entries.filter(path => !path.endsWith('/')))
    for (const path of [...this.#trees, ...entries]) for (const above of foldersAbove(path)) this.#folders.add(above)
  }

  has(path: string): boolean {
    return this.#files.has(path) || this.#trees.has(path) || foldersAbove(path).some(above => this.#trees.has(above))
  }

  hasPartOf(path: string): boolean {
    return this.#folders.has(path)
  }
}

/**
 * Removes what is not kept.
 *
 * @param untracked as git lists it: a folder's path ends with a slash
 * @returns what was removed
 * @throws Failure that names what cannot be removed
 */
export function removeLeftovers(folder: string, untracked: readonly string[], kept: Kept): string[] {
  const at = fromText(folder)
  const problems: Problem[] = []
  const removed = findUnkept(at, untracked, kept)
  for (const path of removed) removeTree(`${at}/${path}`, problems)
  if (problems.length > 0) throw cannotBeRemoved(folder, problems)
  return removed
}

/** The same, but moves it to another folder of the file system. */
export function moveLeftovers(folder: string, untracked: readonly string[], kept: Kept, aside: string): string[] {
  const unkept = findUnkept(fromText(folder), untracked, kept)
  for (const path of unkept) {
    const [from, to] = [`${fromText(folder)}/${path}`, `${fromText(aside)}/${path}`]
    mkdirSync(toBytes(dirname(to)), { recursive: true, mode: 0o700 })
    // A folder that moves gets another `..`.
    withPermission(from, () => renameSync(toBytes(from), toBytes(to)))
  }
  return unkept
}

/** All files and folders that git does not know, without what is kept. A folder's path ends with a slash. */
export function listEntries(folder: string, untracked: readonly string[], kept: Kept): string[] {
  const found: string[] = []
  const add = (path: string) => {
    if (kept.has(path)) return
    const isFolder = isRealFolder(`${fromText(folder)}/${path}`)
    found.push(isFolder ? `${path}/` : path)
    if (isFolder) for (const name of namesIn(`${fromText(folder)}/${path}`)) add(`${path}/${name}`)
  }
  for (const path of untracked) add(path.replace(/\/$/, ''))
  return found
}

/** The topmost paths of which nothing is kept. */
function findUnkept(folder: string, untracked: readonly string[], kept: Kept): string[] {
  return untracked
    .map(path => path.replace(/\/$/, ''))
    .flatMap(path => {
      if (kept.has(path)) return []
      if (!kept.hasPartOf(path) || !isRealFolder(`${folder}/${path}`)) return [path]
      return findUnkept(
        folder,
        namesIn(`${folder}/${path}`).map(name => `${path}/${name}`),
        kept,
      )
    })
}

interface Problem {
  readonly path: string
  readonly error: unknown
}

/** Removes as much of it as can be removed. */
function removeTree(path: string, problems: Problem[]): void {
  const before = problems.length
  try {
    const isFolder = isRealFolder(path)
    const names = isFolder ? withPermission(path, () => namesIn(path)) : []
    for (const name of names) removeTree(`${path}/${name}`, problems)
    const remove = isFolder ? rmdirSync : unlinkSync
    if (problems.length === before) withPermission(dirname(path), () => remove(toBytes(path)))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') problems.push({ path, error })
  }
}

/** A tool may take from its folders the permission to write, as Go does. */
function withPermission<T>(folder: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    if (!isDefined(() => chmodSync(toBytes(folder), 0o700))) throw error
    return action()
  }
}

/** Where they are other users', foreign-files.ts says so in place of this. */
function cannotBeRemoved(folder: string, problems: readonly Problem[]): Failure {
  const names = problems.slice(0, 5).map(({ path }) => flatten(toText(path)))
  const more = problems.length > names.length ? `, and ${problems.length - names.length} more` : ''
  return new Failure(exitCode.failed, `${folder} cannot be used again: ${names.join(', ')}${more} cannot be removed.`, {
    why: String(problems[0]?.error),
    fix: 'remove them on the server',
    cause: problems[0]?.error,
  })
}

const namesIn = (path: string) => readdirSync(toBytes(path), { encoding: 'latin1' })

const isRealFolder = (path: string) => lstatSync(toBytes(path), { throwIfNoEntry: false })?.isDirectory() ?? false

function mountPointsIn(folder: string): string[] {
  let mounts: string[] = []
  if (!isDefined(() => (mounts = mountPoints()))) return []
  const real = `${fromText(realpathSync(folder))}/`
  return mounts.filter(path => path.startsWith(real)).map(path => path.slice(real.length))
}

function isDefined(action: () => unknown): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}
