import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

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
})
