import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { SharedConnection } from '../../scripts/lib/ssh/shared-connection.ts'
import { SshLog } from '../../scripts/lib/ssh/ssh-log.ts'
import { waitFor } from '../lib/events.ts'

test('A server that greets and then is silent is named after a while', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'silent-'))
  t.after(() => rmSync(folder, { recursive: true }))
  // What ssh does then: it waits, for a minute.
  const ssh = join(folder, 'waiting-ssh')
  writeFileSync(ssh, '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 })
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const lines: unknown[] = []
  const writing = t.mock.method(process.stderr, 'write', (line: unknown) => lines.push(line) > 0)
  const log = new SshLog(folder)
  const connection = new SharedConnection([ssh], folder, log, { url: '', path: '', host: 'silent' }, { persist: true })
  t.mock.timers.tick(14_000)
  assert.deepEqual(lines, [])
  t.mock.timers.tick(1_000)
  writing.mock.restore()
  connection.close()
  await assert.rejects(connection.opened)
  log.close()
  assert.deepEqual(lines, ['Still connecting to silent ...\n'])
})

test('The connection of a run that was killed ends by itself, but for one through a jump', async t => {
  for (const persist of [true, false]) {
    const folder = mkdtempSync(join(tmpdir(), 'persist-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const ssh = join(folder, 'telling-ssh')
    writeFileSync(ssh, '#!/bin/sh\necho "$@" > "$0.new" && mv "$0.new" "$0.args"\nexec sleep 1000\n', { mode: 0o755 })
    const log = new SshLog(folder)
    const connection = new SharedConnection([ssh], folder, log, { url: '', path: '', host: 'silent' }, { persist })
    await waitFor('ssh is started', () => existsSync(`${ssh}.args`))
    // Before it connects, it is ended like this.
    connection.close()
    await assert.rejects(connection.opened)
    log.close()
    assert.equal(readFileSync(`${ssh}.args`, 'utf8').includes(' -o ControlPersist=60 '), persist)
  }
})
