import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StepContext } from '../context.ts'
import { type GitPath, inside, namesIn, toText } from '../git-paths.ts'
import { listNames } from '../work-tree.ts'

/** What most commits have neither of costs no process. */
export const isNeeded = ({ plan, release: { path } }: StepContext) =>
  plan.code && !plan.isRestore && (existsSync(join(path, '.gitmodules')) || usesLfs(join(path, '.gitattributes')))

/** A plain checkout leaves these to others: says which would be served as they are. */
export async function run({ release: { path, workTree }, deployment: { log } }: StepContext): Promise<void> {
  const { submodules, largeFiles } = await workTree.leftToOthers()
  const empty = submodules.filter(submodule => isEmpty(inside(path, submodule)))
  const pointers = largeFiles.filter(file => isPointer(inside(path, file)))
  if (empty.length > 0) {
    log.say(`SUBMODULES ARE EMPTY: ${list(empty)} (git submodule update --init --recursive in INSTALL_DEPS fills them)`)
  }
  if (pointers.length > 0) {
    log.say(`FILES ARE ONLY POINTERS OF GIT LFS: ${list(pointers)} (git lfs pull in INSTALL_DEPS gets them)`)
  }
}

const usesLfs = (attributes: string) =>
  lstatSync(attributes, { throwIfNoEntry: false })?.isFile() === true &&
  readFileSync(attributes, 'utf8').includes('filter=lfs')

const isEmpty = (folder: Buffer) => !existsSync(folder) || namesIn(folder).length === 0

/** By the specification of git LFS a pointer begins so, and is shorter. */
function isPointer(file: Buffer): boolean {
  const stats = lstatSync(file, { throwIfNoEntry: false })
  return (
    stats?.isFile() === true &&
    stats.size < 1024 &&
    readFileSync(file, 'latin1').startsWith('version https://git-lfs.github.com/spec/')
  )
}

/** As many as a reader needs. */
const list = (paths: readonly GitPath[]) => listNames(paths.map(toText), 3)
