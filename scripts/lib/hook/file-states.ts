import { createHash } from 'node:crypto'
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { foldersAbove, type GitPath, inside } from './git-paths.ts'

/** What lies at some paths: changes of the content, the executable bit or the kind of a file change it. */
export type FileStates = Readonly<Record<GitPath, string>>

export function readFileStates(folder: string, paths: readonly GitPath[]): FileStates {
  return Object.fromEntries(paths.map(path => [path, readFileState(folder, path)])) as Record<never, string>
}

function readFileState(folder: string, path: GitPath): string {
  const parts = [...foldersAbove(path), path]
  for (const [index, part] of parts.entries()) {
    const at = inside(folder, part)
    const stat = lstatSync(at, { throwIfNoEntry: false })
    if (stat === undefined) return 'not there'
    // Nothing is looked at behind a link, where other programs may write.
    if (stat.isSymbolicLink()) return `link ${index} to ${readlinkSync(at, { encoding: 'latin1' })}`
    if (stat.isDirectory()) continue
    if (index < parts.length - 1 || !stat.isFile()) return 'not there'
    const content = createHash('sha256').update(readFileSync(at))
    return `${stat.mode & 0o100 ? 'executable' : 'file'} ${content.digest('hex')}`
  }
  return 'folder'
}

export const isSame = (some: FileStates, others: FileStates) => isDeepStrictEqual(some, others)
