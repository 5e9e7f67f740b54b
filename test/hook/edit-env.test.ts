import assert from 'node:assert/strict'
import { it } from 'node:test'
import dotenv from 'dotenv'
import { editEnv, mergeEnv, quoteValue } from '../../scripts/lib/hook/install/edit-env.ts'

/** What systemd's EnvironmentFile takes for a value in quotes: parse_env_file_internal in its env-file.c. */
function asSystemd(raw: string): string {
  const [, single, double] = /^(?:'([^']*)'|"([^"\\]*)")$/.exec(raw) ?? []
  return single ?? double ?? raw
}

it('writes values so that dotenv and systemd read the same', () => {
  const values = [
    '',
    '3',
    'a b',
    ' a ',
    'a#b',
    "it's",
    'say "x"',
    '$HOME',
    '`id`',
    'a\\nb',
    '\t',
    'é\u2028',
    '=',
    '"',
    "'",
  ]
  for (const value of values) {
    const raw = quoteValue(value) ?? assert.fail(value)
    assert.equal(dotenv.parse(`A=${raw}\nB='x'\n`).A, value)
    assert.equal(asSystemd(raw), value)
  }
  for (const value of ['a\nb', 'a\rb', 'a\0', '\x1b[31m', 'a\\', `'"`, "'\\n"])
    assert.equal(quoteValue(value), undefined)
})

it('changes the line that counts, and no other', () => {
  const edit = (text: string, raw?: string) => editEnv(text, new Map([['A', raw]]), '.env')
  assert.equal(edit('', '1'), 'A=1\n')
  assert.equal(edit('B=2', '1'), 'B=2\nA=1\n')
  assert.equal(edit('# A=0\r\nexport A = "x\r\ny"\r\nB=2\r\n', '1'), '# A=0\nA=1\nB=2\n')
  assert.equal(edit('A=1 # one\nB=2\nA=\n#A\n', '3'), '# one\nB=2\nA=3\n#A\n')
  assert.equal(edit('A=ab#cd\nAA=1\nB_A=2\nB="\nA=1\n"\n'), 'AA=1\nB_A=2\nB="\nA=1\n"\n')
  assert.equal(edit('A: x\n', '1'), 'A=1\n')
  assert.equal(edit('B=1\n'), 'B=1\n')
  // As a value of the server's may be written that is kept.
  assert.throws(() => edit('B="x\n', '1"'), /\.env cannot be changed line by line: B, A would be wrong\./)
})

it('keeps what was set on the server, and takes what has changed in the file', () => {
  const before = 'A=1\nB=1\nC=1\nD=1\nE=1\n'
  const server = 'A=9\nB=1\nD=1 # d\nSECRET="x\ny"\nE=9\nTOO=9\n'
  const merged = mergeEnv('# file\nA=1\nB=2\nC=1\nE=2\nTOO=8\nNEW=1\n', server, before, '.env')
  assert.equal(merged.text, '# file\nA=9\nB=2\nE=2\nTOO=8\nNEW=1\nSECRET="x\ny"\n')
  assert.deepEqual(
    [merged.kept.sort(), merged.overruled],
    [
      ['A', 'C', 'SECRET'],
      ['E', 'TOO'],
    ],
  )

  const first = mergeEnv('A=2\n', 'A=1\nSECRET=x\n', undefined, '.env')
  assert.deepEqual(first, { text: 'A=2\nSECRET=x\n', kept: ['SECRET'], overruled: [] })
})
