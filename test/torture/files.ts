import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** The content of a file; nothing where there is none. */
export function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

/** As in a commit: mode and content. */
export function describeFile(path: string): string | undefined {
  try {
    const found = lstatSync(path)
    if (found.isSymbolicLink()) return `120000 ${readlinkSync(path)}`
    if (!found.isFile()) return 'a folder'
    return `${found.mode & 0o100 ? '100755' : '100644'} ${readFileSync(path, 'utf8')}`
  } catch {
    return undefined
  }
}

/** All files below a folder, in order; none where there is no folder. */
export function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .sort()
  } catch {
    return []
  }
}
