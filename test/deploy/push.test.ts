import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Shell, $ as zx } from 'zx/core'
import type { Session } from '../../scripts/lib/deploy/clone.ts'
import { readLog } from '../../scripts/lib/deploy/logs.ts'
import { announce } from '../../scripts/lib/deploy/outcome.ts'
import { type Pushed, push, repeatLostRaces, terminal } from '../../scripts/lib/deploy/push.ts'
import { fetchCommit } from '../../scripts/lib/deploy/server-refs.ts'
import { endOfLogs, formatLogTitle } from '../../scripts/lib/protocol/logs.ts'
import { formatGreeting } from '../../scripts/lib/protocol/verdict.ts'
import { environmentOf } from '../lib/site.ts'

const id = 'a'.repeat(40)
const silent = { serverPrinted() {}, clientPrinted() {} }

describe('A push', () => {
  let folder: string
  let $: Shell
  /** A clone of a repository with one commit. */
  let clone: string
  let server: string
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'push-'))
    server = join(folder, 'app.git')
    clone = join(folder, 'clone')
    $ = zx({ quiet: true, env: environmentOf(folder), stdio: ['ignore', 'pipe', 'pipe'] })
    await $`git init --quiet --bare --initial-branch=main ${server} && git clone --quiet ${server} ${clone}`
    await $({ cwd: clone })`git commit --quiet --allow-empty --message one && git push --quiet origin HEAD:main`
    $ = $({ cwd: clone })
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const sessionOf = (git: string) => {
    const settings = { BRANCH_NAME: 'main' }
    return { $, git: [git], server, settings, takeSshMessages: () => '', options: {} } as unknown as Session
  }
  /** Pushes one commit more, to a server with these hooks. */
  async function pushTo(hooks: Readonly<Record<string, string>>) {
    for (const [name, script] of Object.entries(hooks)) {
      writeFileSync(join(server, 'hooks', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    }
    await $`git commit --quiet --allow-empty --message two`
    const commit = (await $`git rev-parse HEAD`).stdout.trim()
    return push(sessionOf('git'), { commit, ask: { verb: 'deploy', commit } }, silent)
  }

  it('is answered by the last verdict, and not by one before it', async () => {
    const lines = ['pushlive: $id is live', 'pushlive: $id is not live: it failed']
    const said = lines.map(line => `echo "${line}"`).join('\n')
    const { verdict } = await pushTo({ 'post-receive': `read old id ref\n${said}` })
    assert.deepEqual([verdict?.live, verdict?.explanation], [false, 'it failed'])
  })

  it('whose refs were refused has moved nothing', async () => {
    const pushed = await pushTo({ update: 'exit 1' })
    assert.deepEqual([pushed.hasMoved, pushed.isComplete], [false, true])
    assert.match(pushed.rejected.branch ?? '', /hook declined/)
  })

  it('of which git knows nothing is not complete', async () => {
    // receive-pack, which runs the hook, ends before it reports.
    const pushed = await pushTo({ 'pre-receive': 'kill -KILL $PPID' })
    assert.deepEqual([pushed.hasMoved, pushed.isComplete, pushed.rejected.branch], [false, false, undefined])
  })

  it('of whose refs the server reports nothing is not complete', async () => {
    const packet = (text: string) => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`
    // gitprotocol-pack(5): no refs; and once the pack is there, that it was taken, and nothing of the refs.
    const [refs, report] = [packet(`${'0'.repeat(40)} capabilities^{}\0report-status\n`), packet('unpack ok\n')]
    const program = `process.stdout.write(${JSON.stringify(`${refs}0000`)})
      process.stdin.on("data", data => data.includes("PACK") &&
        process.stdout.write(${JSON.stringify(`${report}0000`)}, () => process.exit()))`
    const script = join(folder, 'receive-pack')
    writeFileSync(script, `#!/bin/sh\nexec '${process.execPath}' -e '${program}'\n`, { mode: 0o755 })
    await $`git config remote.origin.receivepack ${script}`
    server = 'origin'
    const pushed = await pushTo({})
    assert.deepEqual([pushed.hasMoved, pushed.isComplete, pushed.rejected.branch], [false, false, undefined])
  })

  it('that another one overtook is repeated, unless what it asked for is live', async t => {
    t.mock.method(console, 'log', () => {})
    const rejected = { branch: '[remote rejected] (failed to update ref)' }
    const results = [{ rejected }, { rejected, verdict: { live: true } }, { rejected: {} }] as Pushed[]
    let count = 0
    const pushed = await repeatLostRaces(async () => results[count++] as Pushed)
    assert.equal(count, 2)
    assert.ok(pushed.verdict?.live)
  })

  it('to which no hook of ours answers is told as what it was', () => {
    const pushed = { isComplete: true, rejected: {}, askedAs: 'x', greeting: undefined } as Partial<Pushed>
    const told = (verb: 'deploy' | 'rollback') => () =>
      announce({ ...pushed, push: { ask: { verb } } } as Pushed, false)
    assert.throws(told('deploy'), /^PUSHED, NOT VERIFIED/)
    assert.throws(told('rollback'), /^NOT ROLLED BACK/)
  })

  it("shows the server's lines without what a terminal would obey", t => {
    const written: unknown[] = []
    const writing = t.mock.method(process.stderr, 'write', (text: unknown) => written.push(text) > 0)
    terminal.serverPrinted('a\u001b[2Kb\rc')
    terminal.clientPrinted('a\u001b[2Kb\rc')
    writing.mock.restore()
    assert.equal(written.length, 2)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is the point
    for (const text of written) assert.doesNotMatch(String(text), /[\u001b\r]/)
  })

  /** The server's hook prints this. */
  function setHook(lines: readonly string[]): void {
    const said = lines.map(line => `echo '${line}'\n`).join('')
    writeFileSync(join(server, 'hooks/post-receive'), `#!/bin/sh\ntouch deployed\n${said}`, { mode: 0o755 })
  }
  const title = formatLogTitle({ commit: id, started: '2020-01-01T00:00:00.000Z', skipped: 0 })

  it('that asks for a log does not go to a hook that may deploy at any push', async () => {
    setHook([])
    await assert.rejects(readLog(sessionOf('git'), undefined), /^The server has no log of any deployment/)
    assert.ok(!existsSync(join(server, 'deployed')))
  })

  it('that asks for a log takes no answer that breaks off', async () => {
    await $`git push --quiet ${server} HEAD:refs/deploy/main/live`
    setHook([formatGreeting('1.0.0'), title, '    a line'])
    await assert.rejects(readLog(sessionOf('git'), undefined), /^The hook on the server gave no answer/)
    setHook([formatGreeting('1.0.0'), title, '    a line', endOfLogs])
    assert.equal((await readLog(sessionOf('git'), undefined)).text, 'a line')
  })

  it('or a fetch of the history leaves nothing in the clone', async () => {
    const other = join(folder, 'other')
    await $`git clone --quiet ${server} ${other}`
    await $({ cwd: other })`git commit --quiet --allow-empty --message two && git push --quiet origin HEAD:main`
    const commit = (await $`git -C ${server} rev-parse main`).stdout.trim()
    await fetchCommit(sessionOf('git'), commit, 'refs/heads/main')
    assert.ok((await $`git cat-file -e ${commit}`.nothrow()).ok)
    assert.ok(!existsSync(join(clone, '.git/FETCH_HEAD')))
  })
})
