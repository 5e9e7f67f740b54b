import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

/** Configurations of a clone that would each lead plain git elsewhere. `EVIL` is another repository. */
const configurations: Record<string, readonly (readonly [name: string, value: string])[]> = {
  'another remote of that name': [
    ['remote.staging.url', 'EVIL'],
    ['remote.staging.url', 'EVIL'],
    ['remote.staging.pushurl', 'EVIL'],
    ['remote.staging.mirror', 'true'],
    ['remote.staging.receivepack', 'false'],
    ['remote.pushDefault', 'EVIL'],
  ],
  'url.*.insteadOf for the very URL': [
    ['url.EVIL.insteadOf', 'URL'],
    ['url.EVIL.pushInsteadOf', 'URL'],
  ],
  'url.*.insteadOf for everything': [
    ['url.EVIL.insteadOf', ''],
    ['url.EVIL.pushInsteadOf', ''],
  ],
  'push.*, color.ui, core.sshCommand': [
    ['push.gpgSign', 'true'],
    ['push.pushOption', 'ci.skip'],
    ['push.recurseSubmodules', 'on-demand'],
    ['submodule.recurse', 'true'],
    ['push.negotiate', 'true'],
    ['push.default', 'nothing'],
    ['color.ui', 'always'],
    ['core.sshCommand', 'false'],
  ],
}

/** An empty bare repository beside the site's own. Nothing may be pushed to it. */
async function newEvil(site: Site): Promise<string> {
  const evil = join(site.folder, 'evil.git')
  await site.git`git init --quiet --bare ${evil}`
  return evil
}

describe("Whatever the clone's configuration says, the push goes to STAGING_REMOTE_REPO:", async () => {
  const { newSite } = await startServer({ after })
  for (const [what, settings] of Object.entries(configurations)) {
    it(what, async t => {
      const site = await newSite(t)
      const evil = await newEvil(site)
      const first = await site.commit()
      for (const [name, value] of settings) {
        const fill = (text: string) => text.replace('EVIL', evil).replace('URL', site.url)
        await site.git`git config --add ${fill(name)} ${fill(value)}`
      }
      assertExit(await site.deploy(), 0)
      assert.equal(await site.live(), first)
      for (const args of [['status'], ['check']]) {
        assertExit(await site.deploy(args), 0)
      }
      const second = await site.commit()
      assertExit(await site.deploy(), 0)
      assert.equal(await site.live(), second)
      assert.equal((await site.git`git -C ${evil} for-each-ref`).stdout, '')
    })
  }

  it('a pre-push hook', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const hooks = join(site.clone, '.git/hooks')
    mkdirSync(hooks, { recursive: true })
    writeFileSync(join(hooks, 'pre-push'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), commit)
  })
})

describe('A clone where git does not work as usual', async () => {
  const { newSite } = await startServer({ after })

  it('whose configuration cannot be written deploys, and says in one line that the remote is not set', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    writeFileSync(join(site.clone, '.git/config.lock'), '')
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(
      output,
      /^The remote staging could not be set, which stops nothing:\n {4}error: could not lock config/m,
    )
    assert.equal(await site.live(), commit)
  })

  it("whose configuration cannot be read: exit 2, with git's own message", async t => {
    const site = await newSite(t)
    await site.commit()
    writeFileSync(join(site.clone, '.git/config'), '[core\n')
    const { output } = assertExit(await site.deploy(), 2)
    assert.match(output, /bad config/)
  })

  it("whose policy forbids the transport: exit 2, with git's own message", async t => {
    const site = await newSite(t)
    await site.commit()
    await site.git`git config protocol.ssh.allow never`
    for (const args of [[], ['status'], ['rollback'], ['--dry-run']]) {
      const { output } = assertExit(await site.deploy(args), 2)
      assert.match(output, /^git does not work with the server from this clone\./m)
      assert.match(output, /transport 'ssh' not allowed/)
      assert.doesNotMatch(output, /connection/i)
    }
  })

  it('that lacks an object: exit 4, with the reason', async t => {
    const site = await newSite(t)
    await site.commit()
    const blob = (await site.git`git rev-parse ${'HEAD:page.txt'}`).stdout.trim()
    rmSync(join(site.clone, '.git/objects', blob.slice(0, 2), blob.slice(2)))
    const { output } = assertExit(await site.deploy(), 4)
    assert.match(output, new RegExp(`unable to read ${blob}[\\s\\S]*^The server did not get all objects\\.`, 'm'))
    assert.equal(await site.live(), undefined)
  })

  it("on a machine without git or bash: exit 2, with the program's name", async t => {
    const site = await newSite(t)
    await site.commit()
    const bin = join(site.folder, 'bin')
    mkdirSync(bin)
    const nothing = assertExit(await site.deploy([], { PATH: bin }), 2)
    assert.match(nothing.output, /There is no bash program here/)
    await site.git`ln -s /bin/bash ${bin}/bash`
    const noGit = assertExit(await site.deploy([], { PATH: bin }), 2)
    assert.match(noGit.output, /There is no git program here/)
  })
})
