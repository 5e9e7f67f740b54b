import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { computeFigures } from '../../scripts/lib/deploy/dora.ts'
import type { DeploymentRecord } from '../../scripts/lib/protocol/record.ts'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('deploy report', async () => {
  const { newSite } = await startServer({ after })

  it('makes one page of all deployments and their logs, and shows all foreign text as text', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'echo "<script>from a recipe</script>"; ! grep -q bad page.txt' })
    const live = await site.commit()
    await site.deploy()
    const bad = await site.commit({ 'page.txt': 'bad' })
    await site.git`git commit --quiet --amend --message ${'<img src=x onerror=alert(1)> & "quotes"'}`
    await site.deploy()
    const { output } = assertExit(await site.deploy(['report']), 0)
    const file = join(site.clone, 'report.html')
    assert.equal(output.trim(), `The report is in ${file}.`)
    const page = readFileSync(file, 'utf8')
    assert.ok(page.includes(live.slice(0, 10)) && !page.includes(bad.slice(0, 10)), page)
    assert.ok(page.includes('&lt;script&gt;from a recipe&lt;/script&gt;'), page)
    assert.ok(page.includes('&lt;img src=x onerror=alert(1)&gt; &amp; &quot;quotes&quot;'), page)
    assert.equal(page.match(/<script/g)?.length, 1)
    assert.doesNotMatch(page, /<img|<[^>]+ (src|href)=/)
    assert.equal(statSync(file).mode & 0o777, 0o644)
  })

  it('writes the file that is named, and exits with 2 where that is impossible', async t => {
    const site = await newSite(t)
    assertExit(await site.deploy(['report', 'a report.html']), 0)
    assert.match(readFileSync(join(site.clone, 'a report.html'), 'utf8'), /Nothing is live/)
    mkdirSync(join(site.clone, 'folder'))
    const { output } = assertExit(await site.deploy(['report', 'folder']), 2)
    assert.match(output, /^The report cannot be written to .*folder\./m)
  })
})

describe("DORA's four figures", () => {
  const day = 86_400_000
  const now = 1000 * day
  const record = (at: number, live: boolean, more: Partial<DeploymentRecord> = {}): DeploymentRecord => ({
    commit: `${at}`.padStart(40, '0'),
    live,
    who: 'ada',
    started: now - at * day - 1000,
    ended: now - at * day,
    steps: [],
    ...more,
  })

  it('are of the last 90 days, without rollbacks', () => {
    const records = [
      record(0, true),
      record(1, false),
      record(2, false),
      record(3, true, { request: 'rollback' }),
      record(4, true),
      record(14, true),
      record(200, false),
    ]
    const committed = new Map([
      [record(0, true).commit, now - 3600_000],
      [record(4, true).commit, now - 5 * day],
    ])
    const { from, ...figures } = computeFigures(records, committed, now)
    assert.equal(from, now - 90 * day)
    assert.deepEqual(figures, {
      to: now,
      deployments: 5,
      frequency: 3 / (90 / 7),
      // An hour, and a day.
      leadTime: (3600_000 + day) / 2,
      // Two that failed, and one that was rolled back.
      failureRate: 3 / 5,
      // A day until the rollback, and two from the first failure to what was live again.
      timeToRestore: 1.5 * day,
    })
  })

  it('are unknown before the first deployment, and where records tell no time', () => {
    const none = computeFigures([], new Map(), now)
    assert.deepEqual(none, {
      from: now,
      to: now,
      deployments: 0,
      frequency: 0,
      leadTime: undefined,
      failureRate: undefined,
      timeToRestore: undefined,
    })
    const broken = record(1, true, { ended: Number.NaN })
    assert.deepEqual(computeFigures([broken], new Map(), now), none)
  })
})
