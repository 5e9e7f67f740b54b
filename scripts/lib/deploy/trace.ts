import { isPartOfId } from '../protocol/ids.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, version } from '../shared/program.ts'
import { kindOfStep } from './charts.ts'
import { writeLine } from './ci/ci.ts'
import { recognizeCi } from './ci/recognize.ts'
import { newUnique } from './clone.ts'
import { describeEnding, type Result } from './result.ts'

/** Milliseconds that a collector has: by default, and at most. */
const [usualLimit, longestLimit] = [3000, 10_000]

interface Concluded {
  readonly result: Result
  /** The exit code, or what was thrown in its place. */
  readonly outcome: unknown
  /** Milliseconds since 1970. */
  readonly ended: number
}

/**
 * Sends a deployment's trace to where OpenTelemetry's own variables say, as OTLP over HTTP with JSON. Never throws: where
 * that fails, it says so in a line.
 */
export async function sendTrace(concluded: Concluded, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return
  try {
    const trace = describeTrace(concluded, env)
    if (trace) await post(findEndpoint(env), JSON.stringify(trace), env)
  } catch (error) {
    const { name, message, code } = error as NodeJS.ErrnoException
    // Of several addresses of a name only the code is told. Nothing here has the address, which may hold a password.
    const why = name === 'TimeoutError' ? 'the collector did not answer in time' : message || code
    writeLine(`The trace was not sent: ${flatten(`${why}`)}.`)
  }
}

/** OTLP, "Specify Protocol": the general address gets the path of its signal. */
function findEndpoint(env: NodeJS.ProcessEnv): URL {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: general = '', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own } = env
  const text = own || `${general.replace(/\/+$/, '')}/v1/traces`
  if (URL.canParse(text) && /^https?:/.test(text)) return new URL(text)
  throw new Error(`${own ? 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT' : 'OTEL_EXPORTER_OTLP_ENDPOINT'} is no http address`)
}

async function post(endpoint: URL, body: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { request } = endpoint.protocol === 'https:' ? await import('node:https') : await import('node:http')
  const headers = parseList(env.OTEL_EXPORTER_OTLP_TRACES_HEADERS || env.OTEL_EXPORTER_OTLP_HEADERS)
  const wanted = Number(env.OTEL_EXPORTER_OTLP_TRACES_TIMEOUT || env.OTEL_EXPORTER_OTLP_TIMEOUT)
  const signal = AbortSignal.timeout(Math.min(wanted > 0 ? wanted : usualLimit, longestLimit))
  const status = await new Promise<number | undefined>((done, fail) => {
    const own = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    request(endpoint, { method: 'POST', headers: { ...headers, ...own }, signal }, response => {
      response.on('error', fail).resume()
      done(response.statusCode)
    })
      .on('error', error => fail(signal.aborted ? signal.reason : error))
      .end(body)
  })
  if (status === undefined || status >= 300) throw new Error(`the collector answered ${status}`)
}

/** `name=value,name=value`, as W3C's baggage has it. */
function parseList(text = ''): Record<string, string> {
  const pairs = text.split(',').flatMap(pair => {
    const [, name, value = ''] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? []
    return name === undefined ? [] : [[name, decode(value)] as const]
  })
  return Object.fromEntries(pairs)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * By the conventions for CI/CD: a span for the run, and in it one for each step that this machine has seen.
 *
 * @returns undefined where the trace that it belongs to is not sampled
 */
function describeTrace({ result, outcome, ended }: Concluded, env: NodeJS.ProcessEnv) {
  const parent = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/.exec(env.TRACEPARENT ?? '')
  if (parent && (Number.parseInt(parent[3] ?? '', 16) & 1) === 0) return undefined
  const { command = 'deploy', commit, steps } = result
  const { code, said } = describeEnding(result, outcome)
  const [traceId, spanId] = [parent?.[1] ?? newUnique(), newUnique().slice(16)]
  const run = { 'cicd.pipeline.run.id': spanId, 'cicd.pipeline.run.url.full': recognizeCi(env)?.run }
  const errorOf = (result: 'success' | 'failure' | 'error') =>
    result === 'success' ? undefined : (errors.get(code) ?? '_OTHER')
  const ofRun = code === exitCode.live ? 'success' : code === exitCode.failed ? 'failure' : 'error'
  const spans = (steps?.list ?? []).map(({ name, began, ended: end = ended }, index) => {
    const ofStep = index === steps?.failedAt ? ofRun : 'success'
    const id = newUnique().slice(16)
    return {
      traceId,
      spanId: id,
      parentSpanId: spanId,
      name: kindOfStep(name),
      kind: kinds.internal,
      ...formatTimes(began, end),
      attributes: formatAttributes({
        'cicd.pipeline.task.name': kindOfStep(name),
        'cicd.pipeline.task.run.id': id,
        'cicd.pipeline.task.run.url.full': run['cicd.pipeline.run.url.full'],
        'cicd.pipeline.task.run.result': ofStep,
        'error.type': errorOf(ofStep),
      }),
      status: ofStep === 'success' ? {} : { code: statusError },
    }
  })
  const root = {
    traceId,
    spanId,
    parentSpanId: parent?.[2],
    name: `RUN ${command}`,
    kind: kinds.server,
    ...formatTimes(performance.timeOrigin, ended),
    attributes: formatAttributes({
      'cicd.pipeline.action.name': 'RUN',
      'cicd.pipeline.result': ofRun,
      'error.type': errorOf(ofRun),
      'process.exit.code': code,
    }),
    status: ofRun === 'success' ? {} : { code: statusError, message: said },
  }
  const resource = {
    'service.name': 'pushlive',
    ...parseList(env.OTEL_RESOURCE_ATTRIBUTES),
    ...(env.OTEL_SERVICE_NAME && { 'service.name': env.OTEL_SERVICE_NAME }),
    'service.version': version,
    'cicd.pipeline.name': command,
    ...run,
    'vcs.repository.url.full': env.STAGING_REMOTE_REPO,
    'vcs.ref.head.name': env.BRANCH_NAME,
    'vcs.ref.head.type': env.BRANCH_NAME && 'branch',
    'vcs.ref.head.revision': commit !== undefined && isPartOfId(commit) ? commit : undefined,
  }
  const scope = { name: 'pushlive', version }
  return {
    resourceSpans: [
      { resource: { attributes: formatAttributes(resource) }, scopeSpans: [{ scope, spans: [root, ...spans] }] },
    ],
  }
}

/** Of OTLP's enumerations. */
const kinds = { internal: 1, server: 2 } as const
const statusError = 2

/** Why a run is red, by its exit code: the names of docs/operating.md. */
const errors = new Map<number, string>([
  [exitCode.failed, 'not_live'],
  [exitCode.usage, 'usage'],
  [exitCode.unreachable, 'unreachable'],
  [exitCode.refused, 'refused'],
  [exitCode.unknown, 'no_verdict'],
  [exitCode.bug, 'bug'],
])

/** OTLP's JSON has numbers of 64 bits as text. */
const formatTimes = (began: number, ended: number) => ({
  startTimeUnixNano: `${Math.round(began)}000000`,
  endTimeUnixNano: `${Math.round(Math.max(began, ended))}000000`,
})

const formatAttributes = (attributes: Readonly<Record<string, string | number | undefined>>) =>
  Object.entries(attributes).flatMap(([key, value]) => {
    if (value === undefined || value === '') return []
    return [{ key, value: typeof value === 'number' ? { intValue: `${value}` } : { stringValue: value } }]
  })
