import { type ProcessPromise, $ as zx } from 'zx/core'

/** Runs a command that shows and reads nothing; how it went, its exit code tells. */
export const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

/**
 * Gives a command (of `$({ stdio: 'pipe' })`) its input. zx's own `input` ends this program with EPIPE when the command
 * ends without reading it; whether that was right, its exit code tells.
 */
export function feed(command: ProcessPromise, input: string): ProcessPromise {
  command.stdin.on('error', () => {})
  command.stdin.end(input)
  return command
}
