import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { beginDeployment } from '../../scripts/lib/hook/begin.ts'
import { Journal, type JournalEntry } from '../../scripts/lib/hook/journal.ts'
import { takeLocks } from '../../scripts/lib/hook/lock.ts'
import type { Relay } from '../../scripts/lib/hook/relay.ts'
import { waitForTurn } from '../../scripts/lib/hook/wait-for-turn.ts'

describe('The turn of a push', () => {
  const folder = mkdtempSync(join(tmpdir(), 'turn-'))
  after(() => rmSync(folder, { recursive: true }))
  const gitDir = join(folder, 'app.git')
  const environment = { PATH_TO_GIT_WORK_TREE: join(folder, 'www'), RESTART: '' }
  before(async () => {
    await zx({ quiet: true })`git init --quiet --bare ${gitDir}`
    Object.assign(process.env, environment)
  })
  const take = () => {
    const ask = { verb: 'deploy', commit: 'c'.repeat(40) } as const
    const relay = { say: (text: string) => assert.fail(text) } as unknown as Relay
    return waitForTurn({ ask, object: undefined, branch: 'main', gitDir, relay })
  }

  it('removes what a killed git has left in the way of the refs', async () => {
    const live = join(gitDir, 'refs/deploy/main/live')
    const failed = join(gitDir, 'refs/deploy/main/failed')
    mkdirSync(dirname(live), { recursive: true })
    for (const file of [`${live}.lock`, failed]) writeFileSync(file, '')
    using context = await take()
    assert.equal(context.refs.live, undefined)
    for (const file of [`${live}.lock`, failed]) assert.ok(!existsSync(file), file)
  })

  it('begins with what the last deployment has left uncertain', async () => {
    const last = { number: 1, commit: 'c'.repeat(40), log: '', started: 1, steps: [], outcome: 'failed' } as const
    const touched = { dependencies: true, application: true }
    new Journal(join(gitDir, 'pushlive/journal')).write({ ...last, touched } as unknown as JournalEntry)
    using context = await take()
    const deployment = await beginDeployment('d'.repeat(40), context)
    const { number, touched: uncertain } = deployment.entry
    assert.deepEqual([number, uncertain], [2, touched])
    // A process of a deployment that goes on would wait for itself.
    deployment.end('failed')
  })

  it('is over when it is disposed of, while the pusher is still told', async () => {
    {
      using _ = await take()
    }
    const paths = [join(gitDir, 'pushlive'), environment.PATH_TO_GIT_WORK_TREE]
    const unlock = await takeLocks(paths, path => assert.fail(`${path} is locked`))
    unlock()
  })
})
