import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { isStartedFrom, listens, processesIn } from './processes-in-folder.ts'

/** For a server that finishes its requests. */
const graceSeconds = 5
const pollMilliseconds = 100
const shownProcesses = 5

/**
 * Checks that a release has taken over from another one. A web server that was told to restart and silently stays where
 * it was would pass every health check.
 *
 * @param timeout seconds
 * @param remind tells the server again: uWSGI misses a touch while it reloads
 * @returns the remaining processes of the old release, in words: none of them listens, or a server of the new one does
 * @throws Failure where only servers of the old release are found
 */
export async function verifyTakenOver(
  from: string,
  to: string,
  timeout: number,
  remind: () => Promise<void>,
): Promise<string> {
  const began = process.uptime()
  let reminded = 0
  for (;;) {
    const remaining = processesIn(from)
    const names = remaining.slice(0, shownProcesses).map(({ pid }) => `process ${pid} (${commandOf(pid)})`)
    if (!remaining.some(listens)) return names.join(', ')
    // A server that has changed its folder, but was started from the old one, still has the old packages.
    const hasMoved = processesIn(to).some(each => listens(each) && !isStartedFrom(from, each.pid))
    const seconds = process.uptime() - began
    if (hasMoved && seconds > Math.min(graceSeconds, timeout)) return names.join(', ')
    if (!hasMoved && seconds > timeout) {
      throw new Failure(exitCode.failed, `The application still runs from ${from}.`, {
        why: names.join('\n'),
        fix: 'let RESTART end it and start a new one; examples/ has servers that follow the link',
      })
    }
    if (!hasMoved && seconds - reminded > graceSeconds) {
      await remind()
      reminded = seconds
    }
    await sleep(pollMilliseconds)
  }
}

function commandOf(pid: number): string {
  try {
    return flatten(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim())
  } catch {
    return 'ended'
  }
}
