import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'
import { connectionsTo } from '../lib/ssh-session.ts'
import { newKeyPair } from '../lib/sshd.ts'

describe('A secret that was pasted badly', async () => {
  const { newSite, sshd } = await startServer({ after })
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const manglers: Record<string, (text: string) => string> = {
    'without its last newline': text => text.trimEnd(),
    'with CRLF and a byte order mark': text => `\ufeff${text.replaceAll('\n', '\r\n')}`,
    'with literal \\n, in quotes': text => `"${text.replaceAll('\n', '\\n')}"`,
    'on one line': text => text.replaceAll('\n', ' '),
    'as base64': base64,
  }
  for (const [how, mangle] of Object.entries(manglers)) {
    it(`${how}, still deploys`, async t => {
      const site = await newSite(t)
      const commit = await site.commit()
      const { SSH_DEPLOYMENT_KEY, KNOWN_DEPLOYMENT_HOSTS } = site.deployEnvironment
      assertExit(
        await site.deploy([], {
          SSH_DEPLOYMENT_KEY: mangle(SSH_DEPLOYMENT_KEY),
          KNOWN_DEPLOYMENT_HOSTS: mangle(KNOWN_DEPLOYMENT_HOSTS),
        }),
        0,
      )
      assert.equal(await site.live(), commit)
    })
  }

  it('beyond repair is reported with all other wrong settings: exit 2, and nothing of the key', async t => {
    const site = await newSite(t)
    await site.commit()
    const { privateKey } = await newKeyPair(site.folder, 'ed25519', { passphrase: 'secret' })
    const connections = connectionsTo(sshd)
    const { output } = assertExit(
      await site.deploy([], {
        SSH_DEPLOYMENT_KEY: privateKey,
        KNOWN_DEPLOYMENT_HOSTS: `elsewhere.example.org ${sshd.hostPublicKeys.ed25519}`,
        PROXY_JUMP: '-oProxyCommand=x',
        BRANCH_NAME: '',
      }),
      2,
    )
    assert.match(output, /^4 settings are wrong/)
    assert.match(output, /SSH_DEPLOYMENT_KEY has a passphrase.*To do: /)
    assert.match(output, /KNOWN_DEPLOYMENT_HOSTS has no line for \S+, only for elsewhere\.example\.org.*To do: /)
    assert.match(output, /PROXY_JUMP is not user@host/)
    assert.match(output, /BRANCH_NAME is missing/)
    for (const line of privateKey.split('\n').filter(Boolean)) assert.ok(!output.includes(line))
    assert.equal(connectionsTo(sshd), connections)
  })

  it('that the CI did not give is named before anything: exit 2', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const connections = connectionsTo(sshd)
    for (const CI of [{ CI: 'true' }, { GITHUB_ACTIONS: 'true' }]) {
      for (const KNOWN_DEPLOYMENT_HOSTS of [sshd.knownHosts, '']) {
        const given = { SSH_DEPLOYMENT_KEY: '', KNOWN_DEPLOYMENT_HOSTS, ...CI }
        const { output } = assertExit(await site.deploy([], given), 2)
        assert.match(output, /^A setting is wrong\.\n {4}SSH_DEPLOYMENT_KEY is empty: .*fork.*Dependabot.*To do: /m)
      }
    }
    assert.equal(connectionsTo(sshd), connections)
    // Where it is left out, or no CI is there, ssh logs in as it does for its user.
    for (const given of [{ SSH_DEPLOYMENT_KEY: undefined, CI: 'true' }, { SSH_DEPLOYMENT_KEY: '' }]) {
      assertExit(await site.deploy([], given), 3)
    }
    // A local path needs no key.
    const local = { STAGING_REMOTE_REPO: site.repository, SSH_DEPLOYMENT_KEY: '', CI: 'true' }
    assertExit(await site.deploy([], local), 0)
    assert.equal(await site.live(), commit)
  })

  it('as a path that leads nowhere is no such file, and wrong known hosts are not missing as well: exit 2', async t => {
    const site = await newSite(t)
    const path = join(site.folder, 'nowhere')
    const { output } = assertExit(
      await site.deploy([], { SSH_DEPLOYMENT_KEY: path, KNOWN_DEPLOYMENT_HOSTS: '~/nowhere' }),
      2,
    )
    assert.match(output, /^2 settings are wrong\./m)
    assert.match(output, /^ {4}SSH_DEPLOYMENT_KEY is a path, and there is no such file: the private key/m)
    assert.match(output, /^ {4}KNOWN_DEPLOYMENT_HOSTS is a path, and there is no such file: known_hosts lines/m)
    assert.ok(!output.includes(path))
  })
})
