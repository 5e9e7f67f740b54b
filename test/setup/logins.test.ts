import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { authorizeKey } from '../../scripts/lib/setup/authorized-key.ts'
import { findHops, type Hop } from '../../scripts/lib/setup/hops.ts'
import { entryFor, setSshConfigEntry } from '../../scripts/lib/setup/ssh-config.ts'
import { findSshFolder } from '../../scripts/lib/setup/ssh-folder.ts'
import { parseRemote, type Server } from '../../scripts/lib/ssh/remote.ts'

describe('setup-ssh', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'logins-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('makes ssh let in known hosts only, for the deploy key and for the operator', async () => {
    const ssh = findSshFolder(folder)
    const [hop] = findHops(parseRemote('ada@server:/srv/app.git') as Server, undefined) as [Hop]
    await setSshConfigEntry(ssh, entryFor(hop, join(folder, 'key'), ssh.knownHosts))
    const [program = '', ...options] = ssh.login(hop)
    for (const [command, ...args] of [
      ['ssh', '-F', ssh.config, '-G', hop.alias],
      [program, '-G', ...options],
    ] as const) {
      const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
      const of = (name: string) => new RegExp(`^${name} (.*)$`, 'm').exec(stdout)?.[1]
      assert.equal(of('stricthostkeychecking'), 'true', stderr)
      assert.equal(of('userknownhostsfile'), ssh.knownHosts)
      assert.equal(of('hostname'), 'server')
    }
  })

  it('takes no comment for a line of authorized_keys', async () => {
    const key = 'ssh-ed25519 AAAAblob ada'
    const line = `restrict ${key}`
    const file = join(folder, '.ssh/authorized_keys')
    mkdirSync(join(folder, '.ssh'))
    const comments = `# ${line}\n  # ${key}\n`
    writeFileSync(file, comments)
    const authorize = () => authorizeKey(['env', `HOME=${folder}`, 'sh', '-c'], line, key)
    assert.deepEqual(await authorize(), { outcome: 'added', lines: [], output: '' })
    assert.equal(readFileSync(file, 'utf8'), `${comments}${line}\n`)
    assert.deepEqual(await authorize(), { outcome: 'present', lines: [], output: '' })
    writeFileSync(file, `${comments}${key}\n`)
    assert.deepEqual(await authorize(), { outcome: 'differs', lines: ['3'], output: '' })
  })
})
