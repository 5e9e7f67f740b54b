import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { quote, $ as zx } from 'zx/core'
import { waitFor } from '../../lib/events.ts'
import { program } from '../../lib/programs.ts'
import { environmentOf } from '../../lib/site.ts'
import { applications, makeProject, write } from './trees.ts'

const flask = applications.flask?.files ?? {}
const read = (root: string, path: string) => readFileSync(join(root, path), 'utf8')
const [enter, down, control] = ['\r', '\u001b[B', '\u0003']

/** Runs `deploy init` at a terminal, and types each answer once its question is there. */
async function initAtTerminal(root: string, args: readonly string[], dialogue: readonly (readonly [RegExp, string])[]) {
  const command = [...program('deploy'), 'init', ...args].map(quote).join(' ')
  const env = { ...environmentOf(dirname(root)), TERM: 'xterm' }
  const $ = zx({ cwd: root, env, quiet: true, nothrow: true, stdio: 'pipe' })
  const running = $`script --quiet --return --command ${`stty rows 50 cols 200; ${command}`} /dev/null`
  let shown = ''
  running.stdout.on('data', chunk => {
    shown += chunk
  })
  try {
    for (const [question, answer] of dialogue) {
      await waitFor(`${question} in\n${shown}`, () => question.test(stripVTControlCharacters(shown)))
      shown = ''
      running.stdin.write(answer)
    }
  } catch (error) {
    await running.kill()
    throw new Error(`${(error as Error).message}\nbut:\n${stripVTControlCharacters(shown)}`)
  }
  const { exitCode, stdout } = await running
  return { exitCode, output: stripVTControlCharacters(stdout).replaceAll('\r', '') }
}

describe('At a terminal, deploy init', () => {
  it('asks five questions, says at once what is wrong with an answer, and writes what was chosen', async t => {
    const root = makeProject(t, flask)
    const { exitCode, output } = await initAtTerminal(
      root,
      [],
      [
        [/Server, such as/, `example.org${enter}`],
        [/is neither user@host/, `\u0015ada@example.org${enter}`],
        [/Kind of application/, enter],
        [/What starts it/, `${down}${enter}`],
        [/A page that answers 2xx/, `\u0015none${enter}`],
        [/Files and folders/, enter],
      ],
    )
    assert.equal(exitCode, 0, output)
    const text = read(root, 'deploy/server.env')
    assert.match(text, /^# Written by deploy init --kind flask --start uwsgi --ci none$/m)
    assert.match(text, /^HEALTH_CHECK_URL=$/m)
    assert.match(text, /^SHARED_PATHS=instance$/m)
    assert.match(read(root, 'deploy/deploy.env'), /^STAGING_REMOTE_REPO=ada@example\.org:\/home\/ada\/shop\.git$/m)
    assert.match(output, /WRITTEN {2}deploy\/deploy\.env/)
  })

  it('asks before it replaces a file, and keeps it by default', async t => {
    const root = makeProject(t, flask)
    const given = ['--kind=flask', '--start=systemd', '--health=/health', '--shared=none']
    const dialogue = [[/Server, such as/, enter]] as const
    write(root, { 'deploy/deploy.env': 'STAGING_REMOTE_REPO=ada@example.org\n' })
    const kept = await initAtTerminal(root, given, [
      ...dialogue,
      [/deploy\/deploy\.env is there already, and differs/, enter],
    ])
    assert.equal(kept.exitCode, 0, kept.output)
    assert.match(kept.output, /^ {4}\+STAGING_REMOTE_REPO=ada@example\.org:\/home\/ada\/shop\.git$/m)
    assert.equal(read(root, 'deploy/deploy.env'), 'STAGING_REMOTE_REPO=ada@example.org\n')

    const replaced = await initAtTerminal(root, given, [...dialogue, [/and differs/, `${down}${enter}`]])
    assert.equal(replaced.exitCode, 0, replaced.output)
    assert.match(read(root, 'deploy/deploy.env'), /ada@example\.org:\/home\/ada\/shop\.git\n/)
  })

  it('writes nothing when it is interrupted', async t => {
    const root = makeProject(t, flask)
    const { exitCode, output } = await initAtTerminal(
      root,
      [],
      [
        [/Server, such as/, `ada@example.org${enter}`],
        [/Kind of application/, control],
      ],
    )
    assert.equal(exitCode, 130, output)
    assert.match(output, /^Nothing was written\.$/m)
    assert.equal(existsSync(join(root, 'deploy')), false)
  })
})
