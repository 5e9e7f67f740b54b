import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { type Change, computeFigures } from '../../scripts/lib/deploy/dora.ts'
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
    assert.doesNotMatch(page, /<img|<(?!a )[^>]+ (src|href)=/)
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
  const hour = 3_600_000
  const day = 24 * hour
  const now = 1000 * day
  const idOf = (name: string | number) => `${name}`.padStart(40, '0')
  /** @param at in days before now */
  const record = (at: number, live: boolean, more: Partial<DeploymentRecord> = {}): DeploymentRecord => ({
    commit: idOf(at),
    live,
    who: 'ada',
    started: now - at * day - 60_000,
    ended: now - at * day,
    steps: [],
    ...more,
  })
  const before = { name: 'INSTALLING DEPENDENCIES', seconds: 20, failed: true } as const
  const serving = [
    { name: 'INSTALLING DEPENDENCIES', seconds: 20 },
    { name: 'SWITCHING TO RELEASE 2', seconds: 1 },
    { name: 'CHECKING HEALTH', seconds: 39, failed: true },
  ] as const

  it('are of the last 90 days, count what served, and of what failed before only how often', () => {
    const records = [
      record(0, true),
      record(1, false, { steps: [before], restored: true }),
      record(2, false, { steps: serving, restored: true }),
      record(3, true, { request: 'rollback', commit: idOf(14) }),
      record(4, true),
      record(14, true),
      record(200, false),
    ]
    const changes = new Map([
      // Two that the newest brought, and a merge of them; one that was deployed ten days after it was made.
      [idOf(0), { committed: now - hour, parents: [idOf('a'), idOf('b')] }],
      [idOf('a'), { committed: now - 2 * hour, parents: [idOf(4)] }],
      [idOf('b'), { committed: now - 4 * hour, parents: [idOf(4)] }],
      [idOf(4), { committed: now - 14 * day, parents: [idOf(14)] }],
    ])
    const { from, ...figures } = computeFigures(records, changes, now)
    assert.equal(from, now - 90 * day)
    assert.deepEqual(figures, {
      to: now,
      live: 3,
      frequency: 3 / (90 / 7),
      commits: 3,
      leadTime: 4 * hour,
      // What was rolled back, and what failed when it served.
      reached: 4,
      failureRate: 2 / 4,
      // 40 seconds until the previous code was back, and a day until the rollback.
      recoveries: 2,
      recoveryTime: (40_000 + day) / 2,
      deployments: 5,
      stoppedBefore: 1,
    })
  })

  it('tell no rate of less than a week', () => {
    const { frequency, live } = computeFigures([record(6.9, true)], new Map(), now)
    assert.deepEqual({ frequency, live }, { frequency: undefined, live: 1 })
  })

  it('are unknown before the first deployment, and where records tell no time', () => {
    const none = computeFigures([], new Map(), now)
    const zero = { live: 0, commits: 0, reached: 0, recoveries: 0, deployments: 0, stoppedBefore: 0 }
    const unknown = { frequency: undefined, leadTime: undefined, failureRate: undefined, recoveryTime: undefined }
    assert.deepEqual(none, { from: now, to: now, ...zero, ...unknown })
    const broken = record(1, true, { ended: Number.NaN })
    assert.deepEqual(computeFigures([broken], new Map(), now), none)
  })

  it('are those of a second computation, by other means, for histories of every kind', () => {
    const kind = fc.constantFrom('live', 'rollback', 'stopped', 'put back', 'left broken')
    const deployment = fc.record({ kind, gap: fc.integer({ min: 1, max: 12 }), which: fc.nat(30) })
    const parents = fc.array(fc.nat(40), { maxLength: 2 })
    fc.assert(
      fc.property(
        fc.array(deployment, { maxLength: 40 }),
        fc.array(parents, { minLength: 31, maxLength: 31 }),
        (all, dag) => {
          // Each commit has earlier ones for parents, and was made half an hour after the one before.
          const changes = new Map(
            dag.map((some, at) => {
              const known = [...new Set(some)].filter(parent => parent < at)
              return [idOf(at), { committed: now - 300 * day + at * hour, parents: known.map(idOf) }]
            }),
          )
          let at = 300
          const records = all.map(({ kind, gap, which }) => {
            at -= gap
            const steps = kind === 'stopped' ? [before] : kind === 'put back' || kind === 'left broken' ? serving : []
            const restored = kind === 'put back' || kind === 'stopped'
            const request = kind === 'rollback' ? kind : undefined
            return record(at, kind === 'live' || kind === 'rollback', { commit: idOf(which), request, steps, restored })
          })
          const { live, leadTime, commits, reached, failureRate, recoveries, recoveryTime } = computeFigures(
            records.toReversed(),
            changes,
            now - at * day,
          )
          assert.deepEqual(
            { live, leadTime, commits, reached, failureRate, recoveries, recoveryTime },
            computeAgain(records, changes, now - at * day),
          )
        },
      ),
      { numRuns: 500 },
    )
  })

  /** By sets of ancestors and by spans of time that run into each other. */
  function computeAgain(records: readonly DeploymentRecord[], changes: ReadonlyMap<string, Change>, to: number) {
    const from = Math.max(to - 90 * day, records[0]?.ended ?? to)
    const inTime = (time: number) => time >= from && time <= to
    const ancestors = (id: string): Set<string> =>
      new Set([id, ...(changes.get(id)?.parents ?? []).flatMap(parent => [...ancestors(parent)])])
    const live = records.filter(record => record.live)
    const isUndone = (record: DeploymentRecord) => {
      const next = live[live.indexOf(record) + 1]
      return record.live && next?.request === 'rollback' && next.commit !== record.commit
    }
    const times = [...changes].flatMap(([id, { committed, parents }]) => {
      const first = live.find(({ commit }) => ancestors(commit).has(id))
      return first && first !== live[0] && inTime(first.ended) && parents.length < 2 ? [first.ended - committed] : []
    })
    const goodAfter = (record: DeploymentRecord) =>
      live.find(next => next.ended > record.ended && !isUndone(next))?.ended ?? Number.POSITIVE_INFINITY
    const bad = records.flatMap((record): [number, number][] => {
      if (record.live) return isUndone(record) ? [[record.ended, goodAfter(record)]] : []
      if (record.steps.length < 2) return []
      return [[record.ended - 40_000, record.restored ? record.ended : goodAfter(record)]]
    })
    const spans: [number, number][] = []
    for (const [start, end] of bad.toSorted(([a], [b]) => a - b)) {
      const last = spans.at(-1)
      if (last && start < last[1]) last[1] = Math.max(last[1], end)
      else spans.push([start, end])
    }
    const recovered = spans.filter(([, end]) => inTime(end)).map(([start, end]) => end - start)
    const counted = records.filter(({ ended, request }) => inTime(ended) && request === undefined)
    const reached = counted.filter(record => record.live || record.steps.length > 1)
    const failed = reached.filter(record => !record.live || isUndone(record))
    return {
      live: counted.filter(record => record.live).length,
      leadTime: middleOf(times),
      commits: times.length,
      reached: reached.length,
      failureRate: reached.length ? failed.length / reached.length : undefined,
      recoveries: recovered.length,
      recoveryTime: middleOf(recovered),
    }
  }

  function middleOf(values: number[]): number | undefined {
    const left = values.toSorted((a, b) => a - b)
    while (left.length > 2) left.splice(0, left.length, ...left.slice(1, -1))
    return left.length ? left.reduce((sum, value) => sum + value, 0) / left.length : undefined
  }
})
