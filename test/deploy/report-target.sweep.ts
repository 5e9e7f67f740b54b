import assert from 'node:assert/strict'
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'

const $ = zx({ quiet: true, nothrow: true })

describe('deploy report', async () => {
  const { newSite } = await startServer({ after })

  it('writes to what a link leads to, and the link stays', async t => {
    const site = await newSite(t)
    const served = join(site.folder, 'served')
    mkdirSync(served)
    writeFileSync(join(served, 'there.html'), 'old')
    for (const name of ['there.html', 'not-yet.html']) {
      const link = join(site.clone, name)
      symlinkSync(join(served, name), link)
      assertExit(await site.deploy(['report', name]), 0)
      assert.ok(lstatSync(link).isSymbolicLink())
      assert.match(readFileSync(join(served, name), 'utf8'), /^<!doctype html>[\s\S]*Nothing is live/i)
    }
  })

  it('writes to a pipe, and to a device, and these stay', async t => {
    const site = await newSite(t)
    const pipe = join(site.folder, 'pipe')
    await $`mkfifo ${pipe}`
    const reading = $`exec cat ${pipe}`
    // It would wait for ever where nothing is written.
    t.after(() => void reading.child?.kill())
    assertExit(await site.deploy(['report', pipe]), 0)
    assert.ok(lstatSync(pipe).isFIFO())
    assert.match((await reading).stdout, /<\/html>/)

    const $$ = $({ cwd: site.clone, env: site.deployEnvironment })
    assert.match((await $$`${program('deploy')} report /dev/stdout | cat`).stdout, /<\/html>/)
    // As /dev/null is. Only root can make one.
    const device = join(site.folder, 'null')
    if (!(await $`mknod ${device} c 1 3`).ok) return
    assertExit(await site.deploy(['report', device]), 0)
    assert.ok(lstatSync(device).isCharacterDevice())
  })
})
