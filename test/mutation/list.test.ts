import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { mutantsByHand } from './by-hand.ts'
import { root } from './lane.ts'
import { testsOf } from './tests-of.ts'

// The mutants themselves are for `make test-mutation`.
describe('The changes on purpose', () => {
  it('by hand each have one place in the sources', () => {
    for (const { breaks, file, from, to } of mutantsByHand) {
      assert.equal(readFileSync(join(root, file), 'utf8').split(from).length - 1, 1, `${breaks}: ${from}`)
      assert.notEqual(from, to, breaks)
    }
  })

  it('have tests that are there', () => {
    const tests = [...mutantsByHand, ...Object.values(testsOf).map(tests => ({ tests }))].flatMap(({ tests }) => tests)
    assert.deepEqual(
      [...new Set(tests)].filter(test => !existsSync(join(root, test))),
      [],
    )
  })

  it('by Stryker are made of files that are there', () => {
    assert.deepEqual(
      Object.keys(testsOf).filter(file => !existsSync(join(root, file))),
      [],
    )
  })
})
