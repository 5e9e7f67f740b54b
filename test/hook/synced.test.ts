import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'

const straces = (await zx({ quiet: true, nothrow: true })`command -v strace`).ok

test('What a deployment relies on after a power cut is on the disk before it goes on', {
  skip: !straces && 'strace is not installed',
}, async t => {
  const { newSite } = await startServer(t)
  const site = await newSite(t)
  site.configure({ RELEASES: '3', SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '', RESTART: '' })
  await site.commit()
  assertExit(await site.deploy(), 0)
  const trace = join(site.folder, 'trace')
  const strace = `strace -f --seccomp-bpf -qq -y -s 100000 -o ${trace} -e trace=write,fsync,syncfs,rename,renameat,renameat2`
  writeFileSync(
    join(site.repository, 'hooks/post-receive'),
    `#!/bin/sh\nexec ${strace} '${program('post-receive').join("' '")}'\n`,
  )
  await site.commit({ 'page.txt': 'two\n' })
  assertExit(await site.deploy(), 0)

  const calls = readFileSync(trace, 'utf8')
    .split('\n')
    .filter(line => line.includes('pushlive') || line.includes('www'))
  const find = (what: RegExp, from = 0) => {
    const index = calls.findIndex((line, index) => index >= from && what.test(line))
    assert.notEqual(index, -1, `${what} is not in\n${calls.join('\n')}`)
    return index
  }
  // The first entry of the journal.
  const first = find(/rename\(".*pushlive\/journal\.new"/)
  assert.ok(find(/fsync\(\d+<.*pushlive\/journal\.new>/) < first, calls.join('\n'))
  // What is complete, and that it is switched to.
  const complete = find(/write\(.*releases\/2.*\\"complete\\":\\"[0-9a-f]{40}/)
  const state = find(/rename/, complete)
  assert.match(calls.slice(complete, state).join('\n'), /fsync\(/)
  const synced = find(/syncfs\(\d+<.*www\.releases\/2>/)
  const written = find(/write\(.*journal\.new.*\\"touched\\":\{\\"code\\":true,\\"application\\":true\}/)
  const switched = find(/rename\(".*", ".*\/www"\)/)
  for (const before of [state, synced, written]) assert.ok(before < switched, calls.join('\n'))
})
