import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs'
import { inside, namesIn } from './git-paths.ts'

/**
 * Adds to a folder what another one has and it lacks. The other one stays as it is, so that whoever reads there sees no
 * gap: its files get a second name, or are copied to another file system.
 *
 * @param isNewer whether the folders' owners and modes are taken over, too
 * @param onConflict is called where both have something else of a name; what it leaves in `to` stays
 */
export function mergeFolders(
  from: Buffer,
  to: Buffer,
  isNewer: boolean,
  onConflict: (mine: Buffer, theirs: Buffer) => void,
): void {
  if (isNewer) setOwnerAndMode(to, lstatSync(from))
  for (const name of namesIn(from)) {
    const [mine, theirs] = [inside(from, name), inside(to, name)]
    const [one, other] = [lstatSync(mine), lstatSync(theirs, { throwIfNoEntry: false })]
    if (other && one.isDirectory() && other.isDirectory()) mergeFolders(mine, theirs, isNewer, onConflict)
    else {
      if (other && !isSame(mine, theirs)) onConflict(mine, theirs)
      if (!lstatSync(theirs, { throwIfNoEntry: false })) place(mine, theirs)
    }
  }
}

/** Gives a file, or all in a folder, a second name. */
function place(from: Buffer, to: Buffer): void {
  const found = lstatSync(from)
  if (found.isDirectory()) {
    mkdirSync(to)
    for (const name of namesIn(from)) place(inside(from, name), inside(to, name))
    setOwnerAndMode(to, found)
  } else if (found.isSymbolicLink()) symlinkSync(readlinkSync(from, { encoding: 'buffer' }), to)
  else {
    try {
      linkSync(from, to)
    } catch {
      // Another file system, or a file of another user.
      copyFileSync(from, to)
      setOwnerAndMode(to, found)
      utimesSync(to, found.atime, found.mtime)
    }
  }
}

function setOwnerAndMode(path: Buffer, { uid, gid, mode }: { uid: number; gid: number; mode: number }): void {
  try {
    chownSync(path, uid, gid)
  } catch {
    // Only root may give files away.
  }
  try {
    chmodSync(path, mode & 0o7777)
  } catch {
    // It is another user's, who has set it up.
  }
}

/** Moves a file or a folder, also to another file system. */
export function move(from: Buffer | string, to: Buffer): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    copyTree(from, to)
    rmSync(from, { recursive: true })
  }
}

/** Copies a file, or a folder with all that lies in it. */
export function copyTree(from: Buffer | string, to: Buffer | string): void {
  // Node takes bytes here, too, which its types do not say.
  const [source, destination] = [from, to] as [string, string]
  cpSync(source, destination, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
}

/** Whether two are the same file, lead to the same place, or have the same content. */
export function isSame(one: Buffer | string, other: Buffer | string): boolean {
  const [a, b] = [lstatSync(one), lstatSync(other)]
  if (a.isSymbolicLink() || b.isSymbolicLink()) return leadToSame(one, other)
  if (a.ino === b.ino && a.dev === b.dev) return true
  return a.isFile() && b.isFile() && a.size === b.size && haveSameContent(one, other)
}

export function leadToSame(one: Buffer | string, other: Buffer | string): boolean {
  const place = realPathOf(other)
  return place !== undefined && (realPathOf(one)?.equals(place) ?? false)
}

export function realPathOf(path: Buffer | string): Buffer | undefined {
  try {
    return realpathSync.native(path, { encoding: 'buffer' })
  } catch {
    return undefined
  }
}

function haveSameContent(one: Buffer | string, other: Buffer | string): boolean {
  const files = [openSync(one, 'r'), openSync(other, 'r')] as const
  try {
    const [a, b] = [Buffer.alloc(2 ** 16), Buffer.alloc(2 ** 16)]
    for (;;) {
      const [read, also] = [readSync(files[0], a), readSync(files[1], b)]
      if (read !== also || !a.subarray(0, read).equals(b.subarray(0, read))) return false
      if (read === 0) return true
    }
  } finally {
    for (const file of files) closeSync(file)
  }
}
