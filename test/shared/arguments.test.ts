import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { findNearest, givenArguments, readArguments } from '../../scripts/lib/shared/arguments.ts'
import { Failure } from '../../scripts/lib/shared/program.ts'

const read = (...args: string[]) =>
  readArguments('deploy', 'how to use it', { force: { type: 'boolean' }, file: { type: 'string' } }, args)
const printed = (t: TestContext) => {
  const { mock } = t.mock.method(console, 'log', () => {})
  return () => mock.calls.map(call => call.arguments[0])
}

describe('Arguments', () => {
  it('are options and what is beside them', () => {
    assert.deepEqual({ ...read('--force', 'one', '--', '--two')?.options }, { force: true })
    assert.deepEqual(read('--force', 'one', '--', '--two')?.positionals, ['one', '--two'])
    assert.deepEqual({ ...read()?.options }, {})
    assert.deepEqual({ ...read('--file', 'one')?.options }, { file: 'one' })
    assert.deepEqual({ ...read('--file=-1')?.options }, { file: '-1' })
  })

  it('are those of the process where no others are given', t => {
    t.mock.property(process, 'argv', ['node', 'deploy.ts', 'one'])
    assert.deepEqual(readArguments('deploy', '', {})?.positionals, ['one'])
  })

  it('that ask for help are answered with it', t => {
    const words = printed(t)
    assert.equal(read('--help'), undefined)
    assert.equal(read('--help', '--version', '--force'), undefined)
    assert.equal(read('-h'), undefined)
    t.mock.property(process, 'argv', ['node', 'deploy.ts', 'help', 'status'])
    assert.deepEqual(givenArguments(), ['status', '--help'])
    assert.equal(readArguments('deploy', 'how to use it', {}), undefined)
    assert.deepEqual(words(), Array(4).fill('how to use it'))
  })

  it('that ask for the version are answered with it', t => {
    const words = printed(t)
    assert.equal(read('--version'), undefined)
    assert.deepEqual(words(), ['pushlive deploy source'])
  })

  for (const [args, said, fix = 'deploy --help lists what there is'] of [
    [['--forced'], 'deploy has no option --forced.', 'did you mean --force? deploy --help lists what there is'],
    [['--nothing-like-it'], 'deploy has no option --nothing-like-it.'],
    [['-xh'], 'deploy has no option -x.'],
    [['--force=secret'], '--force takes no value.'],
    [['--file'], '--file needs a value.'],
    [['--file', '--force'], '--file needs a value.'],
  ] as const) {
    it(`that are none are refused: ${args.join(' ')}`, () => {
      const isExpected = (error: unknown) => {
        assert.ok(error instanceof Failure)
        assert.deepEqual([error.exitCode, error.message, error.fix], [2, said, fix])
        return true
      }
      assert.throws(() => read(...args), isExpected)
    })
  }
})

describe('A mistyped word', () => {
  for (const [word, meant] of [
    ['statsu', 'status'],
    ['stat', 'status'],
    ['histroy', 'history'],
    ['rollbck', 'rollback'],
    ['st', undefined],
    ['deplyo', undefined],
    ['', undefined],
  ] as const) {
    it(`such as '${word}' is taken for ${meant}`, () =>
      assert.equal(findNearest(word, ['status', 'history', 'rollback']), meant))
  }
})
