import { setTimeout as sleep } from 'node:timers/promises'

const pollMilliseconds = 250
const shownBytes = 500

/**
 * Asks until the answer is 2xx. A redirect is not followed: it would let a login page or a "down for maintenance" stand
 * for the application.
 *
 * @param timeout seconds
 * @returns nothing when it answered 2xx, else the last answer in words
 */
export async function waitUntilHealthy(url: string, timeout: number): Promise<string | undefined> {
  const end = Date.now() + timeout * 1000
  for (;;) {
    const answer = await ask(url, Math.max(end - Date.now(), 1))
    if (answer === undefined || Date.now() + pollMilliseconds > end) return answer
    await sleep(pollMilliseconds)
  }
}

async function ask(url: string, milliseconds: number): Promise<string | undefined> {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(Math.ceil(milliseconds)) })
    const body = await response.text()
    return response.ok
      ? undefined
      : `it answered ${response.status} ${response.statusText}\n${body.slice(0, shownBytes)}`
  } catch (error) {
    const { message, cause } = error as Error
    return `it did not answer: ${cause instanceof Error ? cause.message || String(cause) : message}`
  }
}
