import type { ProcessPromise } from 'zx/core'

/**
 * Gives a command its input. zx's own `input` ends this program with EPIPE when the command ends without reading it;
 * whether that was right, its exit code tells.
 */
export function feed(command: ProcessPromise, input: string): ProcessPromise {
  command.stdin.on('error', () => {})
  command.stdin.end(input)
  return command
}
