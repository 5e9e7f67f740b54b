import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

/**
 * A database that is a file with its revision. A commit knows the way up to its own revision from those that it has
 * scripts for, and the way back to them; from any other it fails, as Alembic does ("Can't locate revision").
 */
const knows = 'grep -qx "$(cat "$STEPS.database")" migrations || { echo "Can\'t locate revision" >&2; exit 1; }'
const settings = {
  RELEASES: '3',
  SMOKE_TEST: '',
  INSTALL_DEPS: '',
  UPGRADE_DB: `${knows}; tail -n 1 migrations > "$STEPS.database"; ! grep -q half-way page.txt`,
  DB_REVISION: 'echo; cat "$STEPS.database"',
  DOWNGRADE_DB: `echo "downgrade $PWD to $DEPLOY_DB_REVISION" >> "$STEPS"; ${knows}; if grep -q no-way-back page.txt; then exit 1; fi; echo "$DEPLOY_DB_REVISION" > "$STEPS.database"`,
  RESTART: '! grep -q restart-fails page.txt',
}
const database = (site: Site) => readFileSync(join(site.folder, 'steps.database'), 'utf8').trim()

describe('The database', async () => {
  const { newSite } = await startServer({ after })

  async function newSiteWithDatabase(t: Parameters<typeof newSite>[0], changes: Record<string, string> = {}) {
    const site = await newSite(t)
    site.configure({ ...settings, ...changes })
    writeFileSync(join(site.folder, 'steps.database'), 'r0\n')
    return site
  }

  async function deployPage(site: Site, page: string, migrations: string, expected = 0) {
    const commit = await site.commit({ 'page.txt': page, migrations: migrations.replaceAll(' ', '\n').concat('\n') })
    const { output } = assertExit(await site.deploy(), expected)
    return { commit, output }
  }

  for (const RELEASES of ['3', '1']) {
    describe(`with RELEASES=${RELEASES}`, () => {
      it('is left as it is by a rollback, because older code has no migration forward', async t => {
        const site = await newSiteWithDatabase(t, { RELEASES })
        await deployPage(site, 'one', 'r0 r1')
        await deployPage(site, 'two', 'r0 r1 r2')
        assertExit(await site.deploy(['rollback']), 0)
        assert.equal(site.read('page.txt'), 'one')
        assert.equal(database(site), 'r2')
      })

      it('goes back with `rollback --database`, by the newer release, and forward with the next push', async t => {
        const site = await newSiteWithDatabase(t, { RELEASES })
        await deployPage(site, 'one', 'r0 r1')
        await deployPage(site, 'two', 'r0 r1 r2')
        assertExit(await site.deploy(['rollback', '--database']), 0)
        assert.equal(site.read('page.txt'), 'one')
        assert.equal(database(site), 'r1')
        const newer = RELEASES === '1' ? site.workTree : `${site.workTree}.releases/2`
        assert.deepEqual(site.steps(), [`downgrade ${newer} to r1`])
        await deployPage(site, 'three', 'r0 r1 r2 r3')
        assert.equal(database(site), 'r3')
      })

      it("goes back to the commit's own revision, even after a rollback without --database", async t => {
        const site = await newSiteWithDatabase(t, { RELEASES })
        const one = await deployPage(site, 'one', 'r0 r1')
        await deployPage(site, 'two', 'r0 r1 r2')
        await site.deploy(['rollback'])
        await deployPage(site, 'three', 'r0 r1 r2 r3')
        assertExit(await site.deploy(['rollback', one.commit, '--database']), 0)
        assert.equal(site.read('page.txt'), 'one')
        assert.equal(database(site), 'r1')
      })

      it('goes forward with a rollback to a newer commit', async t => {
        const site = await newSiteWithDatabase(t, { RELEASES })
        await deployPage(site, 'one', 'r0 r1')
        const two = await deployPage(site, 'two', 'r0 r1 r2')
        await site.deploy(['rollback', '--database'])
        assertExit(await site.deploy(['rollback', two.commit]), 0)
        assert.equal(site.read('page.txt'), 'two')
        assert.equal(database(site), 'r2')
      })

      it('that cannot go back leaves everything as it is', async t => {
        const site = await newSiteWithDatabase(t, { RELEASES })
        await deployPage(site, 'one', 'r0 r1')
        const two = await deployPage(site, 'no-way-back', 'r0 r1 r2')
        const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
        assert.match(output, /TAKING DATABASE BACK failed/)
        assert.match(output, new RegExp(`${two.commit} is live as before`))
        assert.equal(site.read('page.txt'), 'no-way-back')
        assert.equal(await site.live(), two.commit)
      })

      it('goes forward again where the older code does not start', async t => {
        const site = await newSiteWithDatabase(t, { RELEASES })
        await deployPage(site, 'one', 'r0 r1')
        await deployPage(site, 'two', 'r0 r1 r2')
        site.configure({ RESTART: '! grep -q one page.txt' })
        const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
        assert.match(output, /The previous code .* is back in place\.$/m)
        assert.equal(site.read('page.txt'), 'two')
        assert.equal(database(site), 'r2')
      })
    })
  }

  it("goes back to the live commit's revision where a rollback has left it ahead", async t => {
    const site = await newSiteWithDatabase(t)
    const one = await deployPage(site, 'one', 'r0 r1')
    await deployPage(site, 'two', 'r0 r1 r2')
    await site.deploy(['rollback'])
    assertExit(await site.deploy(['rollback', one.commit, '--database']), 0)
    assert.deepEqual(site.steps(), [`downgrade ${site.workTree}.releases/2 to r1`])
    assert.equal(site.read('page.txt'), 'one')
    assert.equal(database(site), 'r1')
  })

  it("goes back after a deployment that failed after its migrations, by the failed release's command", async t => {
    const site = await newSiteWithDatabase(t)
    const one = await deployPage(site, 'one', 'r0 r1')
    const { output } = await deployPage(site, 'half-way', 'r0 r1 r2', 1)
    assert.match(output, /The database was left as it is/)
    assert.equal(database(site), 'r2')
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.equal(database(site), 'r1')
    assert.equal(await site.live(), one.commit)
    assert.deepEqual(site.steps(), [`downgrade ${site.workTree}.releases/2 to r1`])
  })

  it('of a failed deployment in place cannot go back, and the message says so', async t => {
    const site = await newSiteWithDatabase(t, { RELEASES: '1' })
    await deployPage(site, 'one', 'r0 r1')
    const { commit } = await deployPage(site, 'half-way', 'r0 r1 r2', 1)
    const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
    assert.match(output, new RegExp(`The code of ${commit}, which alone knows the way back, is not there`))
  })

  it('cannot go back without DOWNGRADE_DB, and no release is switched', async t => {
    const site = await newSiteWithDatabase(t)
    site.configure({ DOWNGRADE_DB: undefined })
    await deployPage(site, 'one', 'r0 r1')
    await deployPage(site, 'two', 'r0 r1 r2')
    const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
    assert.match(output, /DOWNGRADE_DB and DB_REVISION say how the database goes back, and are not set/)
    assert.equal(site.read('page.txt'), 'two')
  })

  it('whose revision cannot be read fails the deployment before any release is switched', async t => {
    const site = await newSiteWithDatabase(t)
    await deployPage(site, 'one', 'r0 r1')
    site.configure({ DB_REVISION: 'true' })
    const { output } = await deployPage(site, 'two', 'r0 r1 r2', 1)
    assert.match(output, /DB_REVISION \(`true`\) prints nothing/)
    assert.equal(site.read('page.txt'), 'one')
  })
})
