import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { StepsShell } from '../../scripts/lib/hook/steps-shell.ts'
import { touchWsgi } from '../../scripts/lib/hook/wsgi.ts'

const skip = process.getuid?.() === 0 ? false : 'only root can be another user'

test('A WSGI file that the hook may write, and that belongs to another user, is touched', { skip }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'wsgi-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const wsgi = join(folder, 'wsgi.py')
  writeFileSync(wsgi, '')
  chmodSync(folder, 0o755)
  chmodSync(wsgi, 0o666)
  utimesSync(wsgi, 1, 1)
  const ran: string[] = []
  const shell = { run: async (command: string) => void ran.push(command) } as unknown as StepsShell
  process.seteuid?.(65534)
  t.after(() => process.seteuid?.(0))
  await touchWsgi(wsgi, shell, undefined)
  process.seteuid?.(0)
  assert.deepEqual([ran, statSync(wsgi).mtimeMs], [['touch -- "$PATH_TO_WSGI"'], 1000])
})
