import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import { describeBriefly, describe as describeError } from '../../scripts/lib/shared/program.ts'

const program = join(import.meta.dirname, '../../scripts/lib/shared/program.ts')

describe('A program', () => {
  for (const stream of ['stdout', 'stderr'] as const) {
    it(`prints all its output on ${stream} to a slow reader before it exits with its code`, async t => {
      const child = start(t, stream)
      await once(child.process, 'message')
      let text = ''
      child.output.setEncoding('utf8').on('data', part => {
        text += part
      })
      const [code] = await once(child.process, 'close')
      assert.equal(text.match(/^line \d+$/gm)?.length, 100_000)
      assert.equal(code, 7)
    })

    it(`keeps its exit code when the reader of its ${stream} goes away`, async t => {
      const child = start(t, stream)
      child.output.destroy()
      const [code] = await once(child.process, 'exit')
      assert.equal(code, 7)
    })
  }
})

describe('A program that fails', () => {
  for (const [what, thrown, code, said] of [
    [
      'with what a user can mend',
      'new Failure(3, "No server.", { fix: "start it" })',
      3,
      /^No server\.\nTo do: start it\n$/,
    ],
    ['with a bug', 'new TypeError("no such thing")', 70, /^Internal error in pushlive .*: TypeError: no such thing\n/],
  ] as const) {
    it(`${what} says so, and exits with ${code}`, () => {
      const source = `
        import { Failure, run } from ${JSON.stringify(program)}
        run(async () => { throw ${thrown} })`
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', source], {
        encoding: 'utf8',
      })
      assert.deepEqual([status, stdout], [code, ''])
      assert.match(stderr, said)
      assert.ok(stderr.endsWith('\n'))
    })
  }
})

describe('An unexpected error', () => {
  const failing = (command: Promise<unknown>) =>
    command.then(
      () => assert.fail('it did not fail'),
      error => [describeError(error), describeBriefly(error)],
    )
  const $ = zx({ quiet: true })

  it("of the system is shown with the system's message", async () => {
    const words = "The system refuses: EACCES: permission denied, open '/x'"
    const error = Object.assign(new Error("EACCES: permission denied, open '/x'"), { code: 'EACCES' })
    assert.deepEqual([describeError(error), describeBriefly(error)], [words, `${words}.`])
  })

  it('of a command is shown with its output, even where it could not be started', async () => {
    const [words = '', sentence] = await failing($`echo 'fatal: bad object' >&2; exit 128`)
    assert.equal(words, 'A command failed: fatal: bad object')
    assert.equal(sentence, `${words}.`)
    assert.match((await failing($({ cwd: '/nowhere' })`true`))[0] ?? '', /^A command failed: spawn .*bash ENOENT/)
  })

  it('of our own is shown with its stack, and summed up in one line', () => {
    const error = new TypeError('no such thing')
    assert.match(describeError(error), /^Internal error in pushlive .*: TypeError: no such thing\n {4}at /)
    assert.match(describeBriefly(error), /^Internal error in pushlive .*: TypeError: no such thing\.$/)
  })
})

/** A program that prints more than a pipe holds, and sends a message when it has nothing left to do. */
function start(t: TestContext, stream: 'stdout' | 'stderr') {
  const source = `
    import { run } from ${JSON.stringify(program)}
    run(async () => {
      for (let line = 1; line <= 100_000; line++) process.${stream}.write('line ' + line + '\\n')
      process.send('all is written')
      return 7
    })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  t.after(() => child.kill('SIGKILL'))
  return { process: child, output: child[stream] as Readable }
}
