import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Check } from '../protocol/checks.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Repository } from './repository.ts'

const pollMilliseconds = 250
const shownCharacters = 500
/** How much of an answer is looked through for a commit: an endless one must not fill the memory. */
const readCharacters = 1_000_000
/** An argument list holds about 3,000 ids. */
const mostNames = 1000

/** The application as a commit of this repository. */
export interface Expected {
  readonly url: URL
  readonly commit: string
  readonly repository: Repository
}

/**
 * Asks until the answer is 2xx. A redirect is not followed: it may lead to a login page or a notice of maintenance. An
 * answer that names another commit and not this one is another release's.
 *
 * @param timeout seconds
 * @throws Failure with the last answer, and the reason why none came after it
 */
export async function verifyHealthy(expected: Expected, timeout: number): Promise<void> {
  // Not Date.now(): the clock may be set.
  const end = process.uptime() + timeout
  let answered: string | undefined
  for (;;) {
    const signal = AbortSignal.timeout(Math.max(Math.ceil((end - process.uptime()) * 1000), 1))
    const { answer, silence } = await ask(expected, signal)
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
export async function findHealthProblem(expected: Expected, timeout: number): Promise<string | undefined> {
  const { answer, silence } = await ask(expected, AbortSignal.timeout(Math.ceil(timeout * 1000)))
  return answer ?? silence
}

/** What no new code of the application changes: a name that no server knows, a certificate that is not trusted. */
const lasting = /^(ENOTFOUND|ERR_TLS_.*|.*CERT.*|UNABLE_TO_VERIFY.*)$/
const lookSeconds = 10

/** What the address answers now, whatever runs there. Before the first deployment nobody listens, and that is no error. */
export async function checkAddress(url: URL): Promise<Check> {
  const what = 'health check'
  // The rest of it may be secret.
  const address = `${url.origin}${url.pathname}`
  try {
    const { status } = await get(url, AbortSignal.timeout(lookSeconds * 1000))
    const isHealthy = /^2/.test(status)
    const found = `${address} answers ${status}${isHealthy ? '' : ' now: a deployment is live only if it answers 2xx'}`
    return { what, isOk: true, isNote: !isHealthy, found }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    const why = explainSilence(error)
    if (!lasting.test(code)) return { what, isOk: true, isNote: true, found: `${address} does not answer now: ${why}` }
    return {
      what,
      isOk: false,
      found: `${address} cannot answer: ${why}`,
      fix: 'correct HEALTH_CHECK_URL, or that server',
    }
  }
}

/** What is wrong, in words: with the answer of a request, or why there is none. */
type Reply = { answer?: string; silence?: string }

async function ask({ url, commit, repository }: Expected, signal: AbortSignal): Promise<Reply> {
  try {
    const { status, headers, body } = await get(url, signal)
    if (!/^2/.test(status)) return { answer: `it answered ${status}\n${body.slice(0, shownCharacters)}` }
    const other = await findOtherCommit(`${headers}\n${body}`, commit, repository)
    return other === undefined ? {} : { answer: `it is still ${other} that answers` }
  } catch (error) {
    return { silence: `it did not answer: ${explainSilence(error)}` }
  }
}

/** Where several addresses refuse there is only a code; for a timeout the cause says more. */
function explainSilence(error: unknown): string {
  const { message, code, cause } = error as NodeJS.ErrnoException
  return (cause instanceof Error && cause.message) || message || `${code}`
}

/**
 * The commit that a text names in place of this one, by its whole id. Anything else of that length, such as the hash of
 * a file, is no commit of the repository.
 */
async function findOtherCommit(text: string, commit: string, repository: Repository): Promise<string | undefined> {
  const ids = new RegExp(`(?<![0-9a-f])[0-9a-f]{${commit.length}}(?![0-9a-f])`, 'gi')
  const named = new Set((text.match(ids) ?? []).map(id => id.toLowerCase()))
  if (named.size === 0 || named.has(commit)) return undefined
  return (await repository.commitsAmong([...named].slice(0, mostNames)))[0]
}

/** Not fetch(), which refuses an address with a password in it, and dozens of ports that a browser must not reach. */
async function get(url: URL, signal: AbortSignal) {
  const client = url.protocol === 'https:' ? https : http
  // Uncompressed: a commit is looked for in it.
  const headers = { 'user-agent': 'pushlive', 'accept-encoding': 'identity' }
  // A new connection: one that is kept open may lead to the old code.
  const request = client.get(url, { agent: false, headers, signal })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let body = ''
  for await (const chunk of response.setEncoding('utf8')) {
    body += chunk
    if (body.length > readCharacters) break
  }
  const { statusCode, statusMessage, rawHeaders } = response
  return { status: `${statusCode} ${statusMessage}`, headers: rawHeaders.join('\n'), body }
}
