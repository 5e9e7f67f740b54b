import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { askRef } from '../../scripts/lib/protocol/asks.ts'
import { assertExit } from '../lib/exit.ts'
import { parseJson } from '../lib/json-schema.ts'
import { startServer } from '../lib/site.ts'

describe('The history', async () => {
  const { newSite } = await startServer({ after })

  it('records what is live, what failed and why, who deployed it and when, and how long each step took', async t => {
    const site = await newSite(t)
    assert.match((await site.deploy(['status'])).output, /Nothing was ever live/)
    const good = await site.commit()
    await site.deploy()
    const bad = await site.commit({ Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
    await site.deploy()
    const { output } = assertExit(await site.deploy(['status']), 0)
    assert.match(output, new RegExp(`^ {2}● in place  ${good} .*, \\w+ from 127\\.0\\.0\\.1, took `, 'm'))
    assert.match(output, new RegExp(`^ {2}✗ failed +${bad}  A change: INSTALLING DEPENDENCIES failed: `, 'm'))
    const { live, failed } = parseJson('status', (await site.startDeploy(['status', '--json'])).stdout)
    assert.deepEqual([live.commit, failed.commit], [good, bad])
    assert.equal(typeof live.steps[1].seconds, 'number')
    const history = parseJson('history', (await site.startDeploy(['history', '--json'])).stdout)
    assert.deepEqual(
      history.map((entry: { commit: string }) => entry.commit),
      [bad, good],
    )
    assert.match((await site.serverGit`git reflog refs/deploy/main/live`).stdout, /pushlive: /)
  })

  it('tells a rollback what was live before; the next push goes forward again', async t => {
    const site = await newSite(t)
    const first = await site.commit()
    await site.deploy()
    const nowhere = assertExit(await site.deploy(['rollback']), 1)
    assert.match(nowhere.output, /nothing to go back to/)
    const second = await site.commit({ 'page.txt': 'two\n' })
    await site.deploy()
    site.steps()
    assertExit(await site.deploy(['rollback']), 0)
    assert.equal(await site.live(), first)
    assert.equal(site.read('page.txt'), 'one\n')
    // An older commit knows no way up from a newer database.
    assert.deepEqual(site.steps(), [`install ${first}`])
    assertExit(await site.deploy(['rollback', second.slice(0, 10)]), 0)
    assert.equal(await site.live(), second)
    assertExit(await site.deploy(['rollback', 'nonsense']), 2)
    await site.deploy(['rollback'])
    const third = await site.commit({ 'page.txt': 'three\n' })
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), third)
  })

  it('tells a second rollback what was live before that, and the output names it', async t => {
    const site = await newSite(t)
    const commits: string[] = []
    for (const page of ['a', 'b', 'c', 'd']) {
      commits.push(await site.commit({ 'page.txt': page }))
      assertExit(await site.deploy(), 0)
    }
    for (const expected of [commits[2], commits[1], commits[0]]) {
      const { output } = assertExit(await site.deploy(['rollback']), 0)
      assert.match(output, new RegExp(`GOING BACK TO ${expected}, which was live before`))
      assert.equal(await site.live(), expected)
    }
    assertExit(await site.deploy(['rollback']), 1)
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), commits[3])
    assertExit(await site.deploy(['rollback']), 0)
    assert.equal(await site.live(), commits[0])
  })

  it('or the branch has to contain the commit of a rollback, which is no tag and no tree', async t => {
    const site = await newSite(t)
    const live = await site.commit()
    await site.deploy()
    await site.git`git checkout --quiet --orphan elsewhere`
    const orphan = await site.commit({ 'page.txt': 'orphan' })
    await site.git`git push --quiet ${site.repository} ${`${orphan}:refs/tags/x`}`
    await site.git`git symbolic-ref HEAD refs/heads/main`
    const { output } = assertExit(await site.deploy(['rollback', orphan]), 1)
    assert.match(output, /was never live, and is not on main/)
    await site.git`git tag --annotate --message ${'x'} annotated ${orphan}`
    for (const [name, reason] of [
      ['annotated', /is not live: .*was never live, and is not on main/],
      [`${live}^{tree}`, /is not live: .*is no commit of this repository/],
    ] as const) {
      const id = (await site.git`git rev-parse ${name}`).stdout.trim()
      const ask = askRef('main', { verb: 'rollback', commit: id }, '0123456789')
      const pushed = await site.git`git push ${site.repository} ${`${id}:${ask}`}`.nothrow()
      assert.match(pushed.stderr, reason)
    }
    assert.equal(await site.live(), live)
  })

  it('is followed where a rollback comes with a new tip, and the output says that this is not deployed', async t => {
    const site = await newSite(t)
    const one = await site.commit()
    await site.deploy()
    await site.commit({ 'page.txt': 'two\n' })
    await site.deploy()
    const three = await site.commit({ 'page.txt': 'three\n' })
    const ask = askRef('main', { verb: 'rollback', commit: undefined }, '0123456789')
    const { stderr } = await site.git`git push ${site.repository} ${three}:refs/heads/main ${three}:${ask}`
    assert.match(stderr, new RegExp(`main is at ${three} now, which this rollback does not deploy`))
    assert.match(stderr, new RegExp(`pushlive: ${one} is live`))
    assert.equal(site.read('page.txt'), 'one\n')
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), three)
  })

  it('keeps the newest 50 logs', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.deploy()
    const logs = join(site.repository, 'pushlive/log')
    for (let day = 1; day <= 60; day++)
      writeFileSync(join(logs, `20200101T${String(day).padStart(6, '0')}.000Z-${commit}.log`), '')
    await site.commit()
    await site.deploy()
    assert.equal(readdirSync(logs).length, 50)
    assert.equal(readdirSync(logs).filter(name => !name.startsWith('2020')).length, 2)
  })
})
