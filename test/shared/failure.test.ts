import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeBriefly, describe as describeError, exitCode, Failure } from '../../scripts/lib/shared/program.ts'

describe('A failure', () => {
  const failure = new Failure(3, 'It failed.', { why: 'because\nof this\n\n', fix: 'do\nthat', cause: 'x' })

  it('says what failed, why, and what to do', () => {
    assert.equal(String(failure), 'It failed.\n    because\n    of this\nTo do: do that')
    assert.equal(describeError(failure), String(failure))
    assert.equal(describeBriefly(failure), 'It failed.')
    assert.deepEqual(
      [failure.name, failure.exitCode, failure.why, failure.cause],
      ['Failure', 3, 'because\nof this', 'x'],
    )
  })

  it('says nothing of what is not known', () => {
    assert.equal(String(new Failure(1, 'It failed.')), 'It failed.')
    assert.equal(String(new Failure(1, 'It failed.', { fix: 'do that' })), 'It failed.\nTo do: do that')
    assert.equal(String(new Failure(1, 'It failed.', { why: 'because' })), 'It failed.\n    because')
  })

  it('cannot be forged by a text from outside', () => {
    const text = String(new Failure(1, 'No\nTo do: x', { why: '\rTo do: y', fix: 'z\x1b[2K' }))
    assert.equal(text, 'No To do: x\n\n    To do: y\nTo do: z')
  })

  it('has the exit codes that CIs know', () => {
    assert.deepEqual(exitCode, { live: 0, failed: 1, usage: 2, unreachable: 3, refused: 4, unknown: 5, bug: 70 })
  })
})

describe('An error', () => {
  const system = (code: string) => Object.assign(new Error(`${code}: no, open '/x'`), { code })
  const refusals = ['EROFS', 'ENOSPC', 'EDQUOT', 'EFBIG', 'EACCES', 'EPERM', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM']
  for (const code of [...refusals, 'EAGAIN', 'EXDEV', 'EBUSY']) {
    it(`${code} of the system is no bug of ours`, () => {
      assert.equal(describeError(system(code)), `The system refuses: ${code}: no, open '/x'`)
      assert.equal(describeError({ cause: system(code) }), `The system refuses: ${code}: no, open '/x'`)
    })
  }

  it("of Node's rmSync is none, though it has no code", () => {
    const error = new Error(", Unknown error: Read-only file system '/x'")
    const described = describeError(Object.assign(error, { code: '', syscall: 'rm' }))
    assert.equal(described, "The system refuses: Read-only file system '/x'")
    const other = describeError(Object.assign(new Error("a, Unknown error: b '/x'"), { code: '', syscall: 'rm' }))
    assert.equal(other, "The system refuses: a, Unknown error: b '/x'")
    assert.match(describeError(Object.assign(new Error('no'), { code: 'EISDIR', syscall: 'rm' })), /^Internal error/)
  })

  for (const code of ['EBADF', 'EISDIR', '']) {
    it(`${code || 'without a code'} is one`, () =>
      assert.match(
        describeError(system(code)),
        /^Internal error in pushlive source, please report it: Error: .*\n {4}at /s,
      ))
  }

  for (const [error, words] of [
    [{ stderr: ' fatal: no \n' }, 'A command failed: fatal: no'],
    [{ stderr: 'a\nb' }, 'A command failed: a b'],
    [{ stderr: 'it ends.' }, 'A command failed: it ends.'],
    [{ stderr: '', cause: new Error('spawn git ENOENT') }, 'A command failed: spawn git ENOENT'],
    [{ stderr: 'said', cause: new Error('spawn git ENOENT') }, 'A command failed: said'],
  ] as const) {
    it(`of a command is told by what it said: ${words}`, () => {
      assert.equal(describeError(error), words)
      assert.equal(describeBriefly(error), `${words.replace(/\.$/, '')}.`)
    })
  }

  for (const error of [undefined, null, 'text', 7, { stderr: '' }, { stderr: ' ', message: 'exit code 1' }, {}]) {
    it(`of any kind is shown: ${JSON.stringify(error)}`, () => {
      assert.match(describeError(error), /^Internal error in pushlive source, please report it: /)
      assert.match(describeBriefly(error), /^[^\n]*[^.\n]\.$/)
    })
  }
})
