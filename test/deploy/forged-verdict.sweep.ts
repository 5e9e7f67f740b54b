import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startForgingPeer } from '../lib/forging-peer.ts'
import { type Site, startServer } from '../lib/site.ts'
import { pathWith } from '../lib/ssh-session.ts'
import { type CleansUp, startSshd } from '../lib/sshd.ts'

/** What a forger says: an end of sharing, the hook's greeting and answers, and its verdict. */
const forgedLines = (commit: string) =>
  [
    'bye',
    'mux_client_request_session: x',
    'remote: pushlive post-receive 1, protocol 2',
    'remote: That is all that a deployment needs here.',
    `remote: pushlive: ${commit} is live: x`,
    'end',
  ].join('\n')

/** An ssh of the user's own, which does by itself what the user's configuration says. */
function pathWithSsh(site: Site, config: readonly string[]): string {
  const file = join(site.folder, 'ssh_config')
  writeFileSync(file, `${config.join('\n')}\n`)
  // As if it stood in ~/.ssh/config, which deploy's own file includes.
  return pathWith(site, { ssh: `[ "$1" != -F ] || cat ${file} >>"$2"\nexec /usr/bin/ssh "$@"` })
}

const withoutSecrets = { SSH_DEPLOYMENT_KEY: undefined, KNOWN_DEPLOYMENT_HOSTS: undefined }

describe('A peer without a host key, which sends what looks like a verdict, is not believed', async () => {
  const { newSite, sshd, key } = await startServer({ after })

  const arrangements: Record<string, (site: Site, port: number, t: CleansUp) => Record<string, string | undefined>> = {
    'with key and known hosts': (site, port) => ({
      STAGING_REMOTE_REPO: site.url.replace(`:${sshd.port}`, `:${port}`),
      KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts.replace(`:${sshd.port}`, `:${port}`),
    }),
    'without a key': (site, port) => ({
      STAGING_REMOTE_REPO: site.url.replace(`:${sshd.port}`, `:${port}`),
      ...withoutSecrets,
    }),
    'without a key, with known hosts': (site, port) => ({
      STAGING_REMOTE_REPO: site.url.replace(`:${sshd.port}`, `:${port}`),
      SSH_DEPLOYMENT_KEY: undefined,
      KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts.replace(`:${sshd.port}`, `:${port}`),
    }),
    'as the jump host, with key and known hosts': (_, port) => ({
      PROXY_JUMP: `ada@127.0.0.1:${port}`,
      KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts + sshd.knownHosts.replace(`:${sshd.port}`, `:${port}`),
    }),
    'as the jump host, without a key': (_, port) => ({ PROXY_JUMP: `ada@127.0.0.1:${port}`, ...withoutSecrets }),
    "as the user's own ssh command reaches it": (site, port) => ({
      STAGING_REMOTE_REPO: site.url.replace(`:${sshd.port}`, `:${port}`),
      GIT_SSH_COMMAND: 'ssh -o BatchMode=yes',
      ...withoutSecrets,
    }),
  }
  for (const [what, arrange] of Object.entries(arrangements)) {
    it(what, async t => {
      const site = await newSite(t)
      const commit = await site.commit()
      const environment = arrange(site, await startForgingPeer(t, forgedLines(commit)), t)
      for (const args of [[], ['--again'], ['rollback'], ['rollback', commit], ['check'], ['status']]) {
        const { output } = assertExit(await site.deploy(args, environment), 3, `${args}`)
        assert.doesNotMatch(output, /IS (LIVE|IN PLACE)|^remote: /m)
        // ssh's words are shown, where they cannot pass for others.
        assert.match(output, /^.+remote: pushlive: \w+ is live: x/m)
      }
    })
  }

  it('the banner of a jump host, either', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const banner = join(site.folder, 'banner')
    writeFileSync(banner, `${forgedLines(commit)}\n`)
    const gate = await startSshd(t, { config: [`Banner ${banner}`] })
    gate.authorize(key.publicKey)
    const jump = { PROXY_JUMP: `${gate.user}@${gate.host}:${gate.port}` }
    const knownHosts = join(site.folder, 'known_hosts')
    writeFileSync(knownHosts, gate.knownHosts + sshd.knownHosts)
    const identity = join(site.folder, 'key')
    writeFileSync(identity, key.privateKey, { mode: 0o600 })
    const options = [`IdentityFile ${identity}`, `UserKnownHostsFile ${knownHosts}`, 'BatchMode yes']
    rmSync(join(site.repository, 'hooks/post-receive'))
    const ways = {
      key: { ...jump, KNOWN_DEPLOYMENT_HOSTS: gate.knownHosts + sshd.knownHosts },
      user: { ...jump, ...withoutSecrets, PATH: pathWithSsh(site, options) },
    }
    for (const environment of Object.values(ways)) {
      const { output } = assertExit(await site.deploy([], environment), 5)
      assert.match(output, /^PUSHED, NOT VERIFIED/m)
      assert.doesNotMatch(output, /^remote: /m)
    }
  })
})

describe("The hook's verdict", async () => {
  const { newSite } = await startServer({ after })

  it('is not believed where git does not say that the server has taken the ask', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.serverGit`git fetch --quiet ${site.clone} main:main`
    // What any program on the server can print, where the hook is not run.
    const script = `#!/bin/sh\ncat <<'.'\n${forgedLines(commit).replaceAll('remote: ', '')}\n.\nexit 1\n`
    writeFileSync(join(site.repository, 'hooks/pre-receive'), script, { mode: 0o755 })
    for (const args of [[], ['--again'], ['rollback']]) {
      const { output } = assertExit(await site.deploy(args), 4)
      assert.match(output, /^remote: pushlive: \w+ is live: x$/m)
      assert.doesNotMatch(output, /IS (LIVE|IN PLACE)/)
    }
  })
})
