import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { check } from '../lib/checks.ts'
import { waitFor } from '../lib/events.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
import { newPlace } from '../lib/place.ts'
import { waitingHooks } from '../lib/processes.ts'
import { startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'
import { letGo, waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

describe('A server with ACCEPT=any', async () => {
  const { newSite } = await startServer({ after })

  async function newStaging(t: CleansUp) {
    const site = await newSite(t)
    site.configure({ ACCEPT: 'any' })
    await site.serverGit`git config receive.denyNonFastForwards false`
    return site
  }

  it('takes a branch, a tag and a rewritten branch by --force, and goes back to each of them', async t => {
    const site = await newStaging(t)
    const { git } = site
    const verifyLive = async (commit: string, page: string) =>
      assert.deepEqual([await site.live(), site.read('page.txt')], [commit, page])

    const first = await site.commit()
    assertExit(await site.deploy(), 0)
    await git`git checkout --quiet -b feature/x`
    const feature = await site.commit({ 'page.txt': 'feature\n' })
    const { output } = assertExit(await site.deploy(['--force']), 0)
    assert.match(output, new RegExp(`^PUSHING ${feature} TO main, WHATEVER THAT IS`, 'm'))
    await verifyLive(feature, 'feature\n')

    await git`git checkout --quiet main`
    await git`git commit --quiet --amend --message ${'Rewritten'}`
    const rewritten = await site.commit({ 'page.txt': 'rewritten\n' })
    const plain = assertExit(await site.deploy(), 4)
    assert.match(plain.output, /is what was live last; deploy --force puts it there all the same/)
    assertExit(await site.deploy(['--force', 'main']), 0)
    await verifyLive(rewritten, 'rewritten\n')

    const tagged = await site.commit({ 'page.txt': 'tagged\n' })
    await git`git tag --annotate --message ${'x'} v1`
    await git`git checkout --quiet feature/x`
    site.steps()
    for (const options of [['--force'], ['--force', '--again']]) {
      assertExit(await site.deploy([...options, 'v1']), 0)
      assert.deepEqual(site.steps(), [`install ${tagged}`, `upgrade ${tagged}`])
    }
    assertFails(await git`git push ${site.repository} +main~:refs/tags/v1`.nothrow())

    await site.serverGit`git reflog expire --expire=now --expire-unreachable=now --all`
    await site.serverGit`git gc --quiet --prune=now`
    assertExit(await site.deploy(['rollback', feature]), 0)
    await verifyLive(feature, 'feature\n')
    assertExit(await site.deploy(['rollback']), 0)
    await verifyLive(first, 'one\n')
    // The database has migrations that this code may lack.
    assert.deepEqual(site.steps(), [`install ${feature}`, `install ${first}`])
    assertExit(await site.deploy(['rollback', rewritten, '--database']), 1)
    assertExit(await site.deploy(['rollback', rewritten]), 0)
    // It may lack those of this code, since the database may have gone back.
    assert.deepEqual(site.steps(), [`install ${rewritten}`, `upgrade ${rewritten}`])
    const shallow = await site.cloneShallow()
    for (const command of ['status', 'history', 'report']) assertExit(await site.deploy([command], {}, shallow), 0)
  })

  it('calls no commit live over which another one was pushed', async t => {
    const site = await newStaging(t)
    const first = await site.commit({ Makefile: waitingMakefile })
    const deploying = [site.startDeploy()]
    await waitForStep(site)
    for (const page of ['two', 'three']) {
      await site.git`git checkout --quiet -B ${page} ${first}`
      const commit = await site.commit({ 'page.txt': page })
      deploying.push(site.startDeploy(['--force']))
      await waitFor('it is pushed', async () => (await site.ref('refs/heads/main')) === commit)
    }
    await waitFor('both wait', () => waitingHooks(site.repository) === 2)
    letGo(site)
    const ended = await Promise.all(deploying)
    assert.deepEqual(
      ended.map(({ exitCode }) => exitCode),
      [0, 1, 0],
    )
    assert.match(ended[1]?.stderr ?? '', /IS NOT LIVE\.\n.*does not contain it/)
    assert.equal(site.read('page.txt'), 'three')
  })

  it('and `deploy check` says whether it takes --force, and what lacks for that', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    assert.match((await check(site, 0)).found, /^ok protection: .*deploy --force is refused \(ACCEPT is forward\)$/m)
    site.configure({ ACCEPT: 'any' })
    assert.match(
      (await check(site, 1)).found,
      /^wrong protection: ACCEPT is any, and deploy --force is refused all the same\. To do: post-receive install /m,
    )
    await site.serverGit`git config receive.denyNonFastForwards false`
    assert.match((await check(site, 0)).found, /^ok protection: .*--force is taken \(ACCEPT is any\)$/m)
  })

  it('is made by `post-receive install`, and unmade', async t => {
    const place = await newPlace(t)
    const rewrite = async (accept: string) => {
      writeFileSync(place.settings, `${place.minimal}ACCEPT=${accept}\n`)
      assertExit(await place.install(), 0)
      await place.git`git commit --quiet --amend --allow-empty --message ${accept}`
      return place.push('+HEAD:refs/heads/main')
    }
    await place.install()
    await place.push('HEAD:refs/heads/main')
    assert.match((await rewrite('any')).output, /is live/)
    assert.match((await rewrite('forward')).output, /\(non-fast-forward\)/)
  })
})
