import { readFileSync } from 'node:fs'
import { type GitPath, realPath, unquotePath } from './git-paths.ts'

/**
 * Where something is mounted: also where a file system is mounted twice, which no number of a device tells.
 * proc_pid_mountinfo(5): the fifth word, with blanks and such in octal, as in a path that git quotes.
 *
 * @throws Error where the kernel does not tell
 */
export function mountPoints(): GitPath[] {
  const lines = readFileSync('/proc/self/mountinfo', 'latin1').split('\n').slice(0, -1)
  return lines.map(line => unquotePath(`"${line.split(' ')[4]}"`))
}

/** Whether something is mounted at a folder. Where the kernel does not tell, nothing is. */
export function isMountPoint(folder: string): boolean {
  try {
    return mountPoints().includes(realPath(folder))
  } catch {
    return false
  }
}
