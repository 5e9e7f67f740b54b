import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { Journal, type JournalEntry } from '../../scripts/lib/hook/journal.ts'
import type { Relay } from '../../scripts/lib/hook/relay.ts'
import { takeTurn } from '../../scripts/lib/hook/turn.ts'
import { waitForTurn } from '../../scripts/lib/hook/wait-for-turn.ts'
import type { Ask } from '../../scripts/lib/protocol/asks.ts'
import { waitForOutput } from '../lib/events.ts'
import { environmentOf } from '../lib/site.ts'

const [mine, other] = ['a'.repeat(40), 'b'.repeat(40)]
const ask: Ask = { verb: 'deploy', commit: mine }

describe('A push that waits for its turn', () => {
  let folder: string
  let said: string[]
  let quoted: string[]
  /** Ends what is waited for. */
  let letGo = () => {}
  const relay = {
    say(text: string) {
      said.push(text)
      if (text.includes('WAITING FOR')) letGo()
    },
    quote: (file: string) => quoted.push(file),
    endQuote() {},
  } as unknown as Relay

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'turn-'))
    said = []
    quoted = []
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  /** Another process has the lock until it is let go. */
  async function lock(path: string, t: { after(action: () => void): void }): Promise<void> {
    mkdirSync(path, { recursive: true })
    const holder = spawn('flock', [path, 'sh', '-c', 'echo locked; read -r _'], { stdio: ['pipe', 'pipe', 'ignore'] })
    t.after(() => holder.kill('SIGKILL'))
    letGo = () => void holder.stdin.end('\n')
    await waitForOutput(holder.stdout, 'locked')
  }

  for (const [commit, shown] of [
    [mine, 'is shown the log'],
    [other, 'is not shown the log'],
  ] as const) {
    it(`${shown} of a deployment of ${commit === mine ? 'the same' : 'another'} commit`, async t => {
      const log = join(folder, 'log')
      writeFileSync(log, '')
      const journal = new Journal(join(folder, 'journal'))
      journal.write({ number: 1, commit, log, started: 0, steps: [], touched: {} } as unknown as JournalEntry)
      await lock(join(folder, 'pushlive'), t)
      const endTurn = await takeTurn([join(folder, 'pushlive')], ask, journal, relay)
      endTurn()
      assert.match(said[0] ?? '', new RegExp(`THE DEPLOYMENT OF ${commit}`))
      assert.deepEqual(quoted, commit === mine ? [log] : [])
    })
  }

  for (const [RELEASES, locked] of [
    [1, 'www'],
    [3, 'www.releases'],
  ] as const) {
    it(`waits for one from another repository to the same work tree, with RELEASES=${RELEASES}`, async t => {
      const gitDir = join(folder, 'app.git')
      await zx({ quiet: true, env: environmentOf(folder) })`git init --quiet --bare ${gitDir}`
      const settings = {
        BRANCH_NAME: 'main',
        PATH_TO_GIT_WORK_TREE: join(folder, 'www'),
        RESTART: '',
        RELEASES: `${RELEASES}`,
      }
      // The hook has read them from .env by then.
      const before = { ...process.env }
      t.after(() => {
        process.env = before
      })
      Object.assign(process.env, settings)
      await lock(join(folder, locked), t)
      const turn = await waitForTurn({ ask, object: undefined, branch: 'main', gitDir, relay })
      turn[Symbol.dispose]()
      assert.match(said.join('\n'), new RegExp(`ANOTHER DEPLOYMENT TO ${join(folder, locked)} `))
    })
  }
})
