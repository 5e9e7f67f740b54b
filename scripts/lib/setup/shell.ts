import { type ProcessPromise, $ as zx } from 'zx/core'

/** Runs a command without input, and shows none of its output. Its exit code tells whether it failed: it does not throw. */
export const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

/**
 * Writes to the input of a command (of `$({ stdio: 'pipe' })`). zx's own `input` ends this program with EPIPE if the
 * command exits without reading it; here the command's exit code tells whether it failed.
 */
export function feed(command: ProcessPromise, input: string): ProcessPromise {
  command.stdin.on('error', () => {})
  command.stdin.end(input)
  return command
}
