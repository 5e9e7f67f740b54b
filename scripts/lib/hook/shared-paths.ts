import { lstatSync, mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { exitCode, Failure } from '../shared/program.ts'
import type { Repository } from './repository.ts'
import { swap } from './swap.ts'

/**
 * Links the paths that outlive releases into a release.
 *
 * @param shared the folder that holds them
 * @returns the paths that are not there yet, and where what was in the way is now
 */
export function linkSharedPaths(paths: readonly string[], release: string, shared: string) {
  const missing: string[] = []
  const moved: string[] = []
  for (const path of paths) {
    const kept = join(shared, path)
    const link = join(release, path)
    mkdirSync(dirname(kept), { recursive: true })
    // A name without a dot is taken for a folder's.
    if (!exists(kept) && !basename(path).includes('.')) mkdirSync(kept)
    if (!exists(kept)) missing.push(path)
    if (isLinkTo(link, kept)) continue
    mkdirSync(dirname(link), { recursive: true })
    if (isWorthless(link)) rmSync(link, { recursive: true })
    else if (exists(link)) moved.push(moveAside(link))
    symlinkSync(kept, link)
  }
  return { missing, moved }
}

/** Moves what a release had at the path before it was shared. */
function moveAside(path: string): string {
  let number = 1
  while (exists(`${path}.unshared-${number}`)) number++
  renameSync(path, `${path}.unshared-${number}`)
  return `${path}.unshared-${number}`
}

/**
 * Moves what outlives releases out of the folder that serves, and leaves a link in its place.
 *
 * @returns the paths that were moved
 */
export function moveSharedPaths(paths: readonly string[], serving: string, shared: string): string[] {
  return paths.filter(path => {
    const [mine, kept] = [join(serving, path), join(shared, path)]
    // A link to itself is what a kill has left of the following.
    if (isLinkTo(kept, kept)) rmSync(kept)
    if (!exists(mine) || lstatSync(mine).isSymbolicLink() || exists(kept)) return false
    mkdirSync(dirname(kept), { recursive: true })
    symlinkSync(kept, kept)
    swap(kept, mine)
    return true
  })
}

/** @throws Failure where the commit has a file of its own there */
export async function verifyUntracked(paths: readonly string[], commit: string, repository: Repository): Promise<void> {
  const tracked = await repository.files(commit, paths)
  if (tracked.length === 0) return
  throw new Failure(exitCode.failed, `The commit has ${tracked[0]}, which SHARED_PATHS names.`, {
    fix: 'take it out of the commit, or out of SHARED_PATHS',
  })
}

const exists = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined

const isLinkTo = (link: string, target: string) =>
  lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() && readlinkSync(link) === target

/** A link that leads elsewhere, or an empty folder. */
function isWorthless(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false })
  return found?.isSymbolicLink() || (found?.isDirectory() && readdirSync(path).length === 0) || false
}
