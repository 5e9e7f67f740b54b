import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('BUILD', async () => {
  const { newSite } = await startServer({ after })
  const settings = {
    INSTALL_DEPS: 'echo install >> "$STEPS"; test ! -e "$STEPS.offline"',
    INSTALL_DEPS_IF_CHANGED: 'deps.lock',
    BUILD: 'echo "build $(cat page.txt)" >> "$STEPS"; grep -v fails page.txt > built.txt',
    UPGRADE_DB: 'echo upgrade >> "$STEPS"',
    RESTART: 'echo restart >> "$STEPS"; ! grep -q stopped page.txt',
  }

  for (const RELEASES of ['1', '3']) {
    it(`runs for each commit between install and upgrade, also where the install is skipped, RELEASES=${RELEASES}`, async t => {
      const site = await newSite(t)
      site.configure({ ...settings, RELEASES })
      for (const page of ['a', 'b', 'c', 'd']) {
        await site.commit({ 'page.txt': page })
        assertExit(await site.deploy(), 0)
        const isSkipped = RELEASES === '1' ? page !== 'a' : page === 'd'
        assert.deepEqual(site.steps(), [...(isSkipped ? [] : ['install']), `build ${page}`, 'upgrade', 'restart'])
        assert.equal(site.read('built.txt'), `${page}\n`)
      }
    })
  }

  it('that fails in place runs again for the previous code, with no other step', async t => {
    const site = await newSite(t)
    site.configure(settings)
    const good = await site.commit({ 'page.txt': 'good' })
    await site.deploy()
    site.steps()
    writeFileSync(join(site.folder, 'steps.offline'), '')
    await site.commit({ 'page.txt': 'fails' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, new RegExp(`BUILDING failed: .* The previous code \\(${good}\\) is back in place\\.`))
    assert.deepEqual(site.steps(), ['build fails', 'build good'])
    assert.equal(site.read('built.txt'), 'good\n')
  })

  it('runs again for the previous code where a later step fails in place', async t => {
    const site = await newSite(t)
    site.configure(settings)
    await site.commit({ 'page.txt': 'good' })
    await site.deploy()
    site.steps()
    await site.commit({ 'page.txt': 'stopped' })
    assertExit(await site.deploy(), 1)
    assert.deepEqual(site.steps(), ['build stopped', 'upgrade', 'restart', 'build good', 'restart'])
    assert.equal(site.read('built.txt'), 'good\n')
  })

  it('does not run for a switch to a release that is complete, which one is not where an install failed since', async t => {
    const site = await newSite(t)
    site.configure({ ...settings, RELEASES: '3' })
    let commit = ''
    for (const page of ['a', 'b']) {
      commit = await site.commit({ 'page.txt': page })
      await site.deploy()
    }
    site.steps()
    assertExit(await site.deploy(['rollback']), 0)
    assert.deepEqual(site.steps(), ['restart'])
    assert.equal(site.read('built.txt'), 'a\n')
    const offline = join(site.folder, 'steps.offline')
    writeFileSync(offline, '')
    assertExit(await site.deploy(['--again']), 1)
    rmSync(offline)
    site.steps()
    assertExit(await site.deploy(['rollback', commit]), 0)
    assert.deepEqual(site.steps(), ['install', 'build b', 'upgrade', 'restart'])
  })

  it('runs in the virtual environment of the release, which is made for it where nothing is installed', async t => {
    const site = await newSite(t)
    site.configure({
      RELEASES: '3',
      PATH_TO_VENV: '.venv',
      INSTALL_DEPS: '',
      BUILD: 'python -c "import sys; print(sys.prefix)" > built.txt',
      UPGRADE_DB: '',
      RESTART: '',
    })
    await site.commit()
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('built.txt'), `${site.workTree}.releases/1/.venv\n`)
  })
})
