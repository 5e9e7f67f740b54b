import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Context } from '../../scripts/lib/hook/context.ts'
import type { ReleaseProcess } from '../../scripts/lib/hook/release-processes.ts'
import type { Release, Releases } from '../../scripts/lib/hook/releases.ts'
import type { HookSettings } from '../../scripts/lib/hook/settings.ts'
import { findRunning, verifyTakenOver } from '../../scripts/lib/hook/taking-over.ts'

const server = (releases: readonly number[], startedFrom?: number): ReleaseProcess => ({
  pid: 7,
  parent: 1,
  session: 7,
  hasTerminal: false,
  started: '1',
  command: 'python server.py',
  releases: new Set(releases),
  startedFrom,
  sockets: ['1'],
  listens: true,
})
const release = { number: 2, path: '/srv/www.releases/2' } as Release

/** @param look finds the processes; it is called for each look */
const contextOf = (look: () => readonly ReleaseProcess[]) => {
  const releases = { processes: look, haveServed: true } as unknown as Releases
  return { releases, settings: { HEALTH_CHECK_TIMEOUT: 30 } as HookSettings } as Context
}

describe('A server that runs once the application was told to restart', () => {
  const isServedBy = async (...processes: ReleaseProcess[]) =>
    (
      await findRunning(
        release,
        contextOf(() => processes),
      )
    ).isServed

  it('serves the release that it has moved to, unless it was started from another, whose packages it still has', async () => {
    assert.equal(await isServedBy(server([2])), true)
    assert.equal(await isServedBy(server([2], 2)), true)
    assert.equal(await isServedBy(server([1])), false)
    assert.equal(await isServedBy(server([2, 1], 1)), false)
  })

  it('is told again every five seconds while it stays', async t => {
    let clock = 0
    t.mock.method(process, 'uptime', () => clock)
    const told: number[] = []
    const context = contextOf(() => {
      clock += 3
      return clock < 18 ? [server([1])] : [server([2])]
    })
    const remind = async () => void told.push(clock)
    const running = await verifyTakenOver(release, context, () => true, remind)
    assert.equal(running.isServed, true)
    assert.deepEqual(told, [6, 12])
  })
})
