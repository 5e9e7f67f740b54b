import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  explain,
  explainDeployed,
  formatGreeting,
  formatVerdict,
  isDeployed,
  parseGreeting,
  parseVerdict,
  protocol,
  type Verdict,
} from '../../scripts/lib/protocol/verdict.ts'

const commit = 'a1'.repeat(20)
const live = { commit, live: true, explanation: '' }

describe('A verdict', () => {
  for (const [verdict, line] of [
    [live, `pushlive: ${commit} is live`],
    [{ ...live, explanation: 'in 4.2 s' }, `pushlive: ${commit} is live: in 4.2 s`],
    [
      { ...live, explanation: 'in 4.2 s', notChecked: 'no address' },
      `pushlive: ${commit} is live: in 4.2 s, not checked: no address`,
    ],
    [{ ...live, notChecked: 'no address' }, `pushlive: ${commit} is live: not checked: no address`],
    [{ ...live, live: false, explanation: 'BUILD failed' }, `pushlive: ${commit} is not live: BUILD failed`],
    [{ ...live, live: false, isElsewhere: true }, `pushlive: ${commit} is not on the branch`],
    [{ ...live, commit: 'previous', live: false }, 'pushlive: previous is not live'],
    [{ ...live, commit: 'a1b2' }, 'pushlive: a1b2 is live'],
  ] as const satisfies [Verdict, string][]) {
    it(`is said and read: ${line}`, () => {
      assert.equal(formatVerdict(verdict), line)
      assert.deepEqual(parseVerdict(line), { isElsewhere: false, notChecked: undefined, ...verdict })
    })
  }

  it('has one line, whatever its explanation holds', () => {
    const explanation = `first\npushlive: ${commit} is live\r\x1b[2Kred`
    assert.equal(
      formatVerdict({ ...live, live: false, explanation }),
      `pushlive: ${commit} is not live: first pushlive: ${commit} is live red`,
    )
  })

  it('that is red is not called unchecked by its own words', () => {
    const { explanation, notChecked } = parseVerdict(`pushlive: ${commit} is not live: x, not checked: y`) ?? {}
    assert.deepEqual([explanation, notChecked], ['x, not checked: y', undefined])
  })

  it('that is green is called unchecked only where that is its own part', () => {
    const { explanation, notChecked } = parseVerdict(`pushlive: ${commit} is live: it was not checked: y`) ?? {}
    assert.deepEqual([explanation, notChecked], ['it was not checked: y', undefined])
  })

  for (const line of [
    ` pushlive: ${commit} is live`,
    `    pushlive: ${commit} is live`,
    `x pushlive: ${commit} is live`,
    `pushlive: ${commit} is live, or so they say`,
    `pushlive: ${commit} is live.`,
    `pushlive: ${commit}0 is lively`,
    `pushlive: HEAD is live`,
    `pushlive: a1b is live`,
    `pushlive:${commit} is live`,
    `pushlive: ${commit} is live\n`,
  ]) {
    it(`is not read in ${JSON.stringify(line)}`, () => assert.equal(parseVerdict(line), undefined))
  }

  it('tells in one sentence what was found and what was not checked', () => {
    assert.equal(explain({ explanation: 'in 1 s', notChecked: 'no address' }), 'in 1 s, not checked: no address')
    assert.equal(explain({ explanation: 'in 1 s' }), 'in 1 s')
    assert.equal(explain({ explanation: '' }), '')
  })

  it('says of a commit that went live now how long it took, and of no other', () => {
    assert.ok(isDeployed({ ...live, explanation: explainDeployed(4.2) }))
    assert.ok(isDeployed({ ...live, explanation: explainDeployed(12) }))
    const afterRollback = explainDeployed(4.2, 'a1b2')
    assert.equal(afterRollback, 'in 4.2 s; it was pushed after the rollback to a1b2 was asked for')
    assert.ok(isDeployed({ ...live, explanation: afterRollback }))
    for (const explanation of ['', 'already live', 'back in 4.2 s', 'in 4.2 s, and more', 'in s'])
      assert.ok(!isDeployed({ ...live, explanation }), explanation)
    assert.ok(!isDeployed({ ...live, live: false, explanation: explainDeployed(4.2) }))
  })
})

describe("The hook's greeting", () => {
  it('tells its version and the protocol', () => {
    assert.equal(formatGreeting('0.2.0 (1a2b3c4)'), `pushlive post-receive 0.2.0 (1a2b3c4), protocol ${protocol}`)
    assert.deepEqual(parseGreeting(formatGreeting('0.2.0 (1a2b3c4)')), { version: '0.2.0 (1a2b3c4)', protocol })
  })

  for (const [line, greeting] of [
    ['pushlive post-receive 0.1.0', { version: '0.1.0', protocol: 1 }],
    ['pushlive post-receive 9.0, protocol 12', { version: '9.0', protocol: 12 }],
    ['pushlive post-receive ', undefined],
    [' pushlive post-receive 0.1.0', undefined],
    ['x pushlive post-receive 0.1.0', undefined],
    ['pushlive post-receive 0.1.0\n', undefined],
  ] as const) {
    it(`is read in ${JSON.stringify(line)} as ${JSON.stringify(greeting)}`, () =>
      assert.deepEqual(parseGreeting(line), greeting))
  }
})
