import { setTimeout as sleep } from 'node:timers/promises'
import { exitCode, Failure } from '../shared/program.ts'

const pollMilliseconds = 250
const shownBytes = 500

/**
 * Asks until the answer is 2xx. A redirect is not followed: it would let a login page or a "down for maintenance" stand
 * for the application; and an answer that names the previous commit and not this one is the old code's.
 *
 * @param timeout seconds
 * @throws Failure with the last answer
 */
export async function verifyHealthy(url: string, timeout: number, commit: string, previous = commit): Promise<void> {
  // Not Date.now(): somebody may set the clock.
  const end = process.uptime() + timeout
  for (;;) {
    const why = await ask(url, Math.max((end - process.uptime()) * 1000, 1), commit, previous)
    if (why === undefined) return
    if (process.uptime() + pollMilliseconds / 1000 > end) {
      throw new Failure(exitCode.failed, `The application did not answer 2xx within ${timeout} s.`, { why })
    }
    await sleep(pollMilliseconds)
  }
}

/** @returns nothing when it answered 2xx, else the answer in words */
async function ask(url: string, milliseconds: number, commit: string, previous: string): Promise<string | undefined> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(Math.ceil(milliseconds)) })
    const body = await response.text()
    if (!response.ok) return `it answered ${response.status} ${response.statusText}\n${body.slice(0, shownBytes)}`
    return body.includes(previous) && !body.includes(commit) ? `it is still ${previous} that answers` : undefined
  } catch (error) {
    const { message, cause } = error as Error
    return `it did not answer: ${cause instanceof Error ? cause.message || String(cause) : message}`
  }
}
