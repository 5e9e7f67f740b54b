import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { text } from 'node:stream/consumers'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { parseJson } from '../lib/json-schema.ts'
import { holdPort, listen } from '../lib/ports.ts'
import { startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'

interface Received {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What receives traces. @param status what it answers; without one it never answers */
async function startCollector(t: CleansUp, status?: number) {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    received.push({ url: request.url ?? '', headers: request.headers, body: await text(request) })
    if (status) response.writeHead(status).end('{}')
  })
  t.after(() => void (server as Server).closeAllConnections())
  t.after(() => void server.close())
  return { received, url: `http://127.0.0.1:${await listen(server)}` }
}

type Attributes = { key: string; value: { stringValue?: string; intValue?: string } }[]
interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Attributes
  status: { code?: number; message?: string }
}

/** A trace as a reader has it: the run's span, the steps', and what is said of all of them. */
function readTrace({ body }: Received) {
  const { resourceSpans } = JSON.parse(body)
  assert.equal(resourceSpans.length, 1)
  const [{ resource, scopeSpans }] = resourceSpans
  const [root, ...steps] = scopeSpans[0].spans as [Span, ...Span[]]
  const valuesOf = (attributes: Attributes) =>
    Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]))
  for (const span of [root, ...steps]) {
    assert.match(span.traceId, /^[0-9a-f]{32}$/)
    assert.match(span.spanId, /^[0-9a-f]{16}$/)
    assert.equal(span.traceId, root.traceId)
    const [began, ended] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)]
    assert.ok(began <= ended && began >= BigInt(root.startTimeUnixNano) && ended <= BigInt(root.endTimeUnixNano))
  }
  assert.ok(steps.every(({ parentSpanId, kind }) => parentSpanId === root.spanId && kind === 1))
  assert.equal(root.kind, 2)
  const resultOf = (span: Span) => {
    const values = valuesOf(span.attributes)
    assert.equal(values['cicd.pipeline.task.name'], span.name)
    const error = values['error.type']
    return `${span.name}: ${values['cicd.pipeline.task.run.result']}${error ? ` (${error})` : ''}`
  }
  return { root, run: valuesOf(root.attributes), resource: valuesOf(resource.attributes), steps: steps.map(resultOf) }
}

describe('The trace of a deployment', async () => {
  const { sshd, newSite } = await startServer({ after })

  it('goes where OTEL_EXPORTER_OTLP_ENDPOINT says, whatever the deployment ended with', async t => {
    const site = await newSite(t)
    const { received, url } = await startCollector(t, 200)
    const [traceId, parent] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
    const commit = await site.commit()
    const traced = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/otlp/`,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20s3cret, x-team = web',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging',
      TRACEPARENT: `00-${traceId}-${parent}-01`,
      GITLAB_CI: 'true',
      CI_JOB_URL: 'https://gitlab.example.org/shop/-/jobs/7',
    }
    const began = Date.now()
    const live = assertExit(await site.deploy([], traced), 0)
    assert.doesNotMatch(live.output, /trace/i)
    const [first] = received as [Received]
    assert.equal(first.url, '/otlp/v1/traces')
    const { 'content-type': type, authorization, 'x-team': team } = first.headers
    assert.deepEqual([type, authorization, team], ['application/json', 'Bearer s3cret', 'web'])
    const green = readTrace(first)
    assert.deepEqual([green.root.traceId, green.root.parentSpanId, green.root.name], [traceId, parent, 'RUN deploy'])
    assert.deepEqual(green.run, {
      'cicd.pipeline.action.name': 'RUN',
      'cicd.pipeline.result': 'success',
      'process.exit.code': 0,
    })
    assert.deepEqual(green.root.status, {})
    assert.ok(Math.abs(Number(green.root.startTimeUnixNano.slice(0, -6)) - began) < 60_000)
    assert.equal(green.steps[0], 'checking out code to git work tree: success')
    assert.ok(green.steps.includes('installing dependencies: success'))
    const { 'service.version': _, 'cicd.pipeline.run.id': id, ...resource } = green.resource
    assert.equal(id, green.root.spanId)
    assert.deepEqual(resource, {
      'service.name': 'pushlive',
      'deployment.environment.name': 'staging',
      'cicd.pipeline.name': 'deploy',
      'cicd.pipeline.run.url.full': traced.CI_JOB_URL,
      'vcs.repository.url.full': site.url,
      'vcs.ref.head.name': 'main',
      'vcs.ref.head.type': 'branch',
      'vcs.ref.head.revision': commit,
    })

    site.configure({ UPGRADE_DB: 'exit 3' })
    await site.commit()
    const own = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/own`, OTEL_SERVICE_NAME: 'shop' }
    assertExit(await site.deploy([], own), 1)
    const red = readTrace(received[1] as Received)
    assert.equal(received[1]?.url, '/own')
    assert.equal(red.root.parentSpanId, undefined)
    assert.equal(red.resource['service.name'], 'shop')
    assert.deepEqual([red.run['cicd.pipeline.result'], red.run['error.type']], ['failure', 'not_live'])
    assert.equal(red.root.status.code, 2)
    assert.match(red.root.status.message ?? '', /IS NOT LIVE\. UPGRADING DATABASE STRUCTURE failed: `exit 3`/)
    assert.deepEqual(
      red.steps.filter(step => !step.endsWith(': success')),
      ['upgrading database structure: failure (not_live)'],
    )
    assert.ok(red.steps.includes('putting back the previous code: success'))

    const unreachable = {
      STAGING_REMOTE_REPO: 'ssh://ada@127.0.0.1:1/app.git',
      KNOWN_DEPLOYMENT_HOSTS: `[127.0.0.1]:1 ${sshd.knownHosts.split(' ').slice(1).join(' ')}`,
    }
    assertExit(await site.deploy([], { ...own, ...unreachable }), 3)
    assertExit(await site.deploy(['rollback'], { ...own, BRANCH_NAME: ' ' }), 2)
    assertExit(await site.deploy([], { ...own, TRACEPARENT: `00-${traceId}-${parent}-00`, BRANCH_NAME: ' ' }), 2)
    const others = received.slice(2).map(readTrace)
    assert.deepEqual(
      others.map(({ root, run, steps }) => [root.name, run['process.exit.code'], run['error.type'], steps]),
      [
        ['RUN deploy', 3, 'unreachable', []],
        ['RUN rollback', 2, 'usage', []],
      ],
    )
    // Nothing else tells anybody.
    assertExit(await site.deploy(['status'], own), 0)
    assertExit(await site.deploy(['--dry-run'], own), 0)
    assert.equal(received.length, 4)
  })

  it('changes nothing where it cannot be sent, and says so in a line once the verdict is out', async t => {
    const site = await newSite(t)
    await site.commit()
    const silent = await startCollector(t)
    const refusing = await startCollector(t, 401)
    const address = (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url })
    const impatient = { ...address(silent.url), OTEL_EXPORTER_OTLP_TIMEOUT: '200' }
    const live = assertExit(await site.deploy([], impatient), 0)
    assert.match(live.output, /^The trace was not sent: the collector did not answer in time\.$/m)
    // The others end before anything is sent to the server, which takes less time.
    for (const [env, why] of [
      [impatient, 'the collector did not answer in time'],
      [address(refusing.url), 'the collector answered 401'],
      [address(`http://ada:s3cret@127.0.0.1:${await holdPort()}`), 'connect ECONNREFUSED 127\\.0\\.0\\.1:\\d+'],
      [address('collector:4317'), 'OTEL_EXPORTER_OTLP_ENDPOINT is no http address'],
    ] as const) {
      const red = assertExit(await site.startDeploy(['--json'], { ...env, BRANCH_NAME: ' ' }), 2)
      assert.equal(parseJson('deploy', red.stdout).exitCode, 2)
      assert.match(red.stderr, new RegExp(`BRANCH_NAME[^]*\nThe trace was not sent: ${why}\\.\n$`))
      assert.doesNotMatch(red.stderr, /s3cret/)
    }
  })
})
