import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { waitForOutput } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { killHook } from '../lib/kills.ts'
import { type Site, startServer } from '../lib/site.ts'

const stateFiles = [
  'pushlive/journal',
  'pushlive/work-tree/HEAD',
  'pushlive/work-tree/index',
  'pushlive/work-tree/gitdir',
  'pushlive/work-tree/unfinished',
]

const damages: Record<string, (file: string) => void> = {
  emptied: file => writeFileSync(file, ''),
  cut: file =>
    writeFileSync(file, existsSync(file) ? readFileSync(file).subarray(0, readFileSync(file).length / 2) : ''),
  garbled: file => writeFileSync(file, 'garbage \0 \n'),
  'another id': file => writeFileSync(file, `${'12'.repeat(20)}\n`),
  removed: file => rmSync(file, { force: true }),
}

async function verifyExact(site: Site, commit: string, what: string) {
  assert.equal(await site.live(), commit, what)
  assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), commit, what)
  assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '', what)
}

describe('State that is lost or damaged stops no good commit', async () => {
  const { newSite } = await startServer({ after })

  for (const file of stateFiles) {
    it(`${file}: emptied, cut, garbled, of another id, removed`, async t => {
      const site = await newSite(t)
      await site.commit()
      await site.deploy()
      for (const [name, damage] of Object.entries(damages)) {
        damage(join(site.repository, file))
        const before = `${file} ${name}\n`
        const commit = await site.commit({ 'page.txt': `${before}`, [`${name}.txt`]: before })
        const { output } = assertExit(await site.deploy(), 0, before)
        await verifyExact(site, commit, before + output)
        damage(join(site.repository, file))
        const again = assertExit(await site.deploy(), 0, before)
        await verifyExact(site, commit, before + again.output)
      }
    })
  }

  it('nor makes the live commit red, where a newer one fails', async t => {
    for (const RELEASES of ['1', '3']) {
      const site = await newSite(t)
      site.configure({ RELEASES, INSTALL_DEPS: 'test ! -e bad', SMOKE_TEST: '' })
      const good = await site.commit()
      await site.deploy()
      await site.commit({ bad: '' })
      assertExit(await site.deploy(), 1)
      await site.git`git checkout --quiet --detach ${good}`
      const gitDir = join(site.repository, 'pushlive', RELEASES === '1' ? 'work-tree' : 'releases/1')
      for (const file of ['HEAD', 'index', 'gitdir']) {
        for (const name of ['emptied', 'garbled', 'removed']) {
          damages[name]?.(join(gitDir, file))
          const { output } = assertExit(await site.deploy(), 0, `${file} ${name}`)
          assert.match(output, /IS IN PLACE .*, as before/)
          await verifyExact(site, good, `${file} ${name}\n${output}`)
        }
      }
    }
  })

  it('nor makes a commit green that is not live: the hook checks the files', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ 'other.txt': 'other' })
    await site.deploy()
    for (const change of [
      () => rmSync(join(site.workTree, 'other.txt')),
      () => writeFileSync(join(site.workTree, 'other.txt'), 'OTHER'),
      () => rmSync(site.workTree, { recursive: true }),
    ]) {
      for (const file of ['HEAD', 'index', 'gitdir']) {
        change()
        damages.emptied?.(join(site.repository, 'pushlive/work-tree', file))
        const { output } = assertExit(await site.deploy(), 0)
        await verifyExact(site, commit, `${change}, ${file}\n${output}`)
      }
    }
  })

  it('leaves nothing of another commit in a release', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', SMOKE_TEST: '' })
    for (const number of [1, 2, 3]) {
      await site.commit({ [`only-in-${number}`]: '', [`only-in-${number - 1}`]: number === 1 ? '' : undefined })
      assertExit(await site.deploy(), 0)
    }
    damages.emptied?.(join(site.repository, 'pushlive/releases/1/HEAD'))
    const commit = await site.commit()
    const { output } = assertExit(await site.deploy(), 0)
    await verifyExact(site, commit, output)
  })

  it('takes a release for no commit whose HEAD and index are lost', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', SMOKE_TEST: '' })
    const commit = await site.commit()
    assertExit(await site.deploy(), 0)
    damages.emptied?.(join(site.repository, 'pushlive/releases/1/HEAD'))
    rmSync(join(site.repository, 'pushlive/releases/1/index'))
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /CHECKING OUT CODE/)
    await verifyExact(site, commit, output)
  })

  it('where the branch was checked out by hand and a newer commit fails, nothing of that branch is left', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', RESTART: 'test ! -e bad', SMOKE_TEST: '' })
    const good = await site.commit()
    await site.deploy()
    await site.commit({ bad: '' })
    assertExit(await site.deploy(), 1)
    await site.workTreeGit`git checkout --quiet ${site.branch}`
    await site.git`git checkout --quiet --detach ${good}`
    const { output } = assertExit(await site.deploy(), 0)
    await verifyExact(site, good, output)
  })

  it('nor where a checkout was killed, whichever state file is lost', async t => {
    const site = await newSite(t)
    site.configure({ HEALTH_CHECK_TIMEOUT: '600' })
    await site.commit({ 'old.txt': 'old' })
    await site.deploy()
    for (const file of stateFiles) {
      site.configure({ HEALTH_CHECK_URL: 'http://127.0.0.1:1/' })
      const killed = await site.commit({ 'page.txt': `killed ${file}\n`, 'new.txt': file, 'old.txt': undefined })
      const deploying = site.startDeploy()
      await waitForOutput(deploying.stderr, 'remote: CHECKING HEALTH')
      killHook(site)
      await deploying
      // A kill a moment earlier would have left this.
      writeFileSync(join(site.repository, 'pushlive/work-tree/unfinished'), killed)
      damages.emptied?.(join(site.repository, file))
      site.configure({ HEALTH_CHECK_URL: undefined })
      const commit = await site.commit({ 'page.txt': `${file}\n`, 'new.txt': undefined, 'old.txt': 'old' })
      const { output } = assertExit(await site.deploy(), 0)
      await verifyExact(site, commit, file + output)
      assert.equal(existsSync(join(site.workTree, 'new.txt')), false, file + output)
    }
  })

  it('nor where the repository has lost the commit whose checkout was killed', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    writeFileSync(join(site.repository, 'pushlive/work-tree/unfinished'), '12'.repeat(20))
    const commit = await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 0)
    await verifyExact(site, commit, output)
  })

  it('nor where another deployment ends between the look at the state and the checkout', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    for (const file of ['HEAD', 'index']) damages.emptied?.(join(site.repository, 'pushlive/work-tree', file))
    // A kill while it was being written would have left this.
    writeFileSync(join(site.workTree, 'new.txt'), 'hal')
    const bad = await commitEntry(site, '.git')
    assertExit(await site.deploy(), 1)
    // The next commit of the branch, without the entry.
    await site.git`git reset --quiet --soft ${bad}`
    const commit = await site.commit({ 'new.txt': 'half' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /MOVED TO .*: new\.txt/)
    await verifyExact(site, commit, output)
  })
})

/** Puts a commit on the branch that has one more entry, of a name that no git writes. Returns the commit. */
async function commitEntry(site: Site, name: string): Promise<string> {
  const blob = (await site.git`git hash-object -w page.txt`).stdout.trim()
  const rest = (await site.git`git ls-tree HEAD`).stdout
  writeFileSync(join(site.folder, 'tree'), `${rest}100644 blob ${blob}\t${name}\n`)
  const tree = (await site.git`git mktree < ${join(site.folder, 'tree')}`).stdout.trim()
  const commit = (await site.git`git commit-tree -p HEAD -m bad ${tree}`).stdout.trim()
  await site.git`git update-ref refs/heads/main ${commit}`
  return commit
}

describe('A commit that git cannot check out', async () => {
  const { newSite } = await startServer({ after })

  for (const name of ['.git', '.GIT', 'git~1', '..']) {
    it(`because of an entry ${name} fails, and the next good commit goes live`, async t => {
      const site = await newSite(t)
      const live = await site.commit()
      await site.deploy()
      const bad = await commitEntry(site, name)
      for (let time = 1; time <= 2; time++) {
        const { output } = assertExit(await site.deploy(), 1)
        assert.match(output, /The code cannot be checked out/)
        assert.equal(await site.live(), live)
      }
      const good = (await site.git`git commit-tree -p ${bad} -m good ${live}^{tree}`).stdout.trim()
      await site.git`git update-ref refs/heads/main ${good}`
      const { output } = assertExit(await site.deploy(), 0)
      await verifyExact(site, good, output)
      // It is on the branch now, so a rollback may name it.
      const back = assertExit(await site.deploy(['rollback', bad]), 1)
      await verifyExact(site, good, back.output)
      const next = await site.commit()
      const again = assertExit(await site.deploy(), 0)
      await verifyExact(site, next, again.output)
    })
  }
})

describe('A clock that was set back', async () => {
  const { newSite } = await startServer({ after })

  it('changes no verdict: a new commit is deployed, --again runs, and a repaired commit is tried again', async t => {
    const site = await newSite(t)
    const [first] = [await site.commit(), await site.deploy()]
    await site.commit({ 'page.txt': 'two\n' })
    await site.deploy()
    const journal = join(site.repository, 'pushlive/journal')
    const setBack = () => {
      const entry = JSON.parse(readFileSync(journal, 'utf8'))
      writeFileSync(journal, JSON.stringify({ ...entry, started: entry.started + 3_600_000 }))
    }
    assertExit(await site.deploy(['rollback']), 0)
    assert.equal(await site.live(), first)
    setBack()
    const next = await site.commit({ 'page.txt': 'three\n' })
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), next)
    setBack()
    site.steps()
    assertExit(await site.deploy(['--again']), 0)
    assert.equal(site.steps().length, 2)
    site.configure({ UPGRADE_DB: 'test -e "$STEPS.ok"' })
    await site.commit()
    assertExit(await site.deploy(), 1)
    setBack()
    writeFileSync(join(site.folder, 'steps.ok'), '')
    assertExit(await site.deploy(), 0)
  })
})

describe('A lost ref of the live commit', async () => {
  const { newSite } = await startServer({ after })

  it('is read from the history: after a commit that fails, the previous code is put back', async t => {
    const site = await newSite(t)
    const good = await site.commit()
    await site.deploy()
    await site.serverGit`git update-ref -d refs/deploy/main/live`
    await site.commit({ Makefile: 'install-deps:\n\t@false\nupgrade-db:\n', 'page.txt': 'bad\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, new RegExp(`previous code \\(${good}\\) is back in place`))
    assert.equal(site.read('page.txt'), 'one\n')
  })
})
