import assert from 'node:assert/strict'
import { chownSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'
import { cannotMount, newTemporaryFolder, ownMounts } from '../lib/ssh-session.ts'

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
    await site.git`ln -s /bin/bash ${bin}/bash`
    const noGit = assertExit(await site.deploy([], { PATH: bin }), 2)
    assert.match(noGit.output, /There is no git program here/)
    await site.git`rm ${bin}/bash; ln -s $(command -v git) ${bin}/git`
    const noBash = assertExit(await site.deploy([], { PATH: bin }), 2)
    assert.match(noBash.output, /There is no bash program here/)
  })
})

/** Places where deploy cannot work. `arrange` returns how a shell gets there. */
const unusable: Record<string, { skip?: string | false; says: RegExp; arrange: (site: Site) => string }> = {
  'a clone of another owner': {
    skip: userInfo().uid !== 0 && 'only root gives files away',
    says: /^git does not work in this clone, because it belongs to another user\.[\s\S]*^To do: .*git config --global --add safe\.directory '\/\S+\/clone'$/m,
    arrange({ clone }) {
      chownSync(clone, 12345, 12345)
      return 'cd clone'
    },
  },
  'a clone whose configuration cannot be read': {
    says: /^git does not work in this clone\.\n {4}fatal: bad config[\s\S]*^To do: mend what git names/m,
    arrange({ clone }) {
      writeFileSync(join(clone, '.git/config'), '[core\n')
      return 'cd clone'
    },
  },
  'a folder that is no clone': {
    says: /^This is no clone of a repository\.[\s\S]*^To do: run deploy in one/m,
    arrange: () => 'cd home',
  },
  'a folder that was removed': {
    says: /^The current directory is not there any more\.\nTo do: change to a directory/m,
    arrange: () => 'mkdir gone; cd gone; rmdir ../gone',
  },
}

describe('Every command exits with 2, and blames neither the server nor the connection, in', async () => {
  const { newSite } = await startServer({ after })
  for (const [what, { skip = false, says, arrange }] of Object.entries(unusable)) {
    it(what, { skip }, async t => {
      const site = await newSite(t)
      await site.commit()
      const enter = arrange(site)
      const $ = zx({ cwd: site.folder, env: site.deployEnvironment, quiet: true, nothrow: true })
      for (const args of [[], ['check'], ['status'], ['log'], ['rollback']]) {
        const run = `${enter}; exec "$@"`
        const { stdout, stderr } = assertExit(await $`exec sh -c ${run} sh ${program('deploy')} ${args}`, 2, `${args}`)
        assert.match(stderr, says)
        assert.doesNotMatch(stdout + stderr, /the server|connection|run deploy again/i)
      }
    })
  }
})

describe('In a clone that cannot be written, deploy', async () => {
  const { newSite } = await startServer({ after })

  it('deploys, says what was deployed, and leaves nothing behind', { skip: cannotMount }, async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const TMPDIR = newTemporaryFolder(site)
    const env = { ...site.deployEnvironment, TMPDIR, GITHUB_ACTIONS: 'true', GITHUB_ACTOR: 'ada' }
    const $ = zx({ cwd: site.folder, env, quiet: true, nothrow: true })
    const mount = 'mount --bind clone clone && mount -o remount,bind,ro clone && cd clone && exec "$@"'
    const deploy = (...args: string[]) => $`exec ${ownMounts} sh -c ${mount} sh ${program('deploy')} ${args}`
    assertExit(await deploy(), 0)
    const { stdout } = assertExit(await deploy('status'), 0)
    assert.match(stdout, new RegExp(`^  ● in place  ${commit} .*, ada, `, 'm'))
    assert.deepEqual(readdirSync(TMPDIR), [])
  })
})

describe('Where the hash algorithms differ, deploy exits with 2:', async () => {
  const { newSite } = await startServer({ after })
  for (const [here, there] of [
    ['sha1', 'sha256'],
    ['sha256', 'sha1'],
  ] as const) {
    it(`${here} here, ${there} on the server`, async t => {
      const site = await newSite(t)
      rmSync(join(site.clone, '.git'), { recursive: true })
      rmSync(site.repository, { recursive: true })
      await site.git`git init --quiet --initial-branch main --object-format ${here} .`
      await site.git`git init --quiet --bare --object-format ${there} ${site.repository}`
      await site.commit()
      for (const args of [[], ['rollback']]) {
        const { output } = assertExit(await site.deploy(args), 2)
        assert.match(output, /^This clone and the repository on the server use different hash algorithms/m)
        assert.match(output, /^To do: create the repository on the server again/m)
      }
    })
  }
})

it('deploy takes a TMPDIR that is relative, from a sub-folder of a clone', async t => {
  const { newSite } = await startServer(t)
  const site = await newSite(t)
  const commit = await site.commit({ 'sub/tmp/kept': '' })
  assertExit(await site.deploy([], { TMPDIR: 'tmp' }, join(site.clone, 'sub')), 0)
  assert.equal(await site.live(), commit)
})
