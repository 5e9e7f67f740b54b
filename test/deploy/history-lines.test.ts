import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { columnsOf } from '../../scripts/lib/deploy/columns.ts'
import { formatLines } from '../../scripts/lib/deploy/history-lines.ts'
import { formatAge, formatDuration } from '../../scripts/lib/deploy/times.ts'
import type { DeploymentRecord } from '../../scripts/lib/protocol/record.ts'

describe('A duration', () => {
  for (const [seconds, expected] of [
    [0, '0.0 s'],
    [0.04, '0.0 s'],
    [59.94, '59.9 s'],
    [59.96, '1 min 0 s'],
    [60, '1 min 0 s'],
    [119.4, '1 min 59 s'],
    [119.7, '2 min 0 s'],
    [7199.4, '119 min 59 s'],
    [7199.6, '2 h'],
    [100_000, '28 h'],
    [47.6 * 3600, '48 h'],
    [48 * 3600, '2 days'],
    [Number.NaN, 'an unknown time'],
  ] as const) {
    it(`of ${seconds} s is shown as ${expected}`, () => assert.equal(formatDuration(seconds * 1000), expected))
  }

  it('since then is shown in its largest unit', () => {
    const shown = [-5, 0, 59.9, 60, 3599, 3600, 86_399, 86_400, Number.NaN].map(seconds => formatAge(seconds * 1000))
    const expected = ['0 s', '0 s', '59 s', '1 min', '59 min', '1 h', '23 h', '1 d'].map(each => `${each} ago`)
    assert.deepEqual(shown, [...expected, 'at an unknown time'])
  })
})

describe('The history at a terminal', () => {
  const now = 1e12
  const record = (commit: string, who: string): DeploymentRecord => ({
    commit: commit.repeat(40),
    live: true,
    who,
    started: now - 7000,
    ended: now - 5000,
    steps: [],
  })

  for (const [text, columns] of [
    ['ada', 3],
    ['山田太郎', 8],
    ['ｆｕｌｌ', 8],
    ['ﾊﾝｶｸ', 4],
    ['한국어', 6],
    ['Zoe\u0308', 3],
    ['e\u0301e\u0301', 2],
    ['👩‍👩‍👧‍👦', 2],
    ['👍🏽', 2],
    ['🇩🇪', 2],
    ['❤️', 2],
    ['…●✗', 3],
    ['\u200b', 0],
    ['', 0],
  ] as const) {
    it(`takes ${columns} columns for "${text}"`, () => assert.equal(columnsOf(text), columns))
  }

  it('has its columns below each other, and fits, whatever takes two columns or none', () => {
    const subjects = {
      a: 'Plain English that is far too long for what is left of the line',
      b: '修復資料庫遷移的問題並更新相依套件以及其他的許多小事情',
      c: '👩‍👩‍👧‍👦👍🏽🇩🇪 emoji of several parts, and more words than fit into it',
      d: 'cafe\u0301 e\u0301e\u0301e\u0301 with combining accents, and more words than fit into it',
    }
    const names = { a: 'ada', b: '山田太郎', c: '👩‍💻', d: 'Zoe\u0308' }
    const records = Object.entries(names).map(([commit, who]) => record(commit, who))
    const known = new Map(Object.entries(subjects).map(([commit, subject]) => [commit.repeat(40), subject]))
    const about = { live: undefined, undone: new Set<DeploymentRecord>(), subjects: known }
    const lines = formatLines(records, about, { columns: 70, now }).split('\n')
    assert.equal(lines.length, 5)
    for (const line of lines.slice(1)) {
      const [before = '', after = ''] = line.split('2.0 s  ')
      assert.equal(columnsOf(before), columnsOf('○ was live  5 s ago  aaaaaaaaaa  山田太郎  '), line)
      assert.ok(after.endsWith('…') && [69, 70].includes(columnsOf(line)), `${columnsOf(line)}: ${line}`)
    }
  })

  const about = { live: undefined, undone: new Set<DeploymentRecord>(), subjects: new Map() }
  const failed: DeploymentRecord = {
    ...record('a', 'deploy from 10.0.0.1'),
    live: false,
    by: 'ada',
    subject: 'Add a map of everything',
    explanation: 'UPGRADING DATABASE STRUCTURE failed: `make upgrade-db` exited with 2. Nothing was changed.',
  }
  const last = (columns: number | undefined, record = failed) =>
    formatLines([record], about, { columns, now }).split('\n').at(-1)

  it('has why a deployment failed behind the subject, which leaves room for that', () => {
    const line = '✗ failed  5 s ago  aaaaaaaaaa  ada  2.0 s  '
    assert.equal(last(200), `${line}Add a map of everything: upgrade-db exited 2`)
    assert.equal(last(80), `${line}Add a map of ev…: upgrade-db exited 2`)
    assert.equal(
      last(200, { ...failed, explanation: 'stopped early' }),
      `${line}Add a map of everything: stopped early`,
    )
  })

  it('is the same in a pipe, where nothing is cut', () => {
    assert.equal(
      last(undefined),
      `✗ failed  2001-09-09T01:46:35.000Z  ${'a'.repeat(40)}  ada, as deploy from 10.0.0.1  2.0 s  ${failed.subject}: ${failed.explanation}`,
    )
  })
})
