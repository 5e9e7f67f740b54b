import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  type PathLike,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { isOnPath } from '../shared/on-path.ts'
import { thisUser, userName } from './folder-mode.ts'
import { isMountPoint } from './mount-points.ts'
import { readStateFile } from './state-file.ts'

/** What the hook itself starts. */
const programs = ['git', 'bash', 'sh', 'flock']

const giveToOne = 'push as the user that the repository belongs to, and give it to that user'

/** What is wrong with the hook's PATH, each with what to do. */
export function findProblemsOfPath(path: string): string[] {
  if (/\$|(^|:)~/.test(path)) {
    const example = '/opt/x/bin:/usr/local/bin:/usr/bin:/bin'
    return [`PATH has ~ or $ in it, which no shell replaces here. To do: write all of its folders, such as ${example}.`]
  }
  return programs.filter(program => !isOnPath(program, path)).map(program => explainMissing(program, path))
}

export const explainMissing = (program: string, path: string) =>
  `There is no ${program} on the PATH ${path}. To do: install it there.`

/** What is wrong with what the hook itself writes in the repository, where there is one already. */
export function findProblemsOfRepository(gitDir: string): string[] {
  const folder = existsSync(gitDir) ? existingFolder(join(gitDir, 'pushlive/log')) : undefined
  return folder === undefined || isWritable(folder) ? [] : [`${explainNotWritable(folder)}. To do: ${giveToOne}.`]
}

/**
 * What is wrong with the place where the code is to go, each with what to do.
 *
 * @param releases the folder of the releases, where `workTree` is a link to one
 */
export function findProblemsOfPlace(workTree: string, releases: string | undefined, gitDir: string): string[] {
  const found = canBeEntered(dirname(workTree)) ? lstatSync(workTree, { throwIfNoEntry: false }) : undefined
  const inPlace = found?.isSymbolicLink() ? [workTree, dirname(workTree)] : [workTree]
  const written = releases === undefined ? inPlace : [dirname(workTree), releases]
  const folder = written.map(existingFolder).find(each => !isWritable(each))
  const other = 'change PATH_TO_GIT_WORK_TREE'
  if (folder) {
    const why = isFolder(folder) ? explainNotWritable(folder) : `${folder} is a file`
    return [`PATH_TO_GIT_WORK_TREE cannot be made or written: ${why}. To do: ${giveToOne}; or ${other}.`]
  }
  const owner = findOwner(workTree, gitDir)
  if (owner) return [`${owner.what} To do: ${owner.fix}, or ${other}.`]
  if (releases === undefined) return []
  const foreign = findForeign(workTree, releases)
  if (foreign) return [`${foreign} To do: move it away, or ${other}.`]
  const obstacle = findObstacle(workTree, releases, found)
  return obstacle
    ? [`PATH_TO_GIT_WORK_TREE cannot be a link to releases: ${obstacle}, ${other}, or set RELEASES=1.`]
    : []
}

/** Which other repository a folder belongs to, and how it can be this one's. */
export function findOwner(folder: string, gitDir: string): { readonly what: string; readonly fix: string } | undefined {
  const dotGit = join(folder, '.git')
  if (isFolder(dotGit)) return { what: `${dotGit} is a repository of its own.`, fix: 'move it away' }
  const [, state = ''] = /^gitdir: (.*)\n?$/.exec(readStateFile(dotGit) ?? '') ?? []
  if (state === '' || lieInOneAnother(state, gitDir)) return undefined
  // A copy names the repository of its model, which knows nothing of it. The name may lead through a link.
  const known = readStateFile(join(state, 'gitdir'))?.trim()
  if (!known || realPathOf(known) !== realPathOf(dotGit)) return undefined
  return {
    what: `${folder} belongs to another repository, ${state.replace(/\/(pushlive|worktrees)\/.*/, '')}.`,
    fix: `give each repository a PATH_TO_GIT_WORK_TREE of its own; to let this one take over: rm ${dotGit}`,
  }
}

/** What is where the link to a release belongs, and is neither one nor a folder that can become a release. */
export function findForeign(workTree: string, releases: string): string | undefined {
  const found = lstatSync(workTree, { throwIfNoEntry: false })
  if (found === undefined || found.isDirectory()) return undefined
  if (!found.isSymbolicLink()) return `${workTree} is a file.`
  const target = readlinkSync(workTree)
  const path = resolve(dirname(workTree), target)
  const isRelease = dirname(path) === releases && /^[1-9]\d*$/.test(basename(path))
  return isRelease ? undefined : `${workTree} is a link to ${target}, which is no release.`
}

/** Why no rename can replace a folder, or lead its link to a release; and the first thing that one can do about it. */
function findObstacle(workTree: string, releases: string, found: Stats | undefined): string | undefined {
  const parent = existingFolder(dirname(workTree))
  if (found?.isDirectory()) {
    if (isMountPoint(workTree)) return `${workTree} is a mount point. To do: mount the folder above it instead`
    if (!isWritable(workTree)) return `${explainNotWritable(workTree)}. To do: ${giveToOne}`
    const { mode, uid } = statSync(parent)
    const user = process.geteuid?.() ?? 0
    if (mode & 0o1000 && ![0, uid, found.uid].includes(user)) {
      return `only ${userName(found.uid)} may rename it in ${parent}, which is sticky. To do: ${giveToOne}`
    }
  }
  if (!existsSync(releases)) return undefined
  const isElsewhere = statSync(releases).dev !== statSync(parent).dev || isMountPoint(releases)
  return isElsewhere ? `${releases} is on another file system than ${parent}. To do: have both on one` : undefined
}

/** Whether one of two folders, which need not be there yet, is the other or lies in it. */
export function lieInOneAnother(one: string, other: string): boolean {
  const [a, b] = [`${realPathOf(one)}/`, `${realPathOf(other)}/`]
  return a.startsWith(b) || b.startsWith(a)
}

/** Where a path leads, or will once it is made. */
function realPathOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : join(realPathOf(dirname(path)), path.slice(dirname(path).length))
}

/** The path itself, or the nearest folder above it that is there. */
export function existingFolder(path: string): string {
  let folder = resolve(path)
  while (!existsSync(folder)) folder = dirname(folder)
  return folder
}

export function explainNotWritable(path: string): string {
  if (refusal(path, constants.W_OK) === 'EROFS') return `the file system of ${path} is read-only`
  return `${thisUser()} cannot write ${path}, of ${userName(lstatSync(path).uid)}`
}

/** Whether this user finds a folder there. */
export const isFolder = (path: PathLike) => existsSync(path) && statSync(path).isDirectory()

export const canBeEntered = (path: string) => isFolder(path) && isAllowed(path, constants.X_OK)

export const isWritable = (folder: PathLike) => isFolder(folder) && isAllowed(folder, constants.W_OK | constants.X_OK)

export const isAllowed = (path: PathLike, mode: number) => refusal(path, mode) === undefined

/** The code of the error with which the system refuses an access, if it does. */
function refusal(path: PathLike, mode: number): string | undefined {
  try {
    accessSync(path, mode)
    return undefined
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}
