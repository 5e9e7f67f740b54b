import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildSync } from 'esbuild'

// Each push to the repository runs the hook, and most pushes deploy nothing: to load zx or node:net takes longer than all
// that the hook does then. So what only a deployment needs is behind an import().
test('A push that deploys nothing loads no step, no zx and nothing of the network', () => {
  const { metafile } = buildSync({
    absWorkingDir: join(import.meta.dirname, '../..'),
    entryPoints: ['scripts/post-receive.ts'],
    bundle: true,
    platform: 'node',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const loaded = new Set(['scripts/post-receive.ts'])
  for (const file of loaded) {
    for (const { path, kind } of metafile.inputs[file]?.imports ?? []) {
      if (kind !== 'dynamic-import') loaded.add(path)
    }
  }
  const ofDeployments =
    /hook\/steps\/|hook\/(relay|repository|releases|work-tree)\.ts|\/zx\/|^node:(net|https?|crypto)$/
  assert.deepEqual(
    [...loaded].filter(path => ofDeployments.test(path)),
    [],
  )
  assert.ok(loaded.has('scripts/lib/hook/pushed-refs.ts'), [...loaded].join('\n'))
})
