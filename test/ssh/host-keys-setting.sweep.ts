import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'
import { cannotMount, connectionsTo, ownMounts } from '../lib/ssh-session.ts'
import { type CleansUp, newKeyPair, type Sshd, startSshd } from '../lib/sshd.ts'

const stranger = (await newHostKey({ after })) as string

async function newHostKey(t: CleansUp): Promise<string> {
  const sshd = await startSshd(t)
  const key = sshd.hostPublicKeys.ed25519 ?? ''
  await sshd.stop()
  return key
}

/** The lines of a server, with a key that it does not have. */
const wrong = (sshd: Sshd) => `[127.0.0.1]:${sshd.port} ${stranger}\n`

/** Where KNOWN_DEPLOYMENT_HOSTS is given, it alone decides: nothing of the user's configuration lets another key in. */
describe('KNOWN_DEPLOYMENT_HOSTS', { skip: cannotMount }, async () => {
  const { newSite, sshd, key } = await startServer({ after })
  const gate = await startSshd({ after })
  gate.authorize(key.publicKey)

  /** A user whose ssh logs in by itself, as far as it knows the hosts. Returns their `~/.ssh`. */
  async function newUser(site: Site, configure: (folder: string) => string) {
    const folder = join(site.home, '.ssh')
    mkdirSync(folder, { mode: 0o700 })
    const identity = await newKeyPair(folder)
    for (const server of [sshd, gate]) server.authorize(identity.publicKey)
    const text = `IgnoreUnknown UseKeychain\nUseKeychain yes\n${configure(folder)}\nHost *\n  IdentityFile ${identity.file}\n  BatchMode yes\n`
    writeFileSync(join(folder, 'config'), text, { mode: 0o600 })
    return folder
  }

  /** ssh goes by the home folder of /etc/passwd. */
  const asUser = [...ownMounts, 'sh', '-c', 'mount --bind "$HOME/passwd" /etc/passwd && exec "$@"', 'sh']

  async function deployAsUser(site: Site, changes: Record<string, string | undefined>) {
    writeFileSync(join(site.home, 'passwd'), `root:x:0:0::${site.home}:/bin/sh\n`)
    const env = { ...site.deployEnvironment, SSH_DEPLOYMENT_KEY: undefined, ...changes }
    const $ = zx({ cwd: site.clone, env, quiet: true, nothrow: true })
    const { exitCode, stdout, stderr } = await $`exec ${asUser} ${program('deploy')}`
    return { exitCode, output: `${stdout}${stderr}` }
  }

  const knowsThem = () => sshd.knownHosts + gate.knownHosts
  const configurations: Record<string, (folder: string) => string> = {
    'their known_hosts': folder => {
      writeFileSync(join(folder, 'known_hosts'), knowsThem())
      return ''
    },
    KnownHostsCommand: folder => {
      writeFileSync(join(folder, 'hosts'), knowsThem())
      return 'KnownHostsCommand /bin/cat %d/.ssh/hosts'
    },
    NoHostAuthenticationForLocalhost: () => 'NoHostAuthenticationForLocalhost yes',
    StrictHostKeyChecking: () => 'StrictHostKeyChecking no\nUserKnownHostsFile /dev/null',
    GlobalKnownHostsFile: folder => {
      writeFileSync(join(folder, 'global'), knowsThem())
      return `GlobalKnownHostsFile ${join(folder, 'global')}`
    },
  }

  for (const [what, configure] of Object.entries(configurations)) {
    it(`decides alone, whatever ${what} of the user lets in`, async t => {
      const site = await newSite(t)
      await site.commit()
      await newUser(site, configure)
      const PROXY_JUMP = `${gate.user}@${gate.host}:${gate.port}`
      // So it is the user's configuration that would let it in.
      assertExit(await deployAsUser(site, { KNOWN_DEPLOYMENT_HOSTS: undefined }), 0, what)
      await site.commit()
      const before = [connectionsTo(sshd), connectionsTo(gate)]
      for (const [hosts, jump] of [
        [wrong(sshd), undefined],
        [wrong(sshd) + gate.knownHosts, PROXY_JUMP],
        [sshd.knownHosts + wrong(gate), PROXY_JUMP],
      ] as const) {
        const changes = { KNOWN_DEPLOYMENT_HOSTS: hosts, PROXY_JUMP: jump }
        for (const SSH_DEPLOYMENT_KEY of [undefined, key.privateKey]) {
          const { output } = assertExit(await deployAsUser(site, { ...changes, SSH_DEPLOYMENT_KEY }), 3)
          assert.match(output, /another host key than the known one/)
        }
      }
      assert.equal(connectionsTo(sshd), before[0])
      // At the gate the right key was shown twice.
      assert.equal(connectionsTo(gate), (before[1] ?? 0) + 2)
    })
  }

  it('decides alone, where the user has a connection open that could be shared', async t => {
    const site = await newSite(t)
    await site.commit()
    const folder = await newUser(site, () => 'ControlPath ~/.ssh/c')
    writeFileSync(join(folder, 'known_hosts'), knowsThem())
    writeFileSync(join(site.home, 'passwd'), `root:x:0:0::${site.home}:/bin/sh\n`)
    const $ = zx({ env: site.deployEnvironment, quiet: true, nothrow: true })
    const place = ['-p', `${sshd.port}`, `${sshd.user}@127.0.0.1`]
    assertExit(await $`${asUser} ssh -f -N -M -o ControlPersist=yes ${place} >/dev/null 2>&1`, 0)
    t.after(async () => {
      await $`${asUser} ssh -O exit ${place}`
    })
    assertExit(await deployAsUser(site, { KNOWN_DEPLOYMENT_HOSTS: undefined }), 0)
    assertExit(await deployAsUser(site, { KNOWN_DEPLOYMENT_HOSTS: wrong(sshd) }), 3)
  })

  it("needs no key: the user's configuration says how to log in, at the jump host as well", async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await newUser(site, () => '')
    const PROXY_JUMP = `${gate.user}@${gate.host}:${gate.port}`
    for (const jump of [undefined, PROXY_JUMP]) {
      const changes = { KNOWN_DEPLOYMENT_HOSTS: knowsThem(), PROXY_JUMP: jump }
      assertExit(await deployAsUser(site, changes), 0)
      assert.equal(await site.live(), commit)
    }
  })
})
