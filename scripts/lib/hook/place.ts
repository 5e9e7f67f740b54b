import { accessSync, constants, existsSync, lstatSync, type PathLike, statSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { userName } from './folder-mode.ts'

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
export function findProblemsOfPlace(workTree: string, releases: string | undefined): string[] {
  const written = releases === undefined ? [workTree] : [dirname(workTree), releases]
  const folder = written.map(existingFolder).find(each => !isWritable(each))
  if (folder) {
    const why = isFolder(folder) ? explainNotWritable(folder) : `${folder} is a file`
    const what = `PATH_TO_GIT_WORK_TREE cannot be made or written: ${why}`
    return [`${what}. To do: ${giveToOne}; or change PATH_TO_GIT_WORK_TREE.`]
  }
  const repository = join(workTree, '.git')
  if (statSync(repository, { throwIfNoEntry: false })?.isDirectory()) {
    return [`${repository} is a repository of its own. To do: move it away, or change PATH_TO_GIT_WORK_TREE.`]
  }
  return []
}

/** The path itself, or the nearest folder above it that is there. */
export function existingFolder(path: string): string {
  let folder = resolve(path)
  while (!existsSync(folder)) folder = dirname(folder)
  return folder
}

export const explainNotWritable = (path: string) =>
  `${thisUser()} cannot write ${path}, of ${userName(lstatSync(path).uid)}`

export const thisUser = () => userName(process.geteuid?.() ?? 0)

export const isFolder = (path: PathLike) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

export const canBeEntered = (path: string) => isFolder(path) && isAllowed(path, constants.X_OK)

export const isWritable = (folder: PathLike) => isFolder(folder) && isAllowed(folder, constants.W_OK | constants.X_OK)

export const isOnPath = (program: string, path: string) =>
  path.split(delimiter).some(folder => folder !== '' && isAllowed(join(folder, program), constants.X_OK))

export function isAllowed(path: PathLike, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
