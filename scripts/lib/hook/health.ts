import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCode, Failure } from '../shared/program.ts'

const pollMilliseconds = 250
const shownCharacters = 500
/** How much of an answer is looked through for a commit: an endless one must not fill the memory. */
const readCharacters = 1_000_000

/**
 * Asks until the answer is 2xx. A redirect is not followed: it may lead to a login page or a notice of maintenance. An
 * answer that names the previous commit and not this one is the old code's.
 *
 * @param timeout seconds
 * @throws Failure with the last answer, and the reason why none came after it
 */
export async function verifyHealthy(url: URL, timeout: number, commit: string, previous = commit): Promise<void> {
  // Not Date.now(): the clock may be set.
  const end = process.uptime() + timeout
  let answered: string | undefined
  for (;;) {
    const signal = AbortSignal.timeout(Math.max(Math.ceil((end - process.uptime()) * 1000), 1))
    const { answer, silence } = await ask(url, signal, commit, previous)
    if (!(answer ?? silence)) return
    answered = answer ?? answered
    if (process.uptime() + pollMilliseconds / 1000 > end) {
      // The last request may have had too little time for any answer: the one before it tells more.
      const why = [answered, silence].filter(Boolean).join('\nthen ')
      throw new Failure(exitCode.failed, `The application did not answer 2xx within ${timeout} s.`, { why })
    }
    await sleep(pollMilliseconds)
  }
}

/**
 * Asks once.
 *
 * @param timeout seconds
 * @returns what is wrong with the answer, in words; nothing where it is 2xx
 */
export async function findHealthProblem(url: URL, timeout: number, commit: string): Promise<string | undefined> {
  const { answer, silence } = await ask(url, AbortSignal.timeout(Math.ceil(timeout * 1000)), commit, commit)
  return answer ?? silence
}

/** What is wrong, in words: with the answer of a request, or why there is none. */
type Reply = { answer?: string; silence?: string }

async function ask(url: URL, signal: AbortSignal, commit: string, previous: string): Promise<Reply> {
  try {
    const { status, body } = await get(url, signal)
    if (!/^2/.test(status)) return { answer: `it answered ${status}\n${body.slice(0, shownCharacters)}` }
    if (body.includes(previous) && !body.includes(commit)) return { answer: `it is still ${previous} that answers` }
    return {}
  } catch (error) {
    // Where several addresses refuse there is only a code; for a timeout the cause says more.
    const { message, code, cause } = error as NodeJS.ErrnoException
    return { silence: `it did not answer: ${(cause instanceof Error && cause.message) || message || code}` }
  }
}

/** Not fetch(), which refuses an address with a password in it, and dozens of ports that a browser must not reach. */
async function get(url: URL, signal: AbortSignal): Promise<{ status: string; body: string }> {
  const client = url.protocol === 'https:' ? https : http
  // A new connection: one that is kept open may lead to the old code.
  const request = client.get(url, { agent: false, headers: { 'user-agent': 'pushlive' }, signal })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) {
    body += chunk
    if (body.length > readCharacters) break
  }
  return { status: `${response.statusCode} ${response.statusMessage}`, body }
}
