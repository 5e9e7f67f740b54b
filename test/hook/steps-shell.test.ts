import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { DeploymentLog } from '../../scripts/lib/hook/log.ts'
import { go } from '../../scripts/lib/hook/processes.ts'
import type { Relay } from '../../scripts/lib/hook/relay.ts'
import type { HookSettings } from '../../scripts/lib/hook/settings.ts'
import { StepsShell } from '../../scripts/lib/hook/steps-shell.ts'
import { waitFor } from '../lib/events.ts'

describe('A step', () => {
  let folder: string
  let shell: StepsShell
  let log: DeploymentLog
  const ending = new AbortController()
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'steps-shell-')))
    mkdirSync(join(folder, 'www.releases/1'), { recursive: true })
    symlinkSync('www.releases/1', join(folder, 'www'))
    const relay = { say() {}, quote: () => ({}), endQuote() {} } as unknown as Relay
    log = new DeploymentLog(join(folder, 'log'), new Date(0), 'a'.repeat(40), relay)
    // Whoever has started the hook may have stood behind the link.
    const env = { ...process.env, PWD: join(folder, 'www') }
    shell = new StepsShell(join(folder, 'www.releases/1'), env, {
      settings: {} as HookSettings,
      log,
      start: (text, command) => go(command, { text, signal: ending.signal }),
    })
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('fails where one of its parts does, and nothing behind that runs', async () => {
    await assert.rejects(shell.run('false; touch ../behind'), /`false; touch \.\.\/behind` exited with 1/)
    await assert.rejects(shell.run('false | cat; touch ../behind'), /exited with 1/)
    assert.ok(!existsSync(join(folder, 'www.releases/behind')))
  })

  it("is at the release's own path, wherever the hook was started", async () => {
    await shell.run('echo "$PWD"; pwd')
    assert.equal(readFileSync(log.file, 'utf8'), `${folder}/www.releases/1\n`.repeat(2))
  })

  it('that was ended has failed, also where it exits with 0', async () => {
    const step = shell.run("trap 'exit 0' TERM; echo > ../waits; sleep 1000 & wait")
    await waitFor('the step waits', () => existsSync(join(folder, 'www.releases/waits')))
    ending.abort()
    await assert.rejects(step, /was killed, because the server is shutting the hook down/)
  })
})
