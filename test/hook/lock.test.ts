import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { takeLocks } from '../../scripts/lib/hook/lock.ts'
import { waitFor } from '../lib/events.ts'
import { processes } from '../lib/processes.ts'

describe('The lock of a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lock-'))
  after(() => rmSync(folder, { recursive: true }))
  const nobodyWaits = () => assert.fail('nobody has it')

  it('is waited for where another has it, by a process that a Ctrl-C of the pusher does not reach', async () => {
    const unlock = await takeLocks([folder], nobodyWaits)
    let waitsFor = ''
    const waiting = takeLocks([folder], path => {
      waitsFor = path
    })
    await waitFor('it waits', () => waitsFor === folder)
    const own = processes().find(({ pid }) => pid === process.pid)?.session
    const below = () => processes().filter(({ parent }) => parent === process.pid)
    await waitFor('a process waits for it', () => below().length > 0)
    const waitingSessions = below().map(({ session }) => session)
    unlock()
    const unlockAgain = await waiting
    assert.ok(!waitingSessions.includes(own as number))
    unlockAgain()
    const unlockLast = await takeLocks([folder], nobodyWaits)
    unlockLast()
  })

  it('is not taken where flock fails', async t => {
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    symlinkSync('/bin/sh', join(bin, 'sh'))
    const { PATH } = process.env
    t.after(() => {
      process.env.PATH = PATH
    })
    process.env.PATH = bin
    await assert.rejects(takeLocks([folder], nobodyWaits), /cannot be locked/)
  })
})
