import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { flatten, harmless, quote, quoteForSh } from '../../scripts/lib/shared/foreign-text.ts'

describe('Text from outside', () => {
  for (const [text, quoted] of [
    ['', ''],
    ['one', '    one'],
    ['one\n', '    one'],
    ['one\n\n', '    one\n'],
    ['one\n\ntwo', '    one\n\n    two'],
    ['one\r\ntwo\rthree', '    one\n    two\n    three'],
    ['one\vtwo\fthree', '    one\n    two\n    three'],
    ['one\u0085two\u2028three\u2029four', '    one\n    two\n    three\n    four'],
    ['one\ttwo', '    one\ttwo'],
    ['\x1b[2J\x1b]0;title\x07one\x9b31m', '    one'],
    ['a\0b\x07c\x7fd\x08', '    abcd'],
    ['a\u202eb\u2066c\u2069d\u202a', '    abcd'],
    ['ä\u00a0ü 山', '    ä\u00a0ü 山'],
  ] as const) {
    it(`${JSON.stringify(text)} is quoted with each line indented`, () => assert.equal(quote(text), quoted))
  }

  it('that is shown as it comes moves no cursor', () => {
    assert.equal(harmless('  a\x1b[31mb\r\nc\td\u202e\x1b'), '  ab\nc\td')
  })

  for (const [text, line] of [
    ['  one\n  two\t three \n', 'one two three'],
    ['one\rpushlive: two', 'one pushlive: two'],
    ['', ''],
  ] as const) {
    it(`${JSON.stringify(text)} is one line in a sentence`, () => assert.equal(flatten(text), line))
  }

  for (const text of ['', "it's", '$(id) `id` "$HOME" \\', '-n', "''", 'a\nb', '*']) {
    it(`${JSON.stringify(text)} is one word for sh`, () => {
      const said = execFileSync('sh', ['-c', `printf '<%s>' ${quoteForSh(text)}`], { encoding: 'utf8' })
      assert.equal(said, `<${text}>`)
    })
  }
})
