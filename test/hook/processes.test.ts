import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { Deployment } from '../../scripts/lib/hook/deployment.ts'
import { Journal, type JournalEntry } from '../../scripts/lib/hook/journal.ts'
import type { DeploymentLog } from '../../scripts/lib/hook/log.ts'
import { endProcessTree, go, goPipe, identifyProcess, isRunning, waitForGo } from '../../scripts/lib/hook/processes.ts'
import { waitFor } from '../lib/events.ts'
import { kill, processes } from '../lib/processes.ts'

describe('A command of a deployment', { concurrency: true }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'processes-'))
  after(() => rmSync(folder, { recursive: true }))

  function begin(name: string) {
    const own = join(folder, name)
    const entry = { number: 1, commit: 'c'.repeat(40), log: '', started: 1, steps: [], touched: {} }
    const journal = new Journal(join(own, 'journal'))
    const log = { say() {} } as unknown as DeploymentLog
    const ending = new AbortController()
    const deployment = new Deployment(entry as unknown as JournalEntry, journal, log, ending.signal, undefined)
    const run = zx({ cwd: own, quiet: true, nothrow: true, detached: true, prefix: waitForGo })
    return { own, journal, deployment, ending, run: run({ stdio: ['ignore', 'pipe', 'pipe', goPipe] }) }
  }

  it('begins when it is written down', async () => {
    const { deployment, journal, run } = begin('written')
    const command = run`cat journal`
    const { stdout } = await deployment.start('cat', command)
    assert.equal(JSON.parse(stdout).command.pid, command.pid)
    assert.equal(journal.read()?.command?.text, 'cat')
  })

  it('does nothing where it cannot be written down, as where its hook is killed before that', async () => {
    const { own, deployment, run } = begin('unwritten')
    const command = run`touch done`
    // A full disk would do the same.
    mkdirSync(join(own, 'journal.new'))
    assert.throws(() => void deployment.start('touch', command), /journal cannot be written/)
    await command
    assert.equal(existsSync(join(own, 'done')), false)
  })

  it('does not begin once the hook was told to end', () => {
    const { deployment, ending } = begin('ended')
    ending.abort()
    assert.throws(() => deployment.begin('BUILDING'), /BUILDING was not begun, because the hook was told to end/)
  })

  it('is another one than a later process of the same number', () => {
    const own = identifyProcess(process.pid)
    assert.ok(own)
    assert.ok(isRunning(own))
    assert.ok(!isRunning({ ...own, started: `${Number(own.started) - 1}` }))
    assert.ok(!isRunning({ ...own, boot: 'another' }))
  })

  it('is killed where it goes on after SIGTERM, with what has left its session', async t => {
    const { run, own } = begin('deaf')
    const deaf = "trap '' TERM; touch deaf; while :; do sleep 1000.5; done"
    const command = run`trap '' TERM; setsid bash -c ${deaf} & while :; do wait; done`
    const left = () => processes().filter(({ cwd }) => cwd === own)
    t.after(() => {
      for (const { pid } of left()) kill(pid)
    })
    const going = go(command, { text: 'deaf' })
    await waitFor('it is deaf', () => existsSync(join(own, 'deaf')))
    await endProcessTree(command.pid as number)
    assert.deepEqual(left(), [])
    await going
  })
})
