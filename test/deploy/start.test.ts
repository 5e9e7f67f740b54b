import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildSync } from 'esbuild'

test('What few runs need is loaded only by those: init with its texts and questions, the metrics, the trace', () => {
  const { metafile } = buildSync({
    absWorkingDir: join(import.meta.dirname, '../..'),
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
    [...loaded].filter(path => /deploy\/(init\/|metrics|trace)|@clack/.test(path)),
    [],
  )
  for (const name of ['init/init', 'metrics', 'trace']) assert.ok(`scripts/lib/deploy/${name}.ts` in metafile.inputs)
})
