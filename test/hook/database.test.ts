import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { database, deployPage, knows, makeDatabase } from '../lib/database-file.ts'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

const settings = {
  RELEASES: '3',
  SMOKE_TEST: '',
  INSTALL_DEPS: '',
  UPGRADE_DB: `${knows}; tail -n 1 migrations > "$STEPS.database"; ! grep -q half-way page.txt`,
  DB_REVISION: 'echo; cat "$STEPS.database"',
  DOWNGRADE_DB: `echo "downgrade $PWD to $DEPLOY_DB_REVISION" >> "$STEPS"; ${knows}; if grep -q no-way-back page.txt; then exit 1; fi; echo "$DEPLOY_DB_REVISION" > "$STEPS.database"`,
  RESTART: '! grep -q restart-fails page.txt',
}

describe('The database', async () => {
  const { newSite } = await startServer({ after })

  async function newSiteWithDatabase(t: Parameters<typeof newSite>[0], changes: Record<string, string> = {}) {
    const site = await newSite(t)
    site.configure({ ...settings, ...changes })
    makeDatabase(site)
    return site
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

  it('that is there already is not taken back: DOWNGRADE_DB may not know how to do nothing', async t => {
    const site = await newSiteWithDatabase(t)
    await deployPage(site, 'one', 'r0 r1')
    await deployPage(site, 'two', 'r0 r1')
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.equal(site.read('page.txt'), 'one')
    assert.deepEqual(site.steps(), [])
  })

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

    // Nor by one that ends well, and does nothing.
    site.configure({ DOWNGRADE_DB: 'true' })
    const believed = assertExit(await site.deploy(['rollback', '--database']), 1)
    assert.match(believed.output, /The database is at r2 after DOWNGRADE_DB, and not at r1\./)
    assert.equal(site.read('page.txt'), 'two')
  })

  it('whose revision cannot be read fails the deployment before any release is switched', async t => {
    const site = await newSiteWithDatabase(t)
    await deployPage(site, 'one', 'r0 r1')
    site.configure({ DB_REVISION: 'echo r2; false' })
    const { output } = await deployPage(site, 'two', 'r0 r1 r2', 1)
    assert.match(output, /ASKING FOR DATABASE REVISION failed: `echo r2; false` exited with 1/)
    assert.equal(site.read('page.txt'), 'one')
  })

  it('goes back to where it had no revision yet', async t => {
    const site = await newSiteWithDatabase(t, {
      UPGRADE_DB: 'cp migrations "$STEPS.database"',
      DOWNGRADE_DB: 'printf "%s" "$DEPLOY_DB_REVISION" > "$STEPS.database"',
    })
    await deployPage(site, 'one', '')
    await deployPage(site, 'two', 'r1')
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.equal(site.read('page.txt'), 'one')
    assert.equal(database(site), '')
  })
})

describe('What DB_REVISION prints', async () => {
  const { newSite } = await startServer({ after })

  /** A database that is what a commit's `migrations` says, and that goes back by one command. */
  async function newSiteWithRevisions(t: Parameters<typeof newSite>[0], changes: Record<string, string> = {}) {
    const site = await newSite(t)
    site.configure({
      ...settings,
      UPGRADE_DB: 'cp migrations "$STEPS.database"',
      DB_REVISION: 'cat "$STEPS.database"',
      DOWNGRADE_DB: 'echo "to $DEPLOY_DB_REVISION" >> "$STEPS"; echo "$DEPLOY_DB_REVISION" > "$STEPS.database"',
      ...changes,
    })
    return site
  }

  async function deployRevisions(site: Site, page: string, migrations: string) {
    await site.commit({ 'page.txt': page, migrations })
    assertExit(await site.deploy(), 0)
  }

  it('is the revision with all its lines: a database with two heads goes back where only one has moved', async t => {
    const site = await newSiteWithRevisions(t)
    await deployRevisions(site, 'one', 'b1 (head)\na1 (head)\n')
    await deployRevisions(site, 'two', 'a2 (head)\nb1 (head)\n')
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.equal(site.read('page.txt'), 'one')
    assert.deepEqual(site.steps(), ['to a1', 'b1'])
  })

  it('is compared without its order, and without what Alembic says of the code', async t => {
    const site = await newSiteWithRevisions(t, {
      DOWNGRADE_DB: 'printf "%s\n" "b1 (branchpoint) (mergepoint)" "" "  a1" > "$STEPS.database"',
    })
    await deployRevisions(site, 'one', 'a1 (head)\nb1 (effective head)\n')
    await deployRevisions(site, 'two', 'a2 (head)\nb1 (head)\n')
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.equal(site.read('page.txt'), 'one')
  })

  it('on standard error does not count', async t => {
    const site = await newSiteWithRevisions(t, {
      DB_REVISION: 'echo "a warning at $(date +%N)" >&2; cat "$STEPS.database"',
    })
    await deployRevisions(site, 'one', 'a1\n')
    await deployRevisions(site, 'two', 'a2\n')
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.deepEqual(site.steps(), ['to a1'])
  })

  it('is listed with the releases that are kept', async t => {
    const site = await newSiteWithRevisions(t)
    await deployRevisions(site, 'one', 'a1 (head)\nb1 (head)\n')
    assert.match((await site.deploy(['status', '--json'])).output, /"database": "a1\\nb1"/)
  })

  it('may be longer than a command takes: it is recorded, and the database goes back to it', async t => {
    const site = await newSiteWithRevisions(t, { DOWNGRADE_DB: 'echo "$DEPLOY_DB_REVISION" > "$STEPS.database"' })
    const many = Array.from({ length: 5000 }, (_, index) => `app.migration_${index}`)
    await deployRevisions(site, 'one', `${many.join('\n')}\n`)
    await deployRevisions(site, 'two', `${many.join('\n')}\napp.one_more\n`)
    assertExit(await site.deploy(['rollback', '--database']), 0)
    assert.equal(database(site), many.sort().join('\n'))
  })

  it('may be longer than a variable holds: then only going back to it is refused', async t => {
    const site = await newSiteWithRevisions(t)
    await deployRevisions(site, 'one', `${'x'.repeat(200_000)}\n`)
    await deployRevisions(site, 'two', `${'y'.repeat(200_000)}\n`)
    const { output } = assertExit(await site.deploy(['rollback', '--database']), 1)
    assert.match(output, /What DB_REVISION printed for .* is longer than 120 kB/)
    assert.equal(site.read('page.txt'), 'two')
    assert.deepEqual(site.steps(), [])
  })
})
