import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

const servedRelease = (site: Site) => Number(basename(readlinkSync(site.workTree)))

/** What kills the hook in the middle of the restart, where this file is there. */
const killed = 'test ! -e "$STEPS.kill" || kill -KILL "$PPID"'

/** Deploys a commit, and one more whose deployment is killed in the restart. @returns the first, which is live */
async function deployAndKill(site: Site): Promise<string> {
  const live = await site.commit()
  assertExit(await site.deploy(), 0)
  const kill = join(site.folder, 'steps.kill')
  writeFileSync(kill, '')
  await site.commit({ 'page.txt': 'killed\n' })
  assertExit(await site.deploy(), 5)
  rmSync(kill)
  return live
}

/** Deploys a commit as the bash hook does, in a repository without any state of ours. */
async function deployByBash(site: Site, workTree = site.workTree): Promise<string> {
  const commit = await site.commit({ 'only-in-bash.txt': '' })
  mkdirSync(workTree, { recursive: true })
  await site.serverGit`git fetch --quiet ${site.clone} ${`HEAD:refs/heads/${site.branch}`}`
  await site.serverGit`git --work-tree ${workTree} checkout --quiet --force ${site.branch}`
  return commit
}

describe('What served comes back', async () => {
  const { newSite } = await startServer({ after })

  async function verifyBack(site: Site, commit: string, output: string) {
    assert.match(output, new RegExp(`The previous code \\(${commit}\\) is back in place`))
    assert.equal(site.read('page.txt'), (await site.git`git show ${`${commit}:page.txt`}`).stdout, output)
  }

  it('as it was, where the same commit fails when it is deployed again', async t => {
    const site = await newSite(t)
    site.configure({
      RELEASES: '3',
      INSTALL_DEPS: 'cat "$STEPS.dep" > installed',
      RESTART: 'test "$(cat installed)" = good',
    })
    writeFileSync(join(site.folder, 'steps.dep'), 'good')
    await site.commit()
    assertExit(await site.deploy(), 0)
    const live = await site.commit({ 'page.txt': 'two\n' })
    assertExit(await site.deploy(), 0)
    const release = servedRelease(site)
    writeFileSync(join(site.folder, 'steps.dep'), 'bad')

    for (let i = 0; i < 2; i++) {
      const { output } = assertExit(await site.deploy(['--again']), 1)
      await verifyBack(site, live, output)
      assert.equal(servedRelease(site), release, output)
      assert.equal(site.read('installed'), 'good')
      assert.match(assertExit(await site.deploy(), 0).output, /already live/)
    }
  })

  it('a release, also where somebody has checked the branch out in it by hand', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', INSTALL_DEPS: 'cat "$STEPS.dep" > installed', RESTART: 'test ! -e bad' })
    writeFileSync(join(site.folder, 'steps.dep'), 'good')
    const live = await site.commit()
    assertExit(await site.deploy(), 0)
    const release = servedRelease(site)
    await site.workTreeGit`git checkout --quiet ${site.branch}`
    writeFileSync(join(site.folder, 'steps.dep'), 'bad')
    await site.commit({ bad: '' })
    const { output } = assertExit(await site.deploy(), 1)
    await verifyBack(site, live, output)
    assert.equal(servedRelease(site), release, output)
    assert.equal(site.read('installed'), 'good', output)
  })

  for (const RELEASES of ['1', '3']) {
    describe(`with RELEASES=${RELEASES}`, () => {
      it("from the bash hook's folder, and a rollback goes there, too", async t => {
        const site = await newSite(t)
        site.configure({ RELEASES, RESTART: 'test ! -e bad' })
        const first = await deployByBash(site)
        writeFileSync(join(site.workTree, 'untracked.txt'), 'precious')

        await site.commit({ 'page.txt': 'two\n', 'only-in-bash.txt': undefined, bad: '' })
        const { output } = assertExit(await site.deploy(), 1)
        await verifyBack(site, first, output)
        assert.ok(existsSync(join(site.workTree, 'only-in-bash.txt')), output)
        assert.equal(site.read('untracked.txt'), 'precious')
        assert.match((await site.deploy(['status'])).output, new RegExp(`^ {2}● live +${first} .*\n {2}✗ failed `, 'm'))

        await site.commit({ bad: undefined })
        assertExit(await site.deploy(), 0)
        assert.equal(existsSync(join(site.workTree, 'only-in-bash.txt')), false)
        const back = assertExit(await site.deploy(['rollback']), 0)
        assert.match(back.output, new RegExp(`${first} IS (LIVE|IN PLACE)`))
        assert.ok(existsSync(join(site.workTree, 'only-in-bash.txt')), back.output)
      })

      it("changes nothing in the bash hook's folder where VERIFY refuses the commit", async t => {
        const site = await newSite(t)
        site.configure({ RELEASES, VERIFY: 'false', RESTART: 'echo restart >> "$STEPS"; test ! -e bad' })
        const first = await deployByBash(site)
        await site.commit({ 'page.txt': 'two\n', bad: '' })
        const { output } = assertExit(await site.deploy(), 1)
        assert.match(output, new RegExp(`${first} is live as before: nothing was changed`))
        assert.equal(site.read('page.txt'), 'one\n')
        assert.deepEqual(site.steps(), [])
        assert.throws(() => readlinkSync(site.workTree))

        // A failure is in the history by now, and the folder is still the bash hook's.
        site.configure({ VERIFY: '' })
        const again = assertExit(await site.deploy(), 1)
        await verifyBack(site, first, again.output)
      })

      it('where another branch deploys now, and the refs of all deployments are lost', async t => {
        const site = await newSite(t)
        site.configure({ RELEASES, RESTART: 'test ! -e bad' })
        const live = await site.commit()
        assertExit(await site.deploy(), 0)
        for (const ref of ['live', 'history']) await site.serverGit`git update-ref -d ${`refs/deploy/main/${ref}`}`
        site.configure({ BRANCH_NAME: 'production' })
        await site.git`git branch --move production`
        // It lets in the branch of the installation.
        rmSync(join(site.repository, 'hooks/update'))

        await site.commit({ 'page.txt': 'two\n', bad: '' })
        const { output } = assertExit(await site.deploy([], { BRANCH_NAME: 'production' }), 1)
        await verifyBack(site, live, output)
        await site.commit({ bad: undefined })
        assertExit(await site.deploy([], { BRANCH_NAME: 'production' }), 0)
        assertExit(await site.deploy(['rollback'], { BRANCH_NAME: 'production' }), 0)
        assert.equal(site.read('page.txt'), 'one\n')
      })

      it('after a deployment that was killed in the restart', async t => {
        const site = await newSite(t)
        site.configure({ RELEASES, RESTART: `${killed}; test ! -e bad` })
        const live = await deployAndKill(site)
        await site.commit({ 'page.txt': 'bad\n', bad: '' })
        const { output } = assertExit(await site.deploy(), 1)
        await verifyBack(site, live, output)
      })

      it('after such a kill, also where VERIFY refuses the next commit and RELEASES is another by then', async t => {
        const site = await newSite(t)
        site.configure({ RELEASES, INSTALL_DEPS: 'cp page.txt installed', RESTART: killed })
        const live = await deployAndKill(site)
        site.configure({ RELEASES: RELEASES === '1' ? '3' : '1', VERIFY: 'false' })
        await site.commit({ 'page.txt': 'refused\n' })
        const { output } = assertExit(await site.deploy(), 1)
        await verifyBack(site, live, output)
        assert.equal(site.read('installed'), 'one\n')
      })

      it('after such a kill, also where the next commit fails after RELEASES was changed', async t => {
        const site = await newSite(t)
        site.configure({ RELEASES, INSTALL_DEPS: 'cp page.txt installed', RESTART: `${killed}; test ! -e bad` })
        const live = await deployAndKill(site)
        site.configure({ RELEASES: RELEASES === '1' ? '3' : '1' })
        await site.commit({ 'page.txt': 'bad\n', bad: '' })
        const { output } = assertExit(await site.deploy(), 1)
        await verifyBack(site, live, output)
        assert.equal(site.read('installed'), 'one\n')
        assertExit(await site.deploy(), 1)
        assert.equal(site.read('page.txt'), 'one\n')
      })

      it('and a success that was recorded counts, where the hook was killed right after it', async t => {
        const site = await newSite(t)
        site.configure({ RELEASES, RESTART: 'test ! -e bad' })
        await site.commit()
        assertExit(await site.deploy(), 0)
        const second = await site.commit({ 'page.txt': 'two\n' })
        assertExit(await site.deploy(), 0)
        // The journal as it is between the record and its end.
        const file = join(site.repository, 'pushlive/journal')
        const { outcome: _, ...entry } = JSON.parse(readFileSync(file, 'utf8'))
        writeFileSync(file, JSON.stringify({ ...entry, touched: { code: true, application: true } }))
        await site.commit({ 'page.txt': 'bad\n', bad: '' })
        const { output } = assertExit(await site.deploy(), 1)
        await verifyBack(site, second, output)
      })

      it('in another folder nothing served: its files are not overwritten, and none counts as changed', async t => {
        const site = await newSite(t)
        const [a, b] = [site.workTree, join(site.folder, 'other')]
        const enter = (folder: string) =>
          site.configure({ RELEASES, PATH_TO_GIT_WORK_TREE: folder, PATH_TO_WSGI: join(folder, 'wsgi.py') })
        enter(a)
        await site.commit()
        assertExit(await site.deploy(), 0)
        await site.commit({ stale: 'stale' })
        assertExit(await site.deploy(), 0)
        enter(b)
        await site.commit({ stale: undefined })
        assert.doesNotMatch(assertExit(await site.deploy(), 0).output, /LOCAL CHANGES/)
        assert.equal(existsSync(join(b, 'stale')), false)
        enter(a)
        await site.commit({ 'page.txt': 'four\n' })
        const { output } = assertExit(await site.deploy(), 0)
        assert.doesNotMatch(output, /LOCAL CHANGES/)
        assert.equal(existsSync(join(a, 'stale')), false, output)
        // The smoke test has loaded the WSGI file, as a server does.
        assert.equal((await site.workTreeGit`git status --porcelain`).stdout.replace('?? __pycache__/\n', ''), '')
      })
    })
  }

  it("in place, the bash hook's commit is live by its name, however often the next one cannot be checked out", async t => {
    const site = await newSite(t)
    site.configure({ RESTART: 'test ! -e bad' })
    const first = await deployByBash(site)
    writeFileSync(join(site.workTree, 'mine.txt'), 'precious')
    await site.commit({ 'mine.txt': 'in the way\n', bad: '' })
    for (let i = 0; i < 2; i++) {
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, new RegExp(`${first} is live as before: nothing was changed`))
      assert.equal(site.read('mine.txt'), 'precious')
    }
    await site.git`git checkout --quiet ${first}`
    assertExit(await site.deploy(), 0)
    await site.git`git checkout --quiet ${site.branch}`
    rmSync(join(site.workTree, 'mine.txt'))
    const { output } = assertExit(await site.deploy(), 1)
    await verifyBack(site, first, output)
  })

  it('in place, where a file of the users is in the way in another folder, nothing is begun', async t => {
    const site = await newSite(t)
    await site.commit()
    assertExit(await site.deploy(), 0)
    const other = join(site.folder, 'other')
    mkdirSync(other)
    writeFileSync(join(other, 'page.txt'), 'precious')
    site.configure({ PATH_TO_GIT_WORK_TREE: other, PATH_TO_WSGI: join(other, 'wsgi.py') })
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /Files that git does not know are in the way[^\n]*: page\.txt/)
    assert.equal(readFileSync(join(other, 'page.txt'), 'utf8'), 'precious')
  })

  it('in place, nothing serves in a folder of unknown code, however often its files are in the way', async t => {
    const site = await newSite(t)
    mkdirSync(site.workTree)
    writeFileSync(join(site.workTree, 'page.txt'), 'by hand')
    await site.commit()
    for (let i = 0; i < 2; i++) {
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /is not live: .* are in the way in \S+: page\.txt\. Nothing was changed\.$/m)
      assert.equal(site.read('page.txt'), 'by hand')
    }
  })

  it('a folder of unknown code becomes a release that comes back as it was', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', RESTART: 'test ! -e bad' })
    mkdirSync(site.workTree)
    writeFileSync(join(site.workTree, 'index.html'), 'by hand')
    await site.commit({ bad: '' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /The previous code \(\S+\.releases\/1\) is back in place/)
    assert.equal(site.read('index.html'), 'by hand')
  })

  it('the link of another repository is not touched, whatever the journal says', async t => {
    const [mine, theirs] = [await newSite(t), await newSite(t)]
    theirs.configure({ RELEASES: '3' })
    await theirs.commit()
    assertExit(await theirs.deploy(), 0)
    mine.configure({ RELEASES: '3' })
    await mine.commit({ 'page.txt': 'mine\n' })
    assertExit(await mine.deploy(), 0)
    rmSync(join(mine.repository, 'pushlive/journal'))
    for (const RELEASES of ['3', '1']) {
      mine.configure({
        RELEASES,
        PATH_TO_GIT_WORK_TREE: theirs.workTree,
        PATH_TO_WSGI: join(theirs.workTree, 'wsgi.py'),
      })
      await mine.commit()
      const { output } = assertExit(await mine.deploy(), 1)
      assert.match(output, /belongs to another repository/)
      assert.equal(servedRelease(theirs), 1, output)
      assert.equal(theirs.read('page.txt'), 'one\n')
      assert.match(assertExit(await theirs.deploy(), 0).output, /already live/)
    }
  })

  it('a link that the user has made in place of the folder stays, with what it leads to', async t => {
    const site = await newSite(t)
    const real = join(site.folder, 'real')
    mkdirSync(real)
    symlinkSync(real, site.workTree)
    site.configure({ RESTART: 'test ! -e bad' })
    const live = await site.commit()
    assertExit(await site.deploy(), 0)
    await site.commit({ 'page.txt': 'bad\n', bad: '' })
    const { output } = assertExit(await site.deploy(), 1)
    await verifyBack(site, live, output)
    assert.equal(readlinkSync(site.workTree), real)
  })
})
