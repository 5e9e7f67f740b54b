import assert from 'node:assert/strict'
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('After a failure', async () => {
  const { newSite } = await startServer({ after })

  it('the previous code is back: all tracked files, and the dependencies if they were being installed', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB: 'test -e "$STEPS.ok"', RESTART: 'echo restart >> "$STEPS"' })
    writeFileSync(join(site.folder, 'steps.ok'), '')
    const good = await site.commit({ 'kept.txt': 'kept', 'thing/inside': 'x' })
    await site.deploy()
    site.steps()
    rmSync(join(site.folder, 'steps.ok'))
    site.write({ thing: undefined })
    const bad = await site.commit({ 'kept.txt': undefined, thing: 'a file', 'new.txt': 'new' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, new RegExp(`The previous code \\(${good}\\) is back in place`))
    assert.deepEqual(site.steps(), [`install ${bad}`, `install ${good}`])
    assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), good)
    assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '')
    assert.throws(() => site.read('new.txt'))
  })

  it('of the restart the old code is started again', async t => {
    const site = await newSite(t)
    site.configure({ RESTART: 'echo restart "$DEPLOY_COMMIT" >> "$STEPS"; test "$(cat page.txt)" = one' })
    const good = await site.commit()
    await site.deploy()
    site.steps()
    const bad = await site.commit({ 'page.txt': 'two\n' })
    assertExit(await site.deploy(), 1)
    const steps = site.steps().filter(step => step.startsWith('restart'))
    assert.deepEqual(steps, [`restart ${bad}`, `restart ${good}`])
  })

  it('or before one, the checkout itself does not touch the WSGI file, even where the commit changes it', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB: 'test "$(cat page.txt)" = one' })
    await site.commit()
    await site.deploy()
    const touched = () => statSync(join(site.workTree, 'wsgi.py'), { bigint: true }).mtimeNs
    const before = touched()
    await site.commit({ 'page.txt': 'two\n' })
    assertExit(await site.deploy(), 1)
    assert.equal(touched(), before)
    await site.commit({ 'wsgi.py': 'application = "changed"\n' })
    assertExit(await site.deploy(), 1)
    assert.equal(touched(), before)
    assert.equal(site.read('wsgi.py'), 'application = None\n')
    await site.commit({ 'page.txt': 'one\n' })
    assertExit(await site.deploy(), 0)
    assert.ok(touched() > before)
  })

  it('names the migrations between the two commits', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB_IF_CHANGED: 'migrations', RESTART: 'test "$(cat page.txt)" = one' })
    await site.commit()
    await site.deploy()
    await site.commit({ 'page.txt': 'two\n', 'migrations/001.sql': '', 'other.sql': '' })
    const { output } = await site.deploy()
    assert.match(output, /may be ahead of the code by migrations\/001\.sql\./)
  })

  it('of the restart alone, the code is back, and the next push restarts it', async t => {
    const site = await newSite(t)
    site.configure({ RESTART: 'test ! -e "$STEPS.denied" && echo restart >> "$STEPS"' })
    const good = await site.commit()
    await site.deploy()
    writeFileSync(join(site.folder, 'steps.denied'), '')
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, new RegExp(`previous code \\(${good}\\) is back in place, BUT ITS RESTART FAILED, TOO`))
    assert.equal(site.read('page.txt'), 'one\n')
    rmSync(join(site.folder, 'steps.denied'))
    site.steps()
    assertExit(await site.deploy(['rollback', good]), 0)
    assert.ok(site.steps().includes('restart'))
  })

  it('of the restore itself, both errors are shown, and the next push repairs it', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'test ! -e "$STEPS.broken"' })
    const good = await site.commit()
    await site.deploy()
    writeFileSync(join(site.folder, 'steps.broken'), '')
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(
      output,
      /INSTALLING DEPENDENCIES failed: .*exited with 1\. AND THE PREVIOUS CODE .* IS NOT BACK IN PLACE/,
    )
    assert.doesNotMatch(output, /is back in place/)
    rmSync(join(site.folder, 'steps.broken'))
    assertExit(await site.deploy(['rollback', good]), 0)
    assert.equal(await site.live(), good)
  })
})
