import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { compareRevisions, describeRevision, isDigest, parseRevision } from '../../scripts/lib/protocol/revision.ts'

describe("A database's revision", () => {
  for (const [what, printed, revision] of [
    ['is what is printed', 'abc', 'abc'],
    ['has no white space around its lines', '  abc \r\n\n\t d e \n', 'abc\nd e'],
    ['is sorted', 'b\na\n', 'a\nb'],
    ['may be none', ' \n', ''],
    ['has no zero bytes', 'a\0b\0', 'ab'],
    [
      "is without Alembic's marks of the code",
      'ae10 (head)\nbf20 (effective head)\nc1 (branchpoint) (mergepoint)',
      'ae10\nbf20\nc1',
    ],
    [
      "keeps what only looks like Alembic's marks",
      'ae10 (head) here\n(head)\nae10 (HEAD)\nof ae10 (head)',
      '(head)\nae10 (HEAD)\nae10 (head) here\nof ae10 (head)',
    ],
    [
      "is Django's applied migrations",
      'polls\n [X] 0001_initial\n [X]  0002_more\n [ ] 0003_new\n',
      '0001_initial\n0002_more\npolls',
    ],
    ['keeps what only looks like a migration', 'x [ ] y\nx [X] y\n[X]\n[X]y', '[X]\n[X]y\nx [ ] y\nx [X] y'],
  ] as const) {
    it(what, () => assert.equal(parseRevision(printed), revision))
  }

  it('that no environment variable could hold is told by its digest', () => {
    const held = 'ü'.repeat(60_000)
    assert.equal(parseRevision(held), held)
    const digest = `sha256:${createHash('sha256').update(`${held}x`).digest('hex')}`
    assert.equal(parseRevision(`${held}x`), digest)
    assert.ok(isDigest(digest))
    for (const other of [held, `${digest}0`, `x${digest}`, digest.slice(0, -1), '']) assert.ok(!isDigest(other))
  })

  for (const [revision, described] of [
    ['', 'no revision'],
    ['a', 'a'],
    ['a\nb\nc', 'a, b, c'],
    ['a\nb\nc\nd', 'a, b, c and 1 more'],
    ['a\nb\nc\nd\ne', 'a, b, c and 2 more'],
    ['a\x1b[31mb\tc', 'ab c'],
  ] as const) {
    it(`is described as "${described}"`, () => assert.equal(describeRevision(revision), described))
  }

  for (const [found, wanted, compared] of [
    ['a', 'b', 'at a, the code needs b'],
    ['', 'a\nb\nc', 'at no revision, the code needs a, b, c'],
    ['a\nb\nc', 'a\nb\nc\nd', 'it lacks d'],
    ['a\nb\nc\nd\ne', 'a\nb\nc', 'it has d, e'],
    ['a\nb\nc\nd', 'a\nb\nc\ne', 'it lacks e, and it has d'],
    ['a', 'a\nb\nc\nd\ne\nf', 'it lacks b, c, d and 2 more'],
  ] as const) {
    it(`that differs is explained: ${compared}`, () => assert.equal(compareRevisions(found, wanted), compared))
  }
})
