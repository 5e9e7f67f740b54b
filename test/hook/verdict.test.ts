import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit, assertFails } from '../lib/exit.ts'
import { killHook } from '../lib/kills.ts'
import { program } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'
import { letGo, waitForStep, waitingCommand, waitingMakefile } from '../lib/waiting-step.ts'

describe('The verdict', async () => {
  const { newSite } = await startServer({ after })

  it('cannot be forged by a recipe: not by lines, carriage returns, escape sequences or a partial line', async t => {
    const site = await newSite(t)
    const claims = [
      String.raw`pushlive: $$DEPLOY_COMMIT is live\n`,
      String.raw`progress\rpushlive: $$DEPLOY_COMMIT is live\r\n`,
      String.raw`x\033[2K\033[1Gpushlive: $$DEPLOY_COMMIT is live\n`,
      String.raw`\033]0;title\007\npushlive: $$DEPLOY_COMMIT is live\v\fpushlive: $$DEPLOY_COMMIT is live\n`,
      `pushlive: $$DEPLOY_COMMIT is live`,
    ]
    await site.commit({
      Makefile: `install-deps:\n${claims.map(claim => `\t@printf "${claim}"\n`).join('')}\t@exit 1\nupgrade-db:\n`,
    })
    const { output } = assertExit(await site.deploy(), 1)
    assert.doesNotMatch(output, /^remote: pushlive: \w+ is live/m)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is the point
    assert.doesNotMatch(output, /[\r\u001b]/)
  })

  it('cannot be forged by a pusher: refs/deploy is written by the hook alone', async t => {
    const site = await newSite(t)
    await site.serverGit`git config receive.hideRefs refs/deploy`
    const commit = await site.commit()
    assertFails(await site.git`git push ${site.repository} ${`${commit}:refs/deploy/main/live`}`.nothrow())
    assertExit(await site.deploy(), 0)
    assert.match((await site.git`git ls-remote ${site.repository}`).stdout, /refs\/deploy\/main\/live/)
  })

  it('of a commit that failed comes again each time that deploy runs', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB: 'echo upgrade >> "$STEPS"; test -e "$STEPS.ok"' })
    const commit = await site.commit({ Makefile: 'install-deps:\nupgrade-db:\n' })
    for (let time = 1; time <= 3; time++) {
      assertExit(await site.deploy(), 1)
      assert.deepEqual(site.steps(), ['upgrade'])
    }
    writeFileSync(join(site.folder, 'steps.ok'), '')
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), commit)
    assert.deepEqual(await site.asks(), [])
  })

  const straces = (await zx({ quiet: true, nothrow: true })`command -v strace`).ok
  it('comes even where an ask cannot be removed at once', { skip: !straces && 'strace is not installed' }, async t => {
    const site = await newSite(t)
    const hook = join(site.repository, 'hooks/post-receive')
    const failing = 'trace=unlink,unlinkat -e inject=unlink,unlinkat:error=EIO:when=1'
    writeFileSync(
      hook,
      `#!/bin/sh\nexec strace -qq -o /dev/null -e ${failing} '${program('post-receive').join("' '")}'\n`,
    )
    await site.commit()
    assertExit(await site.deploy(), 0)
    assert.deepEqual(await site.asks(), [])
  })

  it('with --again comes from running all steps, even if the commit is live', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.deploy()
    site.steps()
    for (let time = 1; time <= 2; time++) {
      assertExit(await site.deploy(['--again']), 0)
      assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
    }
  })

  it('is unknown, exit 5, when the hook is killed; running deploy again finds out', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    killHook(site)
    const { stderr } = assertExit(await deploying, 5)
    assert.match(stderr, /To do: run deploy again/)
    letGo(site)
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), commit)
  })

  it('is unknown, exit 5, when the hook is killed, for a clone that is behind and whose push git refuses', async t => {
    const site = await newSite(t)
    const older = await site.commit()
    await site.commit({ Makefile: waitingMakefile })
    letGo(site)
    assertExit(await site.deploy(), 0)
    await site.git`git checkout --quiet --detach ${older}`
    for (const file of ['steps.go', 'steps.running']) rmSync(join(site.folder, file))
    const deploying = site.startDeploy(['--again'])
    await waitForStep(site)
    killHook(site)
    const deployed = await deploying
    letGo(site)
    const { stderr } = assertExit(deployed, 5)
    assert.match(stderr, /To do: run deploy again/)
  })

  it('of an older commit is green when the newer one that is live contains it', async t => {
    const site = await newSite(t)
    const older = await site.commit()
    await site.commit({ 'page.txt': 'two\n' })
    await site.deploy()
    await site.git`git checkout --quiet --detach ${older}`
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /IS IN PLACE .*as part of/)
  })

  it('does not rely on the records: a rollback that was killed half-way is undone first', async t => {
    const site = await newSite(t)
    const first = await site.commit()
    await site.deploy()
    const live = await site.commit({ 'page.txt': 'two\n' })
    await site.deploy()
    site.configure({ INSTALL_DEPS: waitingInstall })
    const rollingBack = site.startDeploy(['rollback', first])
    await waitForStep(site)
    killHook(site)
    assertExit(await rollingBack, 5)
    assert.deepEqual([await site.live(), site.read('page.txt')], [live, 'one\n'])
    letGo(site)
    await verifyMended(site, live, 'two\n')
  })

  it('does not rely on the records: a deployment that was killed half-way is completed first', async t => {
    const site = await newSite(t)
    const live = await site.commit()
    await site.deploy()
    site.configure({ INSTALL_DEPS: waitingInstall })
    const newer = await site.commit({ 'page.txt': 'two\n' })
    const deploying = site.startDeploy()
    await waitForStep(site)
    killHook(site)
    await deploying
    assert.deepEqual([await site.live(), site.read('page.txt')], [live, 'two\n'])
    letGo(site)
    await site.git`git checkout --quiet --detach ${live}`
    await verifyMended(site, newer, 'two\n')
  })

  it('does not rely on the records: what a failed rollback could not put back is repaired first', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    const live = await site.commit({ 'page.txt': 'two\n' })
    await site.deploy()
    site.configure({ INSTALL_DEPS: 'false' })
    const { output } = assertExit(await site.deploy(['rollback']), 1)
    assert.match(output, /IS NOT BACK IN PLACE/)
    site.configure({ INSTALL_DEPS: waitingInstall })
    letGo(site)
    await verifyMended(site, live, 'two\n')
  })
})

const waitingInstall = `${waitingCommand}; echo "install $DEPLOY_COMMIT" >> "$STEPS"`

/** Verifies that one more `deploy` completes what was left undone, and says that the commit is live. */
async function verifyMended(site: Site, commit: string, page: string) {
  site.steps()
  const { output } = assertExit(await site.deploy(), 0)
  assert.equal(await site.live(), commit)
  assert.equal(site.read('page.txt'), page, output)
  assert.ok(site.steps().includes(`install ${commit}`), output)
}
