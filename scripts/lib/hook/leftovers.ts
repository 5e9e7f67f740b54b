import { chmodSync, lstatSync, rmdirSync, unlinkSync } from 'node:fs'
import { relative } from 'node:path'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import {
  below,
  foldersAbove,
  fromText,
  type GitPath,
  inside,
  isFolderPath,
  namesIn,
  parentOf,
  pathWithin,
  realPath,
  withoutSlash,
  withSlash,
} from './git-paths.ts'
import { mountPoints } from './mount-points.ts'
import type { HookSettings } from './settings.ts'

/*
 * What is left in a release's folder when it is used again. All paths are relative to the folder. No link is followed,
 * and no other file system is entered.
 */

/** The paths of the settings that stay in a release. */
export function pathsThatStay(
  { PATH_TO_GIT_WORK_TREE, PATH_TO_VENV, KEEP_PATHS, SHARED_PATHS }: HookSettings,
  isVenvKept: boolean,
): GitPath[] {
  const venv = isVenvKept && PATH_TO_VENV ? [relative(PATH_TO_GIT_WORK_TREE, PATH_TO_VENV)] : []
  return [...KEEP_PATHS, ...SHARED_PATHS, ...venv].map(fromText)
}

/** What stays in a folder. */
export class Kept {
  /** These stay with all that lies in them. */
  readonly #trees: ReadonlySet<GitPath>
  readonly #files: ReadonlySet<GitPath>
  /** Of these folders only a part stays. */
  readonly #folders = new Set<GitPath>()

  /** @param entries files that stay, and folders that stay without what lies in them, whose paths end with a slash */
  constructor(folder: string, trees: readonly GitPath[], entries: readonly GitPath[] = []) {
    const isThere = (path: GitPath) => isDefined(() => lstatSync(inside(folder, path)))
    this.#trees = new Set([...trees.filter(isThere), ...mountPointsIn(folder)])
    this.#files = new Set(entries.filter(path => !isFolderPath(path)))
    for (const path of [...this.#trees, ...entries]) for (const above of foldersAbove(path)) this.#folders.add(above)
  }

  has(path: GitPath): boolean {
    return this.#files.has(path) || this.#trees.has(path) || foldersAbove(path).some(above => this.#trees.has(above))
  }

  hasPartOf(path: GitPath): boolean {
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
export function removeLeftovers(folder: string, untracked: readonly GitPath[], kept: Kept): GitPath[] {
  const problems: Problem[] = []
  const removed = findUnkept(folder, untracked, kept)
  for (const path of removed) removeTree(inside(folder, path), problems)
  if (problems.length > 0) throw cannotBeRemoved(folder, problems)
  return removed
}

/** The same, but moves it aside. @param take moves a file or folder of this name */
export function moveLeftovers(
  folder: string,
  untracked: readonly GitPath[],
  kept: Kept,
  take: (path: Buffer, name: GitPath) => void,
): GitPath[] {
  const unkept = findUnkept(folder, untracked, kept)
  for (const path of unkept) {
    const from = inside(folder, path)
    // A folder that moves gets another `..`.
    withPermission(from, () => take(from, path))
  }
  return unkept
}

/** All files and folders that git does not know, without what is kept. A folder's path ends with a slash. */
export function listEntries(folder: string, untracked: readonly GitPath[], kept: Kept): GitPath[] {
  const found: GitPath[] = []
  const add = (path: GitPath) => {
    if (kept.has(path)) return
    const here = inside(folder, path)
    found.push(isRealFolder(here) ? withSlash(path) : path)
    if (isRealFolder(here)) for (const name of namesIn(here)) add(below(path, name))
  }
  for (const path of untracked) add(withoutSlash(path))
  return found
}

/** The topmost paths of which nothing is kept. */
function findUnkept(folder: string, untracked: readonly GitPath[], kept: Kept): GitPath[] {
  return untracked.map(withoutSlash).flatMap(path => {
    if (kept.has(path)) return []
    const here = inside(folder, path)
    if (!kept.hasPartOf(path) || !isRealFolder(here)) return [path]
    const names = namesIn(here).map(name => below(path, name))
    return findUnkept(folder, names, kept)
  })
}

interface Problem {
  readonly path: Buffer
  readonly error: unknown
}

/** Removes as much of it as can be removed. */
function removeTree(path: Buffer, problems: Problem[]): void {
  const before = problems.length
  try {
    const isReal = isRealFolder(path)
    const names = isReal ? withPermission(path, () => namesIn(path)) : []
    for (const name of names) removeTree(inside(path, name), problems)
    const remove = isReal ? rmdirSync : unlinkSync
    if (problems.length === before) withPermission(parentOf(path), () => remove(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') problems.push({ path, error })
  }
}

/** A tool may take from its folders the permission to write, as Go does. */
function withPermission<T>(folder: Buffer, action: () => T): T {
  try {
    return action()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    if (!isDefined(() => chmodSync(folder, 0o700))) throw error
    return action()
  }
}

/** Where they are other users', foreign-files.ts says so in place of this. */
function cannotBeRemoved(folder: string, problems: readonly Problem[]): Failure {
  const names = problems.slice(0, 5).map(({ path }) => flatten(String(path)))
  const more = problems.length > names.length ? `, and ${problems.length - names.length} more` : ''
  return new Failure(exitCode.failed, `${folder} cannot be used again: ${names.join(', ')}${more} cannot be removed.`, {
    why: String(problems[0]?.error),
    fix: 'remove them on the server',
    cause: problems[0]?.error,
  })
}

const isRealFolder = (path: Buffer) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

function mountPointsIn(folder: string): GitPath[] {
  let mounts: GitPath[] = []
  if (!isDefined(() => (mounts = mountPoints()))) return []
  const real = realPath(folder)
  return mounts.flatMap(path => pathWithin(real, path) ?? [])
}

function isDefined(action: () => unknown): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}
