import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { isStartedFrom, listens, usersOf } from './processes-in-folder.ts'

/** For servers that finish what they have begun. */
const graceSeconds = 5
const pollMilliseconds = 100
const shownProcesses = 5

/**
 * Looks whether a release has taken over from another one: a web server that was told to restart, and silently stays
 * where it was, answers every health check.
 *
 * @param timeout seconds
 * @param remind tells it once more: uWSGI misses a touch while it is reloading
 * @returns who has stayed there and is no server, or not the only one, in words; empty for nobody
 * @throws Failure where only servers of the old release are seen
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
    const left = usersOf(from)
    const names = left.slice(0, shownProcesses).map(({ pid }) => `process ${pid} (${commandOf(pid)})`)
    if (!left.some(listens)) return names.join(', ')
    // A server that has moved, with the packages of where it was started, has not taken over.
    const hasMoved = usersOf(to).some(each => listens(each) && !isStartedFrom(from, each.pid))
    const seconds = process.uptime() - began
    if (hasMoved && seconds > Math.min(graceSeconds, timeout)) return names.join(', ')
    if (!hasMoved && seconds > timeout) {
      throw new Failure(exitCode.failed, `The application still runs from ${from}.`, {
        why: names.join('\n'),
        fix: 'have RESTART start it anew; examples/ has servers that follow the link',
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
