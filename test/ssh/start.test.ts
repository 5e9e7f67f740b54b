import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { $ as zx } from 'zx/core'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

// deploy itself takes a few hundredths of a second of a deployment, and most runs need no crypto. So it is loaded only
// where it is used, by process.getBuiltinModule.
test('Reading hosts, keys and addresses does not load crypto before it is needed', async () => {
  const files = ['key-blob', 'known-hosts', 'pasted-text', 'private-key', 'remote'].map(name =>
    join(import.meta.dirname, `../../scripts/lib/ssh/${name}.ts`),
  )
  const program = `
    for (const file of ${JSON.stringify(files)}) await import(file)
    console.log(process.moduleLoadList.includes('NativeModule crypto'))
  `
  const { stdout } = await $`${process.execPath} --input-type=module --eval ${program}`
  assert.equal(stdout, 'false\n')
})
