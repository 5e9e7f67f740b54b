import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { database, deployPage, knows, makeDatabase } from '../lib/database-file.ts'
import { assertExit } from '../lib/exit.ts'
import { kills } from '../lib/kills.ts'
import { type Site, startServer } from '../lib/site.ts'
import { letGo, waitForStep, waitingCommand } from '../lib/waiting-step.ts'

/** Each migration is undone by itself, and where a file says so, one cannot be. */
const undoOne =
  'grep -x -B 1 "$(cat "$STEPS.database")" migrations | head -n 1 > "$STEPS.new"; mv "$STEPS.new" "$STEPS.database"'
const settings = {
  RELEASES: '3',
  SMOKE_TEST: '! grep -q smoke page.txt',
  INSTALL_DEPS: '! grep -q install page.txt',
  UPGRADE_DB: `echo "upgrade by $(cat page.txt)" >> "$STEPS"; test ! -e "$STEPS.stuck-upgrade"; ${knows}; tail -n 1 migrations > "$STEPS.database"`,
  DB_REVISION: `${knows}; cat "$STEPS.database"`,
  DOWNGRADE_DB: `echo "downgrade by $(cat page.txt) to $DEPLOY_DB_REVISION" >> "$STEPS"; ${knows}; while ! grep -qx "$DEPLOY_DB_REVISION" "$STEPS.database"; do test ! -e "$STEPS.stuck-$(cat "$STEPS.database")"; ${undoOne}; done`,
  RESTART: '! grep -q restart page.txt',
}
const stick = (site: Site, what: string) => writeFileSync(join(site.folder, `steps.stuck-${what}`), '')
const loosen = (site: Site, what: string) => rmSync(join(site.folder, `steps.stuck-${what}`))

describe('A database that is not where the code needs it', async () => {
  const { newSite } = await startServer({ after })

  /** Two commits are live, one after the other: the first needs r1, and the second r3. */
  async function newSiteAtThree(t: Parameters<typeof newSite>[0], changes: Record<string, string> = {}) {
    const site = await newSite(t)
    site.configure({ ...settings, ...changes })
    makeDatabase(site)
    const first = await deployPage(site, 'one', 'r0 r1')
    const second = await deployPage(site, 'two', 'r0 r1 r2 r3')
    site.steps()
    return { site, first: first.commit, second: second.commit }
  }

  for (const RELEASES of ['3', '1']) {
    describe(`with RELEASES=${RELEASES}`, () => {
      it('goes forward again by what serves, where DOWNGRADE_DB has failed half-way', async t => {
        const { site, second } = await newSiteAtThree(t, { RELEASES })
        stick(site, 'r2')
        const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
        assert.match(
          output,
          new RegExp(`TAKING DATABASE BACK failed.*The previous code \\(${second}\\) is back in place\\.$`, 'm'),
        )
        assert.doesNotMatch(output, /may be ahead|behind/)
        assert.deepEqual(site.steps(), ['downgrade by two to r1', 'upgrade by two'])
        assert.equal(database(site), 'r3')
        assert.match(assertExit(await site.deploy(), 0).output, /already live/)
      })

      it('is behind the code where it cannot, until a deployment of what serves has upgraded it', async t => {
        const { site, second } = await newSiteAtThree(t, { RELEASES })
        stick(site, 'r2')
        stick(site, 'upgrade')
        const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
        assert.match(output, /The database is behind the code: at r2, the code needs r3\./)
        assert.equal(site.read('page.txt'), 'two')
        const again = assertExit(await site.deploy(), 1)
        assert.match(again.output, /UPGRADING DATABASE STRUCTURE failed/)
        assert.match(again.output, /The database is behind the code: at r2, the code needs r3\./)
        loosen(site, 'upgrade')
        assert.doesNotMatch(assertExit(await site.deploy(), 0).output, /already live/)
        assert.equal(database(site), 'r3')
        assert.equal(await site.live(), second)
        assert.match(assertExit(await site.deploy(), 0).output, /already live/)
      })

      it('is upgraded by the next deployment of what serves, where the rollback was killed', async t => {
        const { site } = await newSiteAtThree(t, { RELEASES })
        site.configure({ DOWNGRADE_DB: `${undoOne}; ${waitingCommand}` })
        const rollback = site.startDeploy(['rollback', '--database'])
        await waitForStep(site)
        kills.everything(site)
        await rollback
        letGo(site)
        assert.equal(database(site), 'r2')
        assert.doesNotMatch(assertExit(await site.deploy(), 0).output, /already live/)
        assert.equal(database(site), 'r3')
        assert.equal(site.read('page.txt'), 'two')
      })

      it('is where the rollback was killed that has taken it there, and the same again completes that', async t => {
        const { site, first } = await newSiteAtThree(t, { RELEASES })
        site.configure({ INSTALL_DEPS: waitingCommand, RESTART: waitingCommand })
        const rollback = site.startDeploy(['rollback', '--database'])
        await waitForStep(site)
        kills.everything(site)
        await rollback
        letGo(site)
        assert.equal(database(site), 'r1')
        assertExit(await site.deploy(['rollback', first, '--database']), 0)
        assert.equal(database(site), 'r1')
        assert.equal(await site.live(), first)
        assert.equal(site.read('page.txt'), 'one')
      })

      it('is not touched by a rollback that fails before DOWNGRADE_DB', async t => {
        const { site, second } = await newSiteAtThree(t, { RELEASES, VERIFY: 'test ! -e "$STEPS.stuck-verify"' })
        stick(site, 'verify')
        const refused = assertExit(await site.deploy(['rollback', '--database']), 1)
        assert.match(refused.output, new RegExp(`${second} is live as before: nothing was changed`))
        loosen(site, 'verify')
        site.configure({ DB_REVISION: 'false' })
        const failed = assertExit(await site.deploy(['rollback', '--database']), 1)
        assert.match(failed.output, new RegExp(`${second} is live as before: nothing was changed`))
        assert.deepEqual(site.steps(), [])
        assert.match(assertExit(await site.deploy(), 0).output, /already live/)
      })
    })
  }

  it('goes forward again where DOWNGRADE_DB exits with 0 and has led elsewhere', async t => {
    const { site } = await newSiteAtThree(t)
    site.configure({ DOWNGRADE_DB: undoOne })
    const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
    assert.match(output, /The database is at r2 after DOWNGRADE_DB, and not at r1/)
    assert.equal(database(site), 'r3')
    assert.equal(site.read('page.txt'), 'two')
  })

  it('goes back with the rollback that is asked for again, once DOWNGRADE_DB works', async t => {
    const { site, first } = await newSiteAtThree(t)
    stick(site, 'r2')
    stick(site, 'upgrade')
    assertExit(await site.deploy(['rollback', '--database']), 1)
    loosen(site, 'r2')
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.equal(database(site), 'r1')
    assert.equal(await site.live(), first)
  })

  it('is upgraded, too, by a rollback to what serves, and not forgotten by one to another commit', async t => {
    const { site, first, second } = await newSiteAtThree(t)
    await deployPage(site, 'three', 'r0 r1 r2 r3 r4')
    stick(site, 'r2')
    stick(site, 'upgrade')
    assertExit(await site.deploy(['rollback', first, '--database']), 1)
    assert.equal(database(site), 'r2')
    assertExit(await site.deploy(['rollback', second]), 0)
    loosen(site, 'upgrade')
    assertExit(await site.deploy(['rollback', second]), 0)
    assert.equal(database(site), 'r3')
  })

  it('is said to be ahead after a deployment that failed after its migrations, and of what serves later', async t => {
    const { site, second } = await newSiteAtThree(t)
    const older = await site.cloneShallow()
    const { output } = await deployPage(site, 'smoke', 'r0 r1 r2 r3 r4', 1)
    const where = /The database was left as it is, ahead of the code: at r4, the code needs r3\./
    assert.match(output, where)
    const again = assertExit(await site.deploy([], {}, older), 0)
    assert.match(again.output, where)
    assert.match(again.output, new RegExp(`${second} IS (LIVE|IN PLACE)`))
  })

  it('is as it was where a failed deployment had no migration to run: then nothing was changed', async t => {
    const { site, second } = await newSiteAtThree(t)
    const { output } = await deployPage(site, 'smoke', 'r0 r1 r2 r3', 1)
    assert.match(output, new RegExp(`${second} is live as before: nothing was changed`))
  })

  it('goes back by the release that has led there, whatever was refused or has failed since', async t => {
    const { site, second } = await newSiteAtThree(t, {
      VERIFY: '! git show "$DEPLOY_COMMIT:page.txt" | grep -q refused',
    })
    await deployPage(site, 'smoke', 'r0 r1 r2 r3 r4', 1)
    await deployPage(site, 'refused', 'r0 r1 r2 r3', 1)
    await deployPage(site, 'install', 'r0 r1 r2 r3', 1)
    await deployPage(site, 'upgrade', 'r0 r1 r2 r3', 1)
    site.steps()
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.deepEqual(site.steps(), ['downgrade by smoke to r3'])
    assert.equal(database(site), 'r3')
    assert.equal(await site.live(), second)
    assert.equal(site.read('page.txt'), 'two')
  })

  it('goes back by the release that has led there, where a rollback has left it ahead and the next commit fails', async t => {
    const { site, first } = await newSiteAtThree(t)
    assertExit(await site.deploy(['rollback']), 0)
    await deployPage(site, 'install', 'r0 r1 r2 r3 r4', 1)
    await deployPage(site, 'install again', 'r0 r1 r2 r3 r4', 1)
    assertExit(await site.deploy(['rollback', first, '--database']), 0)
    assert.equal(database(site), 'r1')
    assert.equal(site.steps().at(-1), 'downgrade by two to r1')
  })
})
