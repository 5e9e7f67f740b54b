import { readFileSync } from 'node:fs'
import { type GitPath, unquotePath } from './git-paths.ts'

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
