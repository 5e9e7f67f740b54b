import assert from 'node:assert/strict'
import { constants } from 'node:os'
import { after, describe, it } from 'node:test'
import { columnsOf, wrap } from '../../scripts/lib/deploy/columns.ts'
import { Screen } from '../../scripts/lib/deploy/screen.ts'
import { settle } from '../captures/terminal.ts'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'
import { letGo, waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

const id = 'a'.repeat(40)

/** What is left of these lines of the hook on a terminal. */
function show(lines: readonly string[], { columns = 80, TERM = 'xterm' } = {}): string[] {
  Object.assign(process.env, { TERM, NO_COLOR: '1' })
  let shown = ''
  const output = { columns, write: (text: string) => (shown += text) } as unknown as NodeJS.WriteStream
  using screen = new Screen(output)
  for (const line of lines) screen.serverPrinted(line)
  return settle(shown)
    .replaceAll(/\d+\.\d s/g, '0.0 s')
    .trimEnd()
    .split('\n')
}

describe('At a terminal, a deployment', async () => {
  const { newSite } = await startServer({ after })
  const failing = [
    'pushlive post-receive 1, protocol 2',
    'CHECKING OUT CODE TO GIT WORK TREE (/srv/www) ...',
    'INSTALLING DEPENDENCIES (usually 12 s) ...',
    ...Array.from({ length: 30 }, (_, n) => `    line ${n}`),
    '    \u001b[2Jend\tof it ...',
    'INSTALLING DEPENDENCIES failed: `make` exited with 2.',
    '    line 29',
    'To do: mend it',
    `PUTTING BACK THE PREVIOUS CODE (${id}) ...`,
    `pushlive: ${id} is not live: INSTALLING DEPENDENCIES failed: ...`,
  ]

  it('has a line for each step, and shows once what the one that fails printed last', () => {
    const lines = show(failing)
    assert.deepEqual(lines.slice(0, 3), [
      '  ✓ Checking out code to git work tree   0.0 s',
      '  ✗ Installing dependencies              0.0 s',
      '      line 21',
    ])
    assert.deepEqual(lines.slice(10), [
      '      line 29',
      '      end    of it ...',
      '  ✓ Putting back the previous code       0.0 s',
    ])
  })

  it('shows what the hook says of the failure, where the step has printed nothing', () => {
    const lines = show(['CHECKING HEALTH ...', 'CHECKING HEALTH failed: no answer', '    ECONNREFUSED', 'BUILDING ...'])
    assert.deepEqual(lines.slice(0, 2), ['  ✗ Checking health                      0.0 s', '      ECONNREFUSED'])
  })

  it('fits a narrow terminal, and one that cannot move its cursor', () => {
    for (const TERM of ['xterm', 'dumb']) {
      const lines = show([...failing, `A note about ${id} that is longer than forty columns`], { columns: 40, TERM })
      assert.ok(
        lines.every(line => columnsOf(line) <= 40),
        lines.join('\n'),
      )
      assert.ok(lines.includes('    A note about aaaaaaaaaa that is'), lines.join('\n'))
    }
  })

  it('says for whom it waits, with the letters that names have', () => {
    const lines = show([`WAITING FOR THE DEPLOYMENT OF ${id} (running since 12:00, process 7) ...`, 'BUILDING ...'])
    assert.match(lines[0] ?? '', /^ {2}✓ Waiting for the deployment of aaaaa/)
  })

  it('that is interrupted goes on at the server, and says so, with the way back', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    process.kill(deploying.pid as number, 'SIGINT')
    const { stderr } = assertExit(await deploying, 128 + constants.signals.SIGINT)
    assert.match(stderr, /^The server goes on without you\. deploy status shows how far it is, and deploy waits for/m)
    const again = site.startDeploy()
    letGo(site)
    assertExit(await again, 0)
    assert.equal(await site.live(), commit)
  })
})

describe('Words', () => {
  it('are wrapped by the columns that they take', () => {
    assert.deepEqual(wrap('✓ LIVE  修復資料庫 遷移的 問題', 16), ['✓ LIVE ', '修復資料庫', '遷移的 問題'])
    assert.deepEqual(wrap('one', 2), ['one'])
    assert.deepEqual(wrap('', 2), [''])
  })
})
