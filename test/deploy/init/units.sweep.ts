import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { $ as zx } from 'zx/core'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })
const examples = join(import.meta.dirname, '../../../examples')

/** What systemd says of units, without what only the first deployment brings. */
async function complaintsOf(units: readonly string[]): Promise<string> {
  const { stderr } = await $`systemd-analyze verify --man=no ${units}`
  return stderr.replace(/^.*: Command \S+ is not executable: No such file or directory\n/gm, '')
}

describe('systemd takes as they are the units that deploy init writes for', () => {
  const folders = new Set(globSync(`${examples}/*/server/*.service`).map(dirname))
  for (const folder of folders) {
    it(folder.slice(examples.length + 1), async () => {
      assert.equal(await complaintsOf(globSync(`${folder}/*.{service,socket}`)), '')
    })
  }

  it('but not one with a word that is misspelt', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'units-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const unit = join(folder, 'shop.service')
    writeFileSync(unit, readFileSync(join(examples, 'go/server/shop.service'), 'utf8').replace('Restart=', 'Restrat='))
    assert.match(await complaintsOf([unit]), /Restrat/)
  })
})
