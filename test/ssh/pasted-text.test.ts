import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeBase64, unmangle } from '../../scripts/lib/ssh/pasted-text.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('A pasted text', () => {
  for (const [pasted, text] of [
    ['a\nb', 'a\nb'],
    ['\ufeffa\u200b\nb', 'a\nb'],
    ['a\r\nb\rc', 'a\nb\nc'],
    ['a\\nb\\r\\nc\\rd', 'a\nb\nc\nd'],
    ['a\\\\nb\\\\r\\nc\\r\\\\nd', 'a\nb\nc\nd'],
    [' \na b\n ', 'a b'],
    [' " a\nb " ', 'a\nb'],
    ["'a'", 'a'],
    ['`a`', 'a'],
    ['"a', '"a'],
    ['"a\'', '"a\''],
    ['a "b"', 'a "b"'],
    ['"a" b', '"a" b'],
    ['""', ''],
  ] as const) {
    it(`${JSON.stringify(pasted)} was ${JSON.stringify(text)}`, () => assert.equal(unmangle(pasted), text))
  }
})

describe('Behind base64', () => {
  for (const [packed, text] of [
    [base64('some text\nof lines'), 'some text\nof lines'],
    [base64('some text!').replace(/=/g, ''), 'some text!'],
    [` ${base64('some text').replace(/..../g, '$&\r\n')}`, 'some text'],
    [Buffer.from('ÿ~?>').toString('base64url'), 'ÿ~?>'],
    ['', undefined],
    [' \n', undefined],
    ['====', undefined],
    [`${base64('some text')}===`, undefined],
    [`!${base64('some text')}`, undefined],
    [base64('a\0b'), undefined],
    [base64('a\x1bb'), undefined],
    [Buffer.from([0x80, 0x81, 0x82]).toString('base64'), undefined],
  ] as const) {
    it(`${JSON.stringify(packed)} is ${JSON.stringify(text) ?? 'nothing'}`, () =>
      assert.equal(decodeBase64(packed), text))
  }
})
