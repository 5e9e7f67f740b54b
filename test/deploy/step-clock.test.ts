import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, describe, it } from 'node:test'
import { StepClock } from '../../scripts/lib/deploy/step-clock.ts'
import { parseAnnouncement } from '../../scripts/lib/protocol/steps.ts'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'
import { letGo, waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

describe('A step that takes long', async () => {
  const { newSite } = await startServer({ after })

  it('shows at a terminal with --verbose how long it has been running, and removes that line at its end', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: waitingMakefile })
    // script(1) gives the command a terminal.
    const command = [...program('deploy'), '--verbose'].join(' ')
    const env = { ...site.deployEnvironment, TERM: 'xterm' }
    const terminal = spawn('script', ['--quiet', '--flush', '--return', '--command', command, '/dev/null'], {
      cwd: site.clone,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.after(() => terminal.kill())
    let shown = ''
    terminal.stdout.on('data', data => {
      shown += data
    })
    await waitForStep(site)
    await waitFor('the clock is shown', () => shown.includes('\r\u001b[KINSTALLING DEPENDENCIES, 1 s'))
    letGo(site)
    const [exitCode] = await once(terminal, 'close')
    assertExit({ exitCode, stdout: shown }, 0)
    // A terminal removes what was erased.
    const lines = shown.split('\r\n').map(line => line.split('\r\u001b[K').at(-1))
    const left = lines.join('\n')
    assert.match(left, /^remote: INSTALLING DEPENDENCIES \.\.\.\nremote: UPGRADING DATABASE STRUCTURE \.\.\.$/m)
    assert.doesNotMatch(left, /, \d+ s$/m)
  })

  it('is not counted in a CI, even where the job has a terminal: a command has its line to itself', t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const { isTTY } = process.stderr
    const { CI, TERM } = process.env
    t.after(() => {
      process.stderr.isTTY = isTTY
      for (const [name, value] of Object.entries({ CI, TERM })) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    })
    process.stderr.isTTY = true
    Object.assign(process.env, { CI: 'true', TERM: 'xterm' })
    const written = t.mock.method(process.stderr, 'write', () => true)
    using _clock = new StepClock({ serverPrinted() {}, clientPrinted() {} })
    t.mock.timers.tick(2000)
    assert.equal(written.mock.callCount(), 0)
  })

  it('without a terminal, is mentioned after each minute in which it prints nothing, and so is the wait for the first', t => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const lines: string[] = []
    using clock = new StepClock(
      { serverPrinted: line => lines.push(line), clientPrinted: line => lines.push(`! ${line}`) },
      false,
    )
    t.mock.timers.tick(90_000)
    clock.serverPrinted('INSTALLING DEPENDENCIES ...')
    t.mock.timers.tick(59_000)
    clock.serverPrinted('    a word')
    t.mock.timers.tick(120_000)
    clock.serverPrinted(`pushlive: ${'a'.repeat(40)} is live`)
    t.mock.timers.tick(90_000)
    assert.deepEqual(lines, [
      '! The server has announced no step for 15 s ...',
      '! The server has announced no step for 75 s ...',
      'INSTALLING DEPENDENCIES ...',
      '    a word',
      '! INSTALLING DEPENDENCIES has been running for 119 s ...',
      '! INSTALLING DEPENDENCIES has been running for 179 s ...',
      `pushlive: ${'a'.repeat(40)} is live`,
    ])
  })

  for (const [line, step] of [
    ['CHECKING OUT CODE TO GIT WORK TREE (/srv/www) ...', 'CHECKING OUT CODE TO GIT WORK TREE'],
    ['SWITCHING TO RELEASE 2 ...', 'SWITCHING TO RELEASE 2'],
    ['WAITING FOR THE DEPLOYMENT OF 1234 (running since 12:00, process 7) ...', 'WAITING'],
    ['    INSTALLING DEPENDENCIES ...', undefined],
    ['INSTALLING DEPENDENCIES failed: `make` exited with 2.', undefined],
  ] as const) {
    it(`is announced, or not, by "${line}"`, () => assert.equal(parseAnnouncement(line), step))
  }
})
