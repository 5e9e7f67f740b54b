import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type DeploymentRecord,
  deployRefs,
  findPrevious,
  findRevision,
  formatRecord,
  parseRecords,
} from '../../scripts/lib/protocol/record.ts'

const [a = '', b = '', c = '', d = ''] = ['a1', 'b2', 'c3', 'd4'].map(part => part.repeat(20))
const record = (commit: string, more: Partial<DeploymentRecord> = {}): DeploymentRecord => ({
  ...{ commit, live: true, who: 'ada', started: 1000, ended: 2000, steps: [] },
  ...more,
})

/** What is undefined in a record is as good as absent. */
const read = (bodies: readonly (string | undefined)[]) =>
  parseRecords(bodies.join('\0')).map(each => JSON.parse(JSON.stringify(each)))
const readOne = (more: object) => read([JSON.stringify({ ...record(a), ...more })])[0]

describe('A record', () => {
  it('is a message that says in its first line what became of the commit', () => {
    assert.equal(formatRecord(record(a)).split('\n\n')[0], `${a} is live`)
    assert.equal(formatRecord(record(a, { live: false })).split('\n\n')[0], `${a} is not live`)
  })

  it('is read from the body of its message', () => {
    const both = [record(a), record(b, { live: false })]
    const bodies = both.map(each => formatRecord(each).split('\n\n')[1])
    assert.deepEqual(read(bodies), both)
  })

  it('that is none is left out, and the others are read', () => {
    const strange = [
      ...['', 'words', 'null', '[]', '"text"', '7', '{'],
      ...[
        { ...record(a), commit: 'HEAD' },
        { ...record(a), commit: 7 },
        { ...record(a), commit: [a] },
        { ...record(a), commit: `${a}0` },
      ],
      ...[
        { ...record(a), live: 'yes' },
        { ...record(a), steps: undefined },
        { ...record(a), steps: {} },
      ],
    ].map(each => (typeof each === 'string' ? each : JSON.stringify(each)))
    assert.deepEqual(read([...strange, JSON.stringify(record(b))]), [record(b)])
  })

  it('is read whole', () => {
    const whole = {
      ...{ previous: b, request: 'again', by: 'bob', run: 'https://ci.example/1', started: 0, ended: 8.64e15 },
      ...{ explanation: 'because', notChecked: 'no address', database: '' },
      steps: [{ name: 'BUILDING', seconds: 1.5 }, { name: 'RESTARTING' }],
      kept: [
        { release: 1, commit: b, database: '7' },
        { release: 2, commit: c },
      ],
    }
    assert.deepEqual(readOne(whole), { ...record(a), ...whole })
  })

  for (const [malformed, as] of [
    [{ previous: 'HEAD', request: 7, explanation: {}, notChecked: [], database: 7, kept: {} }, {}],
    [{ previous: [b], by: 7, run: 'javascript:alert(1)' }, {}],
    [{ who: 7 }, { who: 'an unknown user' }],
    [
      { started: 8.65e15, ended: '12' },
      { started: null, ended: null },
    ],
    [{ started: -8.64e15 }, { started: -8.64e15 }],
    [
      { steps: [null, 'text', [], { seconds: 1 }, { name: 7 }, { name: 'A', seconds: -1 }] },
      { steps: [{ name: 'A', seconds: 0 }] },
    ],
    [
      {
        steps: [
          { name: 'A', seconds: '1' },
          { name: 'B', seconds: null },
        ],
      },
      { steps: [{ name: 'A' }, { name: 'B' }] },
    ],
    [
      {
        kept: [null, { release: '1', commit: b }, { release: 1, commit: 'x' }, { release: 1, commit: b, database: 7 }],
      },
      { kept: [{ release: 1, commit: b }] },
    ],
  ] as const) {
    it(`is read without what is malformed: ${JSON.stringify(malformed)}`, () =>
      assert.deepEqual(readOne(malformed), { ...record(a), ...as }))
  }

  it('has refs of its branch, beside those of what is live and what failed', () => {
    assert.deepEqual(deployRefs('a/b'), {
      live: 'refs/deploy/a/b/live',
      failed: 'refs/deploy/a/b/failed',
      history: 'refs/deploy/a/b/history',
      hook: 'refs/deploy/a/b/hook',
      kept: 'refs/deploy/a/b/kept',
    })
  })
})

describe('A rollback goes to', () => {
  const again = (commit: string) => record(commit, { request: 'again' })
  const rollback = (commit: string) => record(commit, { request: 'rollback' })
  const downgrade = (commit: string) => record(commit, { request: 'downgrade' })
  const failed = (commit: string) => record(commit, { live: false })

  for (const [what, oldestFirst, previous] of [
    ['nothing where nothing was deployed', [], undefined],
    ['nothing where one commit was', [record(a)], undefined],
    ['the commit before', [record(a), record(b)], a],
    ['the commit before, and no failed one', [record(a), failed(c), record(b), failed(d)], a],
    ['the commit before, though this one was deployed twice', [record(a), record(b), again(b)], a],
    ['one more back after a rollback', [record(a), record(b), record(c), rollback(b)], a],
    ['one more back after a rollback with the database', [record(a), record(b), record(c), downgrade(b)], a],
    ['nothing after a rollback to the first', [record(a), record(b), rollback(a)], undefined],
    [
      'nothing after a rollback to the first, whatever the records name',
      [record(a), record(b, { previous: a }), record(a, { previous: b, request: 'rollback' })],
      undefined,
    ],
    ['what was live before a new commit that follows a rollback', [record(a), record(b), rollback(a), record(c)], a],
    ['the commit before, where an older one was pushed again', [record(a), record(b), again(a)], b],
    ['what somebody else had put live', [record(b, { previous: a })], a],
    ['what somebody else had put live in between', [record(a), record(c, { previous: b })], b],
    ['the commit before, where the record names it, too', [record(a), record(b, { previous: a })], a],
    [
      'the one before a named commit that was live long ago',
      [record(a), record(b), record(c), record(d), rollback(b)],
      a,
    ],
    ['what was live, where a rollback named a commit that never was', [record(a), rollback(c)], a],
  ] as const) {
    it(what, () => assert.equal(findPrevious(oldestFirst.toReversed()), previous))
  }
})

describe("The database's revision when a commit was live", () => {
  it('is that of its newest record which tells it', () => {
    const newestFirst = [
      ...[record(b, { database: '3' }), record(a), record(a, { live: false, database: '9' })],
      ...[record(a, { database: '2' }), record(a, { database: '1' })],
    ]
    assert.equal(findRevision(newestFirst, a), '2')
    assert.equal(findRevision(newestFirst, c), undefined)
    assert.equal(findRevision([record(a, { database: '' })], a), '')
  })
})
