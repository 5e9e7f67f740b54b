import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildSync } from 'esbuild'

test('Only init loads the texts and the questions of init', () => {
  const { metafile } = buildSync({
    absWorkingDir: join(import.meta.dirname, '../../..'),
    entryPoints: ['scripts/deploy.ts'],
    bundle: true,
    platform: 'node',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const loaded = new Set(['scripts/deploy.ts'])
  for (const file of loaded) {
    for (const { path, kind } of metafile.inputs[file]?.imports ?? []) if (kind !== 'dynamic-import') loaded.add(path)
  }
  assert.deepEqual(
    [...loaded].filter(path => /deploy\/init\/|@clack/.test(path)),
    [],
  )
  assert.ok('scripts/lib/deploy/init/init.ts' in metafile.inputs)
})
