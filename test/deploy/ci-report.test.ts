import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import type { Ci } from '../../scripts/lib/deploy/ci/ci.ts'
import { recognizeCi } from '../../scripts/lib/deploy/ci/recognize.ts'
import { CiReport } from '../../scripts/lib/deploy/ci-report.ts'
import { exitCode, Failure } from '../../scripts/lib/shared/program.ts'

it('What a CI is told of a deployment holds nothing that it would take for its own, and fails nothing', t => {
  const folder = mkdtempSync(join(tmpdir(), 'ci-report-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const written: string[] = []
  const writing = t.mock.method(process.stderr, 'write', (text: unknown) => written.push(String(text)) > 0)
  const [outputs, summary] = [join(folder, 'outputs'), join(folder, 'summary')]
  const env = { GITHUB_ACTIONS: 'true', GITHUB_OUTPUT: outputs, GITHUB_STEP_SUMMARY: summary }
  const explanation = 'the <step> `x` *failed*\nlive=true 100%'
  const conclude = (report: CiReport) =>
    report.conclude(
      { commit: 'a'.repeat(40), subject: 'a *subject*' },
      new Failure(exitCode.failed, 'IT IS NOT LIVE.', { why: explanation }),
    )
  const report = new CiReport(recognizeCi(env) as Ci)
  report.serverPrinted('```')
  report.serverPrinted('# a heading')
  conclude(report)
  const others = { live: 'false', commit: '', url: '', seconds: '0' }
  recognizeCi(env)?.writeOutputs?.({ ...others, verdict: 'it failed\nlive=true' })
  mkdirSync(join(folder, 'no file'))
  const unwritable = { ...env, GITHUB_OUTPUT: join(folder, 'no file'), GITHUB_STEP_SUMMARY: join(folder, 'none/x') }
  conclude(new CiReport(recognizeCi(unwritable) as Ci))
  writing.mock.restore()

  const said = readFileSync(summary, 'utf8')
  assert.match(
    said,
    /^### 🔴 Not live: a \\\*subject\\\* `a{10}`\n\nIT IS NOT LIVE\. the \\<step\\> \\`x\\` \\\*failed\\\*/,
  )
  assert.match(said, /\n```text\n'''\n# a heading\n```\n/)
  const lines = readFileSync(outputs, 'utf8').split('\n')
  assert.deepEqual(
    lines.map(line => line.split('=')[0]),
    // The same again, in another order.
    ['live', 'commit', 'verdict', 'url', 'seconds', 'live', 'commit', 'url', 'seconds', 'verdict', ''],
  )
  assert.equal(lines[0], 'live=false')
  const [annotation = ''] = written.filter(text => text.includes('::error '))
  assert.match(annotation, /\n::error title=Not live::IT IS NOT LIVE\. .*100%25\n::stop-commands::\w+\n$/)
  assert.equal(written.filter(text => /could not be written/.test(text)).length, 2)
})
