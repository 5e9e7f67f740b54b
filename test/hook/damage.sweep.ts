import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { environmentOf, type Site, startServer } from '../lib/site.ts'

describe('A repository that a power cut has damaged', async () => {
  const { newSite } = await startServer({ after })

  const install = async (site: Site) =>
    (await zx({ quiet: true, env: environmentOf(site.home) })`${program('post-receive')} install ${site.repository}`)
      .stdout

  it('is told by deploy where git refuses the push, and mended by install, which loses no record that is whole', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: '', UPGRADE_DB: '' })
    const first = await site.commit()
    assertExit(await site.deploy(), 0)
    const history = await site.ref('refs/deploy/main/history')
    mkdirSync(join(site.repository, 'refs/deploy/former'))
    const ofDeployments = ['refs/deploy/main/live', 'refs/deploy/main/history', 'refs/deploy/former/live']
    const damages: [content: string, refs: string[]][] = [
      ['', [...ofDeployments, 'refs/heads/main']],
      ['garbage\n', [...ofDeployments, 'refs/heads/main']],
      [`${'12'.repeat(20)}\n`, ofDeployments],
    ]
    for (const [content, refs] of damages) {
      for (const ref of refs) writeFileSync(join(site.repository, ref), content)
      await site.commit()
      const { output } = assertExit(await site.deploy(), 4)
      assert.match(output, /is damaged, as by a power cut.*\n[\s\S]*To do: on the server: post-receive install/)
      const mended = await install(site)
      for (const ref of refs) assert.ok(mended.includes(`${ref} was damaged: `), mended)
      assert.equal(await site.live(), first)
      assert.equal(await site.ref('refs/deploy/main/history'), history)
    }
    assertExit(await site.deploy(), 0)
  })

  it('gets an object again that is empty', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: '', UPGRADE_DB: '' })
    await site.commit()
    await site.git`git tag -a -m One v1`
    assertExit(await site.deploy(), 0)
    const { stdout } = await site.serverGit`git rev-parse main:page.txt`
    const object = join(site.repository, 'objects', stdout.slice(0, 2), stdout.trim().slice(2))
    chmodSync(object, 0o644)
    writeFileSync(object, '')
    assert.match(await install(site), /1 empty objects were removed\n[\s\S]*refs\/tags\/v1 was damaged/)
    rmSync(join(site.workTree, 'page.txt'))
    const commit = await site.commit({ 'other.txt': '' })
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), commit)
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('is less likely to be where the hook was copied by hand: its first deployment lets git sync what is pushed', async t => {
    const site = await newSite(t)
    await site.serverGit`git config --unset core.fsync`
    await site.commit()
    assertExit(await site.deploy(), 0)
    assert.equal((await site.serverGit`git config core.fsync`).stdout, 'committed\n')
  })
})
