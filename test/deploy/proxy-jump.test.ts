import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'
import { connectionsTo } from '../lib/ssh-session.ts'
import { startSshd } from '../lib/sshd.ts'

describe('PROXY_JUMP', async () => {
  const { newSite, sshd, key } = await startServer({ after })
  const gate = await startSshd({ after })
  gate.authorize(key.publicKey)
  const PROXY_JUMP = `${gate.user}@${gate.host}:${gate.port}`
  const KNOWN_DEPLOYMENT_HOSTS = gate.knownHosts + sshd.knownHosts

  it('is the way to the server', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const before = connectionsTo(gate)
    for (let time = 1; time <= 2; time++) {
      assertExit(await site.deploy([], { PROXY_JUMP, KNOWN_DEPLOYMENT_HOSTS }), 0)
    }
    assert.equal(await site.live(), commit)
    assert.equal(connectionsTo(gate) - before, 2)
  })

  it('needs a known host key, too: exit 2 where it is missing', async t => {
    const site = await newSite(t)
    await site.commit()
    const { output } = assertExit(await site.deploy([], { PROXY_JUMP }), 2)
    assert.match(output, new RegExp(`KNOWN_DEPLOYMENT_HOSTS has no line for \\[127\\.0\\.0\\.1\\]:${gate.port}`))
  })

  it('is not used where its host key is another one: exit 3', async t => {
    const site = await newSite(t)
    await site.commit()
    const stranger = sshd.knownHosts.replace(`:${sshd.port}`, `:${gate.port}`) + sshd.knownHosts
    const before = connectionsTo(gate)
    const { output } = assertExit(await site.deploy([], { PROXY_JUMP, KNOWN_DEPLOYMENT_HOSTS: stranger }), 3)
    assert.match(output, /another host key than the known one[\s\S]*REMOTE HOST IDENTIFICATION HAS CHANGED/)
    assert.equal(connectionsTo(gate), before)
  })

  it('that does not forward connections is named: exit 3', async t => {
    const closed = await startSshd(t, { config: ['AllowTcpForwarding no'] })
    closed.authorize(key.publicKey)
    const site = await newSite(t)
    await site.commit()
    const { output } = assertExit(
      await site.deploy([], {
        PROXY_JUMP: `${closed.user}@${closed.host}:${closed.port}`,
        KNOWN_DEPLOYMENT_HOSTS: closed.knownHosts + sshd.knownHosts,
      }),
      3,
    )
    assert.match(output, /The host in PROXY_JUMP does not pass connections on/)
  })
})
