import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { Journal, type JournalEntry } from '../../scripts/lib/hook/journal.ts'

describe('The journal', () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'))
  after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'journal')
  const journal = new Journal(file)
  const commit = 'c'.repeat(40)
  const entry = { number: 7, commit, log: '/log', started: 1, steps: [], touched: {} } as unknown as JournalEntry

  it('is read as it was written', () => {
    journal.write(entry)
    assert.deepEqual(journal.read(), entry)
  })

  it('tells a push whether the last deployment has ended', () => {
    journal.write(entry)
    assert.deepEqual(journal.arrival(), { number: 7, hasEnded: false })
    for (const outcome of ['live', 'failed'] as const) {
      journal.write({ ...entry, outcome })
      assert.deepEqual(journal.arrival(), { number: 7, hasEnded: true })
    }
  })

  it('tells nothing where a part of it is damaged', () => {
    const damages = [
      { number: '7' },
      { commit: 'main' },
      { log: undefined },
      { started: null },
      { steps: undefined },
      { touched: undefined },
      { touched: null },
    ]
    const texts = ['', '{', 'null', '[]', '"text"', ...damages.map(damage => JSON.stringify({ ...entry, ...damage }))]
    for (const text of texts) {
      writeFileSync(file, text)
      assert.equal(journal.read(), undefined, text)
      assert.equal(journal.arrival(), undefined, text)
    }
  })
})
