import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whatIsLoadedBy } from '../lib/loaded.ts'

test('What few runs need is loaded only by those: init with its texts and questions, the metrics, the trace', () => {
  const { atStart, inAll } = whatIsLoadedBy('scripts/deploy.ts')
  assert.deepEqual(
    atStart.filter(path => /deploy\/(init\/|metrics|trace)|@clack/.test(path)),
    [],
  )
  for (const name of ['init/init', 'metrics', 'trace']) assert.ok(inAll.includes(`scripts/lib/deploy/${name}.ts`))
})
