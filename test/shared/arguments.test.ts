import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { readArguments } from '../../scripts/lib/shared/arguments.ts'
import { Failure } from '../../scripts/lib/shared/program.ts'

const read = (...args: string[]) => readArguments('deploy', 'how to use it', { force: { type: 'boolean' } }, args)
const printed = (t: TestContext) => {
  const { mock } = t.mock.method(console, 'log', () => {})
  return () => mock.calls.map(call => call.arguments[0])
}

describe('Arguments', () => {
  it('are options and what is beside them', () => {
    assert.deepEqual({ ...read('--force', 'one', '--', '--two')?.options }, { force: true })
    assert.deepEqual(read('--force', 'one', '--', '--two')?.positionals, ['one', '--two'])
    assert.deepEqual({ ...read()?.options }, {})
  })

  it('are those of the process where no others are given', t => {
    t.mock.property(process, 'argv', ['node', 'deploy.ts', 'one'])
    assert.deepEqual(readArguments('deploy', '', {})?.positionals, ['one'])
  })

  it('that ask for help are answered with it', t => {
    const words = printed(t)
    assert.equal(read('--help'), undefined)
    assert.equal(read('--help', '--version', '--force'), undefined)
    assert.deepEqual(words(), ['how to use it', 'how to use it'])
  })

  it('that ask for the version are answered with it', t => {
    const words = printed(t)
    assert.equal(read('--version'), undefined)
    assert.deepEqual(words(), ['pushlive deploy source'])
  })

  for (const args of [['--forced'], ['--force=yes'], ['-x']]) {
    it(`that are none are refused: ${args.join(' ')}`, () => {
      assert.throws(
        () => read(...args),
        error => {
          assert.ok(error instanceof Failure)
          assert.equal(error.exitCode, 2)
          assert.ok(error.message.includes(args[0]?.split('=')[0] ?? ''), error.message)
          assert.equal(error.fix, 'deploy --help lists what there is')
          assert.ok(error.cause)
          return true
        },
      )
    })
  }
})
