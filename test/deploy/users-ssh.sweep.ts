import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'
import { cannotMount, ownMounts, pathWith } from '../lib/ssh-session.ts'

describe('Without key and known hosts, deploy', async () => {
  const { newSite, sshd, key } = await startServer({ after })

  it("logs in by the user's own ssh command, where git's settings name one", async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const identity = join(site.home, 'identity')
    writeFileSync(identity, key.privateKey, { mode: 0o600 })
    const seen = join(site.home, 'seen')
    const ssh = join(site.home, "an ssh of one's own")
    const script = `#!/bin/sh\necho $NAME >> '${seen}'\nexec ssh -F ${sshd.clientConfig(identity)} "$@"\n`
    writeFileSync(ssh, script, { mode: 0o755 })
    const quoted = `"${ssh}"`
    const deploy = async (changes: Record<string, string>) => {
      const unset = { SSH_DEPLOYMENT_KEY: undefined, KNOWN_DEPLOYMENT_HOSTS: undefined }
      assertExit(await site.deploy([], { ...unset, ...changes }), 0)
      assert.equal(await site.live(), commit)
    }
    await deploy({ GIT_SSH: ssh, NAME: 'program' })
    await site.git`git config core.sshCommand ${`NAME=configured ${quoted}`}`
    await deploy({ GIT_SSH: '/bin/false' })
    await deploy({ GIT_SSH_COMMAND: `NAME=command ${quoted}`, GIT_SSH: '/bin/false' })
    const names = readFileSync(seen, 'utf8').split('\n').filter(Boolean)
    assert.deepEqual([...new Set(names)], ['program', 'configured', 'command'])
  })

  it('ends a connection that freezes, unless their own ssh configuration says how', { skip: cannotMount }, async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const identity = join(site.home, 'identity')
    writeFileSync(identity, key.privateKey, { mode: 0o600 })
    mkdirSync(join(site.home, '.ssh'))
    const config = `Include ${sshd.clientConfig(identity)}\n`
    // ssh takes its user's home from there, and not from HOME.
    const passwd = join(site.folder, 'passwd')
    writeFileSync(passwd, `root:x:0:0::${site.home}:/bin/sh\n`)
    const seen = join(site.folder, 'seen')
    const PATH = pathWith(site, { ssh: `/usr/bin/ssh -G "$@" >'${seen}'\nexec /usr/bin/ssh "$@"` })
    const env = {
      ...site.deployEnvironment,
      SSH_DEPLOYMENT_KEY: undefined,
      KNOWN_DEPLOYMENT_HOSTS: undefined,
      PATH,
      HOME: site.folder,
    }
    const $ = zx({ cwd: site.clone, env, quiet: true, nothrow: true })
    const mount = 'mount --bind "$0" /etc/passwd && exec "$@"'
    for (const [own, interval] of [
      ['', 15],
      ['ServerAliveInterval 7\n', 7],
    ] as const) {
      writeFileSync(join(site.home, '.ssh/config'), own + config, { mode: 0o600 })
      assertExit(await $`exec ${ownMounts} sh -c ${mount} ${passwd} ${program('deploy')}`, 0)
      assert.equal(await site.live(), commit)
      assert.match(readFileSync(seen, 'utf8'), new RegExp(`^serveraliveinterval ${interval}$`, 'm'))
    }
  })
})
