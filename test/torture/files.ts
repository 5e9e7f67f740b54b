import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A path for the file system. Names need not be UTF-8, so here each character of a path is a byte: a file named in Latin-1
 * has one path only.
 */
export const toBytes = (path: string) => Buffer.from(path, 'latin1')

/** The content of a file; nothing where there is none. */
export function contentOf(file: string): string | undefined {
  try {
    return readFileSync(toBytes(file), 'utf8')
  } catch {
    return undefined
  }
}

/** As in a commit: mode and content. */
export function describeFile(path: string): string | undefined {
  try {
    const found = lstatSync(toBytes(path))
    if (found.isSymbolicLink()) return `120000 ${readlinkSync(toBytes(path))}`
    if (!found.isFile()) return 'a folder'
    return `${found.mode & 0o100 ? '100755' : '100644'} ${readFileSync(toBytes(path), 'utf8')}`
  } catch {
    return undefined
  }
}

/** All files below a folder, in order; none where there is no folder. */
export const filesIn = (folder: string): string[] => listFiles(folder).sort()

/** Not readdir's `recursive`, which decodes the names of folders. */
function listFiles(folder: string): string[] {
  try {
    return readdirSync(toBytes(folder), { encoding: 'latin1', withFileTypes: true }).flatMap(entry => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? listFiles(path) : entry.isFile() ? [path] : []
    })
  } catch {
    return []
  }
}
