import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { processes } from '../lib/processes.ts'
import { program } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'
import {
  cannotMount,
  connectionsTo,
  deployWithoutSharing,
  listenInstead,
  newTemporaryFolder,
  pathWith,
} from '../lib/ssh-session.ts'
import { letGo, waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

const $ = zx({ quiet: true })

describe('The private ssh session', async () => {
  const { newSite, sshd } = await startServer({ after })
  const sleeping = 'install-deps:\n\t@touch "$$STEPS.running"; sleep 3\nupgrade-db:\n'

  it('has a folder and files that only their owner can read, and removes them after success and failure', async t => {
    const site = await newSite(t)
    const TMPDIR = newTemporaryFolder(site)
    await site.commit({ Makefile: sleeping })
    const deploying = site.startDeploy([], { TMPDIR })
    await waitForStep(site)
    const [folder = ''] = readdirSync(TMPDIR).map(name => join(TMPDIR, name))
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    const modes = Object.fromEntries(
      readdirSync(folder).map(name => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
    )
    assert.deepEqual(modes, { config: '600', key: '600', known_hosts: '600', log: '600', owner: '600', ssh: '600' })
    assertExit(await deploying, 0)
    assert.deepEqual(readdirSync(TMPDIR), [])
    assertExit(await site.deploy([], { TMPDIR, STAGING_REMOTE_REPO: `${site.url}.nowhere` }), 3)
    assert.deepEqual(readdirSync(TMPDIR), [])
  })

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`is gone after ${signal}, and so is its connection`, async t => {
      const site = await newSite(t)
      const TMPDIR = newTemporaryFolder(site)
      await site.commit({ Makefile: sleeping })
      const deploying = site.startDeploy([], { TMPDIR })
      await waitForStep(site)
      process.kill(deploying.pid as number, signal)
      assertExit(await deploying, { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal])
      assert.deepEqual(readdirSync(TMPDIR), [])
      await waitFor('ssh ends', () => processes().every(({ command }) => !command.includes(TMPDIR)))
    })

    it(`is gone after ${signal} while it connects`, async t => {
      const site = await newSite(t)
      const TMPDIR = newTemporaryFolder(site)
      await site.commit()
      let connects = false
      const silent = await listenInstead(site, sshd, t, () => {
        connects = true
      })
      const deploying = site.startDeploy([], { TMPDIR, ...silent })
      await waitFor('it connects', () => connects)
      process.kill(deploying.pid as number, signal)
      assertExit(await deploying, { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal])
      assert.deepEqual(readdirSync(TMPDIR), [])
      await waitFor('ssh ends', () => processes().every(({ command }) => !command.includes(TMPDIR)))
    })
  }

  it('that a killed run has left is removed by the next run, and that of a running one is not', async t => {
    const site = await newSite(t)
    const TMPDIR = newTemporaryFolder(site)
    await site.commit({ Makefile: waitingMakefile })
    const killed = site.startDeploy([], { TMPDIR })
    await waitForStep(site)
    process.kill(killed.pid as number, 'SIGKILL')
    await killed
    const [left = ''] = readdirSync(TMPDIR)
    assert.ok(existsSync(join(TMPDIR, left, 'key')))
    const others = ['pushlive-empty', 'pushlive-public', 'pushlive-elsewhere']
    for (const other of others) mkdirSync(join(TMPDIR, other), { mode: other === 'pushlive-public' ? 0o755 : 0o700 })
    writeFileSync(join(TMPDIR, 'pushlive-public/owner'), readFileSync(join(TMPDIR, left, 'owner')))
    writeFileSync(join(TMPDIR, 'pushlive-elsewhere/owner'), 'another-boot pid:[1] 1 1')

    const living = site.startDeploy([], { TMPDIR })
    await waitFor('the leftover is swept', () => !readdirSync(TMPDIR).includes(left))
    const alive = () => readdirSync(TMPDIR).filter(name => !others.includes(name))
    await waitFor('the living one has its folder', () => alive().length === 1)
    const [folder = ''] = alive()
    assertExit(await site.deploy(['status'], { TMPDIR }), 0)
    assert.ok(existsSync(join(TMPDIR, folder, 'key')))
    letGo(site)
    assertExit(await living, 0)
    assert.deepEqual(readdirSync(TMPDIR).sort(), others.sort())
  })

  it('is in /tmp where ssh cannot take the name of the temporary folder', async t => {
    const site = await newSite(t)
    await site.commit()
    for (const name of [`it's a folder`, 'long'.repeat(50)]) {
      const TMPDIR = join(site.folder, name)
      mkdirSync(TMPDIR)
      assertExit(await site.deploy([], { TMPDIR }), 0)
      assert.deepEqual(readdirSync(TMPDIR), [])
    }
  })

  it('cannot be made where there is no temporary folder: exit 2, and nothing is pushed', async t => {
    const site = await newSite(t)
    await site.commit()
    const { output } = assertExit(await site.deploy([], { TMPDIR: '/nowhere' }), 2)
    assert.match(output, /^The temporary folder \/nowhere cannot be used\.\n {4}ENOENT: .*\nTo do: .*TMPDIR/m)
    assert.deepEqual(await site.asks(), [])
  })

  it('cannot be made where the key does not fit on the disk: exit 2, and no part of the key is left', async t => {
    const site = await newSite(t)
    await site.commit()
    const TMPDIR = newTemporaryFolder(site)
    const deploying = zx({ cwd: site.clone, env: { ...site.deployEnvironment, TMPDIR }, quiet: true, nothrow: true })
    // A limit on files in place of a small disk, which only root can make.
    const { stderr } = assertExit(await deploying`exec prlimit --fsize=200 ${program('deploy')}`, 2)
    assert.match(stderr, /^The temporary folder .* cannot be used\.\n {4}EFBIG: /m)
    assert.deepEqual(readdirSync(TMPDIR), [])
  })

  const straces = (await $`command -v strace`.nothrow()).ok
  it("opens nothing of the user's: no ~/.ssh, no agent", { skip: !straces && 'strace is not installed' }, async t => {
    const site = await newSite(t)
    await site.commit()
    const trace = join(site.folder, 'trace')
    const agent = join(site.folder, 'agent')
    const env = { ...site.deployEnvironment, SSH_AUTH_SOCK: agent }
    const tracing = zx({ cwd: site.clone, env, quiet: true })
    await tracing`strace -f -qq -e trace=file,connect -s 300 -o ${trace} ${program('deploy')}`
    const opened = readFileSync(trace, 'utf8')
    assert.match(opened, /pushlive-\w+\/known_hosts/)
    const homes = [site.home, userInfo().homedir].map(home => join(home, '.ssh'))
    const forbidden = [...homes, agent, '/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_config']
    for (const path of forbidden) assert.ok(!opened.includes(path), `${path} was looked at`)
  })

  it('does not hand the key on to the processes that it starts', async t => {
    const site = await newSite(t)
    await site.commit()
    const seen = join(site.folder, 'seen')
    const PATH = pathWith(site, { git: `env >> ${seen}; exec /usr/bin/git "$@"` })
    assertExit(await site.deploy([], { PATH }), 0)
    assert.match(readFileSync(seen, 'utf8'), /GIT_SSH_COMMAND=/)
    assert.doesNotMatch(readFileSync(seen, 'utf8'), /PRIVATE KEY|SSH_DEPLOYMENT_KEY/)
  })

  it('works with another HOME, and without HOME', async t => {
    const site = await newSite(t)
    await site.commit()
    for (const HOME of ['/nonexistent', undefined]) {
      assertExit(await site.deploy([], { HOME }), 0)
    }
  })
})

describe('One connection', async () => {
  const { newSite, sshd } = await startServer({ after })

  it('serves all git commands of a run', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
    const connections = async (...args: string[]) => {
      const before = connectionsTo(sshd)
      const { output } = await site.deploy(args)
      return { count: connectionsTo(sshd) - before, output }
    }
    for (const args of [[], ['--again'], ['status'], ['history'], []]) {
      const { count, output } = await connections(...args)
      assert.equal(count, 1, `${args}: ${output}`)
    }
  })

  it('is not required: where it is impossible, each command connects by itself', { skip: cannotMount }, async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const before = connectionsTo(sshd)
    for (let time = 1; time <= 2; time++) {
      const { output } = assertExit(await deployWithoutSharing(site, [], {}), 0)
      assert.doesNotMatch(output, /unix_listener/)
    }
    // The one that was to be shared was let in before its socket could not be made.
    assert.equal(connectionsTo(sshd) - before, 4)
    assert.equal(await site.live(), commit)
    assert.match((await deployWithoutSharing(site, ['status'], {})).output, new RegExp(` {2}${commit} `))
  })

  it('never makes deploy wait for an ssh whose background process keeps stderr open', async t => {
    const site = await newSite(t)
    await site.commit()
    // As OpenSSH before 8.5 does.
    const PATH = pathWith(site, { ssh: 'for word; do [ "$word" = -M ] && sleep 20 & done; exec /usr/bin/ssh "$@"' })
    const started = Date.now()
    assertExit(await site.deploy([], { PATH }), 0)
    assert.ok(Date.now() - started < 15_000)
  })

  it('ends with the run', async t => {
    const site = await newSite(t)
    const TMPDIR = newTemporaryFolder(site)
    await site.commit()
    await site.deploy([], { TMPDIR })
    assert.deepEqual(
      processes().filter(({ command }) => command.includes(TMPDIR)),
      [],
    )
  })
})
