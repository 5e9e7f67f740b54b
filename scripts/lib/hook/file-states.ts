import { createHash } from 'node:crypto'
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { fromText, toBytes } from './git-paths.ts'

/** What lies at some paths: changes of the content, the executable bit or the kind of a file change it. */
export type FileStates = Readonly<Record<string, string>>

/** @param paths as bytes, in a folder */
export function readFileStates(folder: string, paths: readonly string[]): FileStates {
  return Object.fromEntries(paths.map(path => [path, readFileState(fromText(folder), path)]))
}

function readFileState(folder: string, path: string): string {
  let at = folder
  const names = path.split('/')
  for (const [index, name] of names.entries()) {
    at += `/${name}`
    const stat = lstatSync(toBytes(at), { throwIfNoEntry: false })
    if (stat === undefined) return 'not there'
    // Nothing is looked at behind a link, where other programs may write.
    if (stat.isSymbolicLink()) return `link from ${name} to ${readlinkSync(toBytes(at), { encoding: 'latin1' })}`
    if (stat.isDirectory()) continue
    if (index < names.length - 1 || !stat.isFile()) return 'not there'
    const content = createHash('sha256').update(readFileSync(toBytes(at)))
    return `${stat.mode & 0o100 ? 'executable' : 'file'} ${content.digest('hex')}`
  }
  return 'folder'
}

export function isSame(some: FileStates, others: FileStates): boolean {
  const paths = Object.keys(some)
  return paths.length === Object.keys(others).length && paths.every(path => some[path] === others[path])
}
