import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { formatMetrics } from '../../scripts/lib/deploy/metrics.ts'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'

/** By Prometheus' own parser in Python, from Debian's python3-prometheus-client. */
const parser = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([
  [sample.name, family.type, sample.labels, sample.value]
  for family in text_string_to_metric_families(sys.stdin.read()) for sample in family.samples
]))`

type Sample = [name: string, type: string, labels: Record<string, string>, value: number]

const parse = (text: string): Sample[] =>
  JSON.parse(execFileSync('/usr/bin/python3', ['-c', parser], { input: text, encoding: 'utf8' }))

const idOf = (digit: string) => digit.repeat(40)

it('Metrics hold what people from outside have written, and each sample once', () => {
  const odd = 'a "quoted"\\ subject\n# HELP pushlive_x\r\u001b[31m{} \u2028π'
  const record = { commit: idOf('b'), who: 'ada', live: false, started: 1000, ended: 4500 }
  const steps = [
    { name: 'CHECKING OUT CODE (x)', seconds: 0.1 },
    { name: 'INSTALLING "DEPENDENCIES"', seconds: 2, failed: true as const },
    { name: 'CHECKING OUT CODE (y)', seconds: 0.2 },
    { name: 'SWITCHING TO RELEASE 2' },
  ]
  const older = { ...record, commit: idOf('a'), live: true, subject: 'The first', ended: Number.NaN, steps: [] }
  const common = { repository: 'ada@host:"\\n', branch: 'a"b' }
  const samples = parse(formatMetrics(common, [{ ...record, steps }, older], new Map([[record.commit, odd]])))
  assert.deepEqual(
    samples.map(([name, , { repository, branch, ...labels }, value]) => {
      assert.deepEqual({ repository, branch }, common)
      return [name.replace('pushlive_', ''), labels, value]
    }),
    [
      ['live_info', { commit: older.commit, subject: 'The first' }, 1],
      ['last_deployment_info', { commit: record.commit, subject: 'a "quoted"\\ subject # HELP pushlive_x {} π' }, 1],
      ['last_deployment_success', {}, 0],
      ['last_deployment_timestamp_seconds', {}, 4.5],
      ['last_deployment_duration_seconds', {}, 3.5],
      ['last_deployment_step_duration_seconds', { step: 'checking out code' }, 0.3],
      ['last_deployment_step_duration_seconds', { step: 'installing "dependencies"' }, 2],
      ['deployments_total', { outcome: 'live' }, 1],
      ['deployments_total', { outcome: 'failed' }, 1],
    ],
  )
})

describe('deploy metrics', async () => {
  const { newSite } = await startServer({ after })

  it("prints the figures, or puts them into node_exporter's folder, also from NOTIFY on the server", async t => {
    const site = await newSite(t)
    const file = join(site.folder, 'textfile', 'shop.prom')
    const deploy = program('deploy').join(' ')
    site.configure({ NOTIFY: `mkdir -p ../textfile; STAGING_REMOTE_REPO=$PWD ${deploy} metrics ../textfile/shop.prom` })
    const none = parse((await site.startDeploy(['metrics'])).stdout)
    assert.deepEqual(
      none.map(([name, type, , value]) => [name, type, value]),
      [
        ['pushlive_deployments_total', 'counter', 0],
        ['pushlive_deployments_total', 'counter', 0],
      ],
    )

    const commit = await site.commit()
    assertExit(await site.deploy(), 0)
    await waitFor('NOTIFY has written', () => statSync(file, { throwIfNoEntry: false }) !== undefined)
    const [[name, , labels] = []] = parse(readFileSync(file, 'utf8'))
    const about = { repository: site.repository, branch: 'main', commit, subject: 'A change' }
    assert.deepEqual([name, labels], ['pushlive_live_info', about])
    // node_exporter is another user, and takes all files that end like this.
    assert.equal(statSync(file).mode & 0o777, 0o644)
    assert.deepEqual(readdirSync(join(site.folder, 'textfile')), ['shop.prom'])

    assertExit(await site.deploy(['metrics', file]), 0)
    const written = readFileSync(file, 'utf8')
    assert.equal(written, assertExit(await site.startDeploy(['metrics']), 0).stdout)
    const samples = parse(written).map(([name, , labels, value]) => ({
      name: name.replace('pushlive_', ''),
      labels,
      value,
    }))
    assert.equal(samples[0]?.labels.repository, site.url)
    const find = (wanted: string) => samples.find(({ name }) => name === wanted)?.value ?? 0
    assert.equal(find('last_deployment_success'), 1)
    assert.ok(Math.abs(find('live_timestamp_seconds') - Date.now() / 1000) < 60)
    const steps = samples.filter(({ name }) => name === 'last_deployment_step_duration_seconds')
    assert.ok(steps.some(({ labels }) => labels.step === 'installing dependencies'))
    const sum = steps.reduce((sum, { value }) => sum + value, 0)
    assert.ok(sum > 0 && sum <= find('last_deployment_duration_seconds'))
    const { output } = assertExit(await site.deploy(['metrics', 'no/such/folder']), 2)
    assert.match(output, /^The metrics cannot be written to /m)
  })
})
