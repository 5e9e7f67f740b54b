import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findAsk } from '../../scripts/lib/hook/pushed-refs.ts'
import { askRef } from '../../scripts/lib/protocol/asks.ts'

describe('A push', () => {
  const none = '0'.repeat(40)
  const commit = 'c'.repeat(40)
  const again = askRef('main', { verb: 'again', commit }, '0123456789abcdef')
  const rollback = askRef('main', { verb: 'rollback', commit: undefined }, '0123456789abcdef')

  it('asks by one ref', () => {
    const { ask, refusals, isAsked } = findAsk(`${none} ${commit} ${again}\n`, 'main')
    assert.deepEqual([ask, refusals, isAsked], [{ verb: 'again', commit }, [], true])
  })

  it('of two asks is refused: which one comes first is no order', () => {
    const { ask, refusals, isAsked } = findAsk(`${none} ${commit} ${again}\n${none} ${commit} ${rollback}\n`, 'main')
    assert.deepEqual([ask, isAsked, refusals.length], [undefined, true, 2])
    for (const refusal of refusals) assert.match(refusal, /is not live: .* or not the only ask of this push/)
  })

  it('that deletes an ask asks for nothing', () => {
    const { ask, isAsked } = findAsk(`${commit} ${none} ${again}\n`, 'main')
    assert.deepEqual([ask, isAsked], [undefined, false])
  })
})
