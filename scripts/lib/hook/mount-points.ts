import { readFileSync } from 'node:fs'

/**
 * Where something is mounted, as bytes (git-paths.ts): also where a file system is mounted twice, which no number of a
 * device tells. proc_pid_mountinfo(5): the fifth word, with blanks and such in octal.
 *
 * @throws Error where the kernel does not tell
 */
export function mountPoints(): string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'latin1').split('\n').slice(0, -1)
  const decode = (word: string) =>
    word.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
  return lines.map(line => decode(line.split(' ')[4] ?? ''))
}
