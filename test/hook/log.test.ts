import assert from 'node:assert/strict'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Deployment } from '../../scripts/lib/hook/deployment.ts'
import { DeploymentLog } from '../../scripts/lib/hook/log.ts'
import { notify } from '../../scripts/lib/hook/notify.ts'
import type { Relay } from '../../scripts/lib/hook/relay.ts'
import { waitFor } from '../lib/events.ts'

describe('The log of a deployment', () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'))
  after(() => rmSync(folder, { recursive: true }))
  const said: string[] = []
  const relay = { say: (text: string) => said.push(text) } as unknown as Relay
  const open = () => new DeploymentLog(join(folder, 'log'), new Date(0), 'c'.repeat(40), relay)

  it('may be lost on a full disk, and the deployment goes on', () => {
    const log = open()
    closeSync(log.fd)
    assert.equal(openSync('/dev/full', 'w'), log.fd)
    log.say('PUTTING BACK PREVIOUS CODE')
    assert.deepEqual(said, ['PUTTING BACK PREVIOUS CODE'])
    closeSync(log.fd)
  })

  it('gets what NOTIFY prints, which has a minute', async () => {
    const { fd, file } = open()
    const told = join(folder, 'told')
    const entry = { commit: 'c', verb: 'deploy', who: 'ada', log: file }
    const deployment = { entry, log: { fd }, toRecord: () => ({ ...entry, live: false }) } as unknown as Deployment
    notify(
      `echo in the log; tr '\\0' ' ' < /proc/$PPID/cmdline > told.new; mv told.new told`,
      folder,
      deployment,
      'main',
    )
    await waitFor('it was run', () => existsSync(told))
    assert.match(readFileSync(told, 'utf8'), /^timeout --kill-after=5 60 /)
    assert.equal(readFileSync(file, 'utf8'), 'in the log\n')
    closeSync(fd)
  })
})
