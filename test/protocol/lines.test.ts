import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { endOfChecks, formatCheck, parseCheck } from '../../scripts/lib/protocol/checks.ts'
import { emptyTrees, isCommitId, isPartOfId, isZeroId } from '../../scripts/lib/protocol/ids.ts'
import {
  endOfLogs,
  formatLogName,
  formatLogTitle,
  parseLogName,
  parseLogTitle,
} from '../../scripts/lib/protocol/logs.ts'
import { formatOrigin, longestOrigin, parseOrigin } from '../../scripts/lib/protocol/origin.ts'
import {
  formatAnnouncement,
  formatFailedStep,
  formatWaiting,
  nameInTitle,
  parseAnnouncement,
  parseFailedStep,
  parseUsual,
  puttingBack,
} from '../../scripts/lib/protocol/steps.ts'
import { alreadyLive } from '../../scripts/lib/protocol/verdict.ts'

const [sha1, sha256] = ['a1'.repeat(20), 'b2'.repeat(32)]

// Both sides compare these, and they may be of different versions.
it('The words that deploy looks for stay the same', () => {
  assert.deepEqual(
    [alreadyLive, puttingBack, endOfChecks, endOfLogs],
    [
      'already live',
      'PUTTING BACK THE PREVIOUS CODE',
      'That is all that a deployment needs here.',
      'That is what is kept of logs.',
    ],
  )
})

describe('An id', () => {
  for (const [id, isWhole, isPart] of [
    [sha1, true, true],
    [sha256, true, true],
    [`${sha1}0`, false, true],
    [`${sha256}0`, false, false],
    [`x${sha1}`, false, false],
    [`${sha1}x`, false, false],
    ['a1b2', false, true],
    ['a1b', false, false],
    [sha1.toUpperCase(), false, false],
    ['', false, false],
  ] as const) {
    it(`${id || '(empty)'}: ${isWhole ? 'whole' : isPart ? 'a part' : 'none'}`, () => {
      assert.equal(isCommitId(id), isWhole)
      assert.equal(isPartOfId(id), isPart)
    })
  }

  it('that is missing is none', () => assert.ok(!isCommitId(undefined)))

  it('of zeros says that there is nothing', () => {
    assert.ok(isZeroId('0'.repeat(40)))
    for (const other of [`${'0'.repeat(39)}1`, `1${'0'.repeat(39)}`, '']) assert.ok(!isZeroId(other))
  })

  it('of the tree without files is known for both kinds', () => {
    const idBy = (kind: string) => createHash(kind).update('tree 0\0').digest('hex')
    assert.deepEqual(emptyTrees, [idBy('sha1'), idBy('sha256')])
  })
})

describe('A check', () => {
  for (const [check, line] of [
    [{ what: 'PATH', isOk: true, found: 'make: /usr/bin/make' }, 'ok: PATH: make: /usr/bin/make'],
    [{ what: 'BUILD', isOk: false, found: 'no npm' }, 'wrong: BUILD: no npm'],
    [{ what: 'BUILD', isOk: false, found: '' }, 'wrong: BUILD: '],
    [{ what: 'lock', isOk: true, isNote: true, found: 'another has it' }, 'ok: lock: note: another has it'],
    [{ what: 'x', isOk: false, found: "a 'b. To do: c'", fix: 'rm it' }, "wrong: x: a 'b. To do: c'. To do: rm it"],
  ] as const) {
    it(`is said and read: ${line}`, () => {
      assert.equal(formatCheck(check), line)
      assert.deepEqual(parseCheck(line), check)
    })
  }

  it('has one line', () => {
    assert.equal(formatCheck({ what: 'PATH', isOk: true, found: 'a\nwrong: b: c' }), 'ok: PATH: a wrong: b: c')
  })

  for (const line of ['    ok: PATH: make', 'not ok: PATH: make', 'okay: PATH: make', 'ok: PATH', 'ok: PATH: a\nb']) {
    it(`is not read in ${JSON.stringify(line)}`, () => assert.equal(parseCheck(line), undefined))
  }
})

describe("A log's name", () => {
  const started = '2026-11-26T10:20:30.123Z'
  for (const [name, log] of [
    [`000042-20261126T102030.123Z-${sha1}.log`, { number: 42, commit: sha1, started }],
    [`1234567-20261126T102030.123Z-${sha256}.log`, { number: 1_234_567, commit: sha256, started }],
  ] as const) {
    it(`is made and read: ${name}`, () => {
      assert.equal(formatLogName(log), name)
      assert.deepEqual(parseLogName(name), log)
    })
  }

  it('of an older version has no number', () => {
    assert.deepEqual(parseLogName(`20261126T102030.123Z-${sha1}.log`), { number: 0, commit: sha1, started })
  })

  for (const name of [
    `42-20261126T102030.123Z-${sha1}.log`,
    `000042-20261126T102030Z-${sha1}.log`,
    `000042-20261126T102030.123Z-${sha1}.log.gz`,
    `000042-20261126T102030.123Z-${sha1}xlog`,
    `x000042-20261126T102030.123Z-${sha1}.log`,
    `000042-20261126T102030.123Z-${sha1.slice(1)}.log`,
  ]) {
    it(`is not read in ${name}`, () => assert.equal(parseLogName(name), undefined))
  }
})

describe("A log's title", () => {
  const title = { commit: sha1, started: '2026-11-26T10:20:30.123Z', skipped: 12 }
  const line = `Log of ${sha1}, deployed at 2026-11-26T10:20:30.123Z, from byte 12 on:`

  it('is said and read', () => {
    assert.equal(formatLogTitle(title), line)
    assert.deepEqual(parseLogTitle(line), title)
  })

  for (const other of [
    `    ${line}`,
    `${line} `,
    `${line}\n`,
    line.replace('byte 12', 'byte '),
    line.replace(sha1, 'HEAD'),
  ]) {
    it(`is not read in ${JSON.stringify(other)}`, () => assert.equal(parseLogTitle(other), undefined))
  }
})

describe('Who started a deployment', () => {
  const empty = { by: undefined, run: undefined }
  for (const [text, origin] of [
    [formatOrigin({ by: 'ada', run: 'https://ci.example/1?a=b' }), { by: 'ada', run: 'https://ci.example/1?a=b' }],
    [formatOrigin({}), empty],
    ['{"by":"a\\u001b[31mb\\nc"}', { by: 'ab c', run: undefined }],
    ['{"by":7,"run":7}', empty],
    ['{"run":"http://ci.example/"}', { by: undefined, run: 'http://ci.example/' }],
    ['{"run":"javascript:alert(1)"}', empty],
    ['{"run":"x https://ci.example/"}', empty],
    ['{"run":"ftp://ci.example/"}', empty],
    ['{"run":"https://"}', empty],
    ['{"run":["https://ci.example/"]}', empty],
    ['{"run":"https://ci.example/a b"}', empty],
    ['{"run":"https://ci.example/ä"}', empty],
    ['null', {}],
    ['words', {}],
    ['', {}],
  ] as const) {
    it(`is read from ${text || 'nothing'}`, () => assert.deepEqual(parseOrigin(text), origin))
  }

  it('has room for any name and address', () => assert.ok(longestOrigin >= 2048))
})

describe("A step's announcement", () => {
  it('is said and read', () => {
    assert.equal(formatAnnouncement('BUILDING (in /srv/app)'), 'BUILDING (in /srv/app) ...')
    assert.equal(formatWaiting('ANOTHER DEPLOYMENT'), 'WAITING FOR ANOTHER DEPLOYMENT ...')
    assert.equal(nameInTitle('BUILDING (in /srv/app (1))'), 'BUILDING')
    assert.equal(nameInTitle('BUILDING'), 'BUILDING')
  })

  for (const [line, name] of [
    ['BUILDING ...', 'BUILDING'],
    ['BUILDING (in /srv/app (1)) ...', 'BUILDING'],
    ['CHECKING HTTP 2 ...', 'CHECKING HTTP 2'],
    ['WAITING FOR ANOTHER DEPLOYMENT ...', 'WAITING'],
    ['WAITING FOR it ...', 'WAITING'],
    ['    BUILDING ...', undefined],
    ['x BUILDING ...', undefined],
    ['building ...', undefined],
    ['B ...', undefined],
    ['2 STEPS ...', undefined],
    ['BUILDING', undefined],
    ['BUILDING ....', undefined],
    ['BUILDING ... done', undefined],
    ['BUILDING xyz...', undefined],
    ['BUILDING in /srv/app ...', undefined],
  ] as const) {
    it(`${JSON.stringify(line)} names ${name ?? 'no step'}`, () => assert.equal(parseAnnouncement(line), name))
  }
})

describe('The announcement of a step', () => {
  it('tells how long the step usually takes, and an older deploy reads its name all the same', () => {
    const line = formatAnnouncement('CHECKING OUT CODE TO GIT WORK TREE (/srv/www)', 12)
    assert.equal(line, 'CHECKING OUT CODE TO GIT WORK TREE (/srv/www) (usually 12 s) ...')
    assert.deepEqual([parseAnnouncement(line), parseUsual(line)], ['CHECKING OUT CODE TO GIT WORK TREE', 12])
    assert.equal(parseUsual(formatAnnouncement('BUILDING')), undefined)
  })

  it('is followed by the reason, where it fails', () => {
    assert.deepEqual(parseFailedStep(formatFailedStep('BUILDING', 'no.')), { step: 'BUILDING', reason: 'no.' })
    for (const line of ['    BUILDING failed: no.', 'Building failed: no.', 'BUILDING ...']) {
      assert.equal(parseFailedStep(line), undefined)
    }
  })
})
