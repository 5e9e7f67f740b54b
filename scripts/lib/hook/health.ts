import { setTimeout as sleep } from 'node:timers/promises'
import { exitCode, Failure } from '../shared/program.ts'

const pollMilliseconds = 250
const shownBytes = 500

/**
 * Asks until the answer is 2xx. A redirect is not followed: it would let a login page or a "down for maintenance" stand
 * for the application; and an answer that names the previous commit and not this one is the old code's.
 *
 * @param timeout seconds
 * @throws Failure with the last answer, and with why there was none after it
 */
export async function verifyHealthy(url: string, timeout: number, commit: string, previous = commit): Promise<void> {
  // Not Date.now(): somebody may set the clock.
  const end = process.uptime() + timeout
  let answered: string | undefined
  for (;;) {
    const { isHealthy, answer, silence } = await ask(
      url,
      Math.max((end - process.uptime()) * 1000, 1),
      commit,
      previous,
    )
    if (isHealthy) return
    answered = answer ?? answered
    if (process.uptime() + pollMilliseconds / 1000 > end) {
      // The time that is left to the last request may be too short for any answer: the one before it tells more.
      const why = [answered, silence].filter(Boolean).join('\nthen ')
      throw new Failure(exitCode.failed, `The application did not answer 2xx within ${timeout} s.`, { why })
    }
    await sleep(pollMilliseconds)
  }
}

/** What a request has brought: an answer in words, or why there is none. */
type Asked = { isHealthy?: true; answer?: string; silence?: string }

async function ask(url: string, milliseconds: number, commit: string, previous: string): Promise<Asked> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(Math.ceil(milliseconds)) })
    const body = await response.text()
    if (!response.ok)
      return { answer: `it answered ${response.status} ${response.statusText}\n${body.slice(0, shownBytes)}` }
    if (body.includes(previous) && !body.includes(commit)) return { answer: `it is still ${previous} that answers` }
    return { isHealthy: true }
  } catch (error) {
    const { message, cause } = error as Error
    return { silence: `it did not answer: ${cause instanceof Error ? cause.message || String(cause) : message}` }
  }
}
