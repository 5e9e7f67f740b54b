import assert from 'node:assert/strict'
import { chmodSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

/** What an installer does to files of the commit: rewrite, remove, make executable, replace by a link, end lines anew. */
const rewriting = [
  'echo install >> "$STEPS"',
  'test ! -e "$STEPS.offline"',
  'echo rewritten > package-lock.json',
  'rm gone.txt',
  'chmod +x run.sh',
  'ln -sf package-lock.json linked.txt',
  'printf "a\\r\\n" > lines.txt',
  'git add package-lock.json',
  'echo compiled > "$(printf "caf\\351.mo")"',
].join(' && ')

const settings = {
  INSTALL_DEPS: rewriting,
  UPGRADE_DB: '',
  RESTART: 'echo restart >> "$STEPS"; ! grep -q fails page.txt',
}

describe('A commit whose own steps rewrite its files', async () => {
  const { newSite } = await startServer({ after })

  async function newRewritingSite(t: Parameters<typeof newSite>[0], RELEASES: string) {
    const site = await newSite(t)
    site.configure({ ...settings, RELEASES })
    site.write({ 'package-lock.json': '{}', 'gone.txt': '', 'run.sh': '', 'linked.txt': '', 'lines.txt': 'a\n' })
    // A name that is no UTF-8.
    writeFileSync(Buffer.from(`${site.clone}/caf\xe9.mo`, 'latin1'), 'source')
    return site
  }

  async function deployPage(site: Site, page: string, expected = 0) {
    const commit = await site.commit({ 'page.txt': page })
    const { output } = assertExit(await site.deploy(), expected)
    return { commit, output }
  }

  for (const RELEASES of ['1', '3']) {
    const where = RELEASES === '1' ? 'in place' : 'with releases'

    it(`is already live when it is deployed again, ${where}`, async t => {
      const site = await newRewritingSite(t, RELEASES)
      await deployPage(site, 'a')
      const { commit } = await deployPage(site, 'b')
      site.steps()
      const { output } = assertExit(await site.deploy(), 0)
      assert.match(output, new RegExp(`${commit} is live: already live`))
      assert.deepEqual(site.steps(), [])
    })

    it(`is not said to be changed by hand, ${where}`, async t => {
      const site = await newRewritingSite(t, RELEASES)
      for (const page of ['a', 'b', 'c', 'd']) {
        assert.doesNotMatch((await deployPage(site, page)).output, /LOCAL CHANGES|UNDONE/)
      }
      const { output } = await deployPage(site, 'fails', 1)
      assert.doesNotMatch(output, /LOCAL CHANGES/)
      assert.doesNotMatch((await deployPage(site, 'e')).output, /LOCAL CHANGES|UNDONE/)
    })

    it(`is live as before after another one has failed, and says so, ${where}`, async t => {
      const site = await newRewritingSite(t, RELEASES)
      const good = await deployPage(site, 'good')
      const { output } = await deployPage(site, 'fails', 1)
      assert.match(output, new RegExp(`The previous code \\(${good.commit}\\) is back in place`))
      site.steps()
      await site.git`git checkout --quiet --detach ${good.commit}`
      assertExit(await site.deploy(), 0)
      assert.deepEqual(site.steps(), [])
    })

    it(`is deployed again where somebody has changed a file since, ${where}`, async t => {
      const site = await newRewritingSite(t, RELEASES)
      await deployPage(site, 'a')
      const file = (name: string) => join(site.workTree, name)
      const edits: Record<string, () => void> = {
        'a file that no step has touched': () => writeFileSync(file('page.txt'), 'mine'),
        'what a step has rewritten': () => writeFileSync(file('package-lock.json'), 'mine'),
        'what a step has rewritten, back to the commit': () => writeFileSync(file('package-lock.json'), '{}'),
        'what a step has removed, back to the commit': () => writeFileSync(file('gone.txt'), ''),
        'a mode': () => chmodSync(file('run.sh'), 0o644),
        'where a link leads': () => {
          rmSync(file('linked.txt'))
          symlinkSync('page.txt', file('linked.txt'))
        },
      }
      for (const [what, edit] of Object.entries(edits)) {
        site.steps()
        edit()
        const { output } = assertExit(await site.deploy(), 0)
        assert.doesNotMatch(output, /already live/, what)
        assert.deepEqual(site.steps(), ['install', 'restart'], what)
        assert.deepEqual([site.read('page.txt'), site.read('package-lock.json')], ['a', 'rewritten\n'], what)
      }
    })

    it(`has its changes by hand named, and not those of its steps, ${where}`, async t => {
      const site = await newRewritingSite(t, RELEASES)
      await deployPage(site, 'a')
      writeFileSync(join(site.workTree, 'wsgi.py'), 'mine')
      writeFileSync(join(site.workTree, 'lines.txt'), 'mine')
      const { output } = await deployPage(site, 'b')
      assert.match(output, /LOCAL CHANGES (UNDONE|LEFT BEHIND in \S+): lines\.txt, wsgi\.py$/m)
    })
  }

  it('is switched back to by a rollback, with no install', async t => {
    const site = await newRewritingSite(t, '3')
    const first = await deployPage(site, 'first')
    await deployPage(site, 'second')
    site.steps()
    assertExit(await site.deploy(['rollback']), 0)
    assert.equal(await site.live(), first.commit)
    assert.deepEqual(site.steps(), ['restart'])
    assertExit(await site.deploy(), 0)
    site.steps()
    assertExit(await site.deploy(['rollback']), 0)
    assert.deepEqual(site.steps(), ['restart'])
  })

  it('is switched back to after a failure, also where nothing can be installed any more', async t => {
    const site = await newRewritingSite(t, '3')
    const good = await deployPage(site, 'good')
    site.configure({ RESTART: `touch "$STEPS.offline"; ${settings.RESTART}` })
    const { output } = await deployPage(site, 'fails', 1)
    assert.match(output, new RegExp(`The previous code \\(${good.commit}\\) is back in place`))
    assert.equal(site.read('page.txt'), 'good')
    assert.equal(readlinkSync(site.workTree), 'www.releases/1')
  })

  it('is made anew by a rollback where somebody has changed what its steps left', async t => {
    const site = await newRewritingSite(t, '3')
    const first = await deployPage(site, 'first')
    await deployPage(site, 'second')
    writeFileSync(join(`${site.workTree}.releases`, '1/package-lock.json'), 'mine')
    site.steps()
    assertExit(await site.deploy(['rollback']), 0)
    assert.equal(await site.live(), first.commit)
    assert.deepEqual(site.steps(), ['install', 'restart'])
    assert.equal(site.read('package-lock.json'), 'rewritten\n')
  })

  it('is whole with a file that its restart rewrites', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', RESTART: 'echo "$DEPLOY_COMMIT" > version.txt; echo restart >> "$STEPS"' })
    site.write({ 'version.txt': '' })
    for (const page of ['a', 'b']) await deployPage(site, page)
    site.steps()
    assertExit(await site.deploy(), 0)
    assert.deepEqual(site.steps(), [])
    assertExit(await site.deploy(['rollback']), 0)
    assert.deepEqual(site.steps(), ['restart'])
  })
})
