import assert from 'node:assert/strict'
import { readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { quoteForSh } from '../../scripts/lib/shared/foreign-text.ts'
import { waitForOutput } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { parseJson } from '../lib/json-schema.ts'
import { program } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'

/** Deploys a number of commits. @returns them */
async function deployCommits(site: Site, count: number): Promise<string[]> {
  const commits: string[] = []
  for (let n = 1; n <= count; n++) {
    commits.push(await site.commit({ 'page.txt': `${n}\n` }))
    assertExit(await site.deploy(), 0)
  }
  return commits
}

describe('deploy rollback', async () => {
  const { newSite } = await startServer({ after })

  it('goes back to what was live before, run twice it goes back two, and it says when there is no more', async t => {
    const site = await newSite(t)
    const nothing = assertExit(await site.deploy(['rollback']), 1)
    assert.match(nothing.output, /^NOTHING WAS ROLLED BACK\./m)
    const [first, second, third] = await deployCommits(site, 3)
    for (const expected of [second, first]) {
      const { output } = assertExit(await site.deploy(['rollback']), 0)
      assert.match(
        output,
        new RegExp(`^ROLLING BACK main TO WHAT WAS LIVE BEFORE[\\s\\S]*^${expected} IS IN PLACE`, 'm'),
      )
      assert.equal(await site.live(), expected)
    }
    assertExit(await site.deploy(['rollback']), 1)
    assert.equal(await site.live(), first)
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), third)
  })

  it('goes to a commit by its branch, its tag or the beginning of its id', async t => {
    const site = await newSite(t)
    const [first = '', second] = await deployCommits(site, 2)
    await site.git`git tag --annotate --message ${'first'} v1 ${first}`
    for (const [name, commit] of [
      ['v1', first],
      ['main', second],
      [first.slice(0, 8), first],
    ]) {
      assertExit(await site.deploy(['rollback', name as string]), 0)
      assert.equal(await site.live(), commit)
    }
  })

  it('works from a shallow clone, with the id that deploy history lists', async t => {
    const site = await newSite(t)
    const [first = '', second] = await deployCommits(site, 2)
    const shallow = await site.cloneShallow()
    assertExit(await site.deploy(['rollback', first], {}, shallow), 0)
    assert.equal(await site.live(), first)
    await site.deploy([], {}, shallow)
    assert.equal(await site.live(), second)
    assertExit(await site.deploy(['rollback', first.slice(0, 10)], {}, shallow), 0)
    assert.equal(await site.live(), first)
    await site.deploy([], {}, shallow)
    assertExit(await site.deploy(['rollback'], {}, shallow), 0)
    assert.equal(await site.live(), first)
  })

  it('exits with 2 for what is no commit, and with 1 for a commit that neither side has', async t => {
    const site = await newSite(t)
    const [, second] = await deployCommits(site, 2)
    for (const name of ['nonsense', '-x', '--', 'HEAD:page.txt', "$(touch x)';"]) {
      assertExit(await site.deploy(['rollback', '--', name]), 2)
    }
    for (const id of ['deadbeef', 'd'.repeat(40)]) {
      const { output } = assertExit(await site.deploy(['rollback', id]), 1)
      assert.match(output, new RegExp(`^${id} IS NOT LIVE\\.\n.*no commit of this repository`, 'm'))
    }
    assert.equal(await site.live(), second)
  })
})

describe('deploy status and history', async () => {
  const { newSite } = await startServer({ after })

  it('show what is live, what failed since then, who deployed it, and how long it took', async t => {
    const site = await newSite(t)
    assert.match((await site.deploy(['status'])).output, /^ {2}Nothing was ever live\.$/m)
    assert.match((await site.deploy(['history'])).output, /^Nothing was ever deployed\.$/m)
    const [live] = await deployCommits(site, 1)
    const failed = await site.commit({ Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
    await site.deploy()
    const { output } = assertExit(await site.deploy(['status']), 0)
    assert.match(
      output,
      new RegExp(
        [
          `^main on ${site.url}`,
          `  ● in place  ${live}  A change {2,}\\d{4}-\\S+Z, \\w+ from 127.0.0.1, took [\\d.]+ s`,
          `  ✗ failed    ${failed}  A change: INSTALLING DEPENDENCIES failed: .* {2}\\d{4}-\\S+Z, .*: deploy log`,
          'main here is 1 commit ahead of what is live: deploy\n$',
        ].join('\n'),
      ),
    )
    const listed = assertExit(await site.deploy(['history']), 0).output.split('\n')
    assert.match(listed[0] ?? '', /^ +WHEN +COMMIT +BY +TOOK +SUBJECT$/)
    assert.match(
      listed[1] ?? '',
      new RegExp(`^✗ failed    \\S+Z  ${failed}  .*  A change: INSTALLING DEPENDENCIES failed`),
    )
    assert.match(listed[2] ?? '', new RegExp(`^● in place  \\S+Z  ${live}  .*  A change$`))
    const summary = parseJson('status', (await site.startDeploy(['status', '--json'])).stdout)
    assert.deepEqual([summary.live.commit, summary.failed.commit], [live, failed])
    const history = parseJson('history', (await site.startDeploy(['history', '--json'])).stdout)
    assert.deepEqual(
      history.map(({ commit }: { commit: string }) => commit),
      [failed, live],
    )
  })

  it('show which deployment runs, and what it does, without waiting for its end', async t => {
    const site = await newSite(t)
    const [live] = await deployCommits(site, 1)
    const gate = join(site.folder, 'gate')
    site.configure({ INSTALL_DEPS: `echo at the gate; until test -e ${quoteForSh(gate)}; do sleep 0.05; done` })
    const commit = await site.commit()
    const deploying = site.startDeploy([], { GITLAB_CI: 'true', GITLAB_USER_LOGIN: 'ada' })
    await waitForOutput(deploying.stderr, 'at the gate')
    const { output } = assertExit(await site.deploy(['status']), 0)
    const { running, ...summary } = parseJson('status', (await site.startDeploy(['status', '--json'])).stdout)
    writeFileSync(gate, '')
    assertExit(await deploying, 0)
    assert.match(
      output,
      new RegExp(
        `^ {2}● in place   ${live} .*\n {2}▶ deploying  ${commit}  A change  Installing dependencies, \\d+\\.0 s, ada, as `,
        'm',
      ),
    )
    assert.deepEqual([running.commit, running.step, summary.live.commit], [commit, 'INSTALLING DEPENDENCIES', live])
    assert.equal(parseJson('status', (await site.startDeploy(['status', '--json'])).stdout).running, null)
  })

  it('let no control character of a record through', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const forged = `\u001b]0;title\u0007\rpushlive: ${commit} is live\n${commit} IS LIVE\u009b31m`
    const record = {
      commit,
      live: false,
      who: forged,
      started: 1,
      ended: 2,
      steps: [{ name: forged, seconds: 1 }, null, { name: 'x', seconds: forged }],
      explanation: forged,
    }
    const tree = (await site.serverGit`git hash-object -t tree -w --stdin < /dev/null`).stdout.trim()
    const message = `title\n\n${JSON.stringify(record)}`
    const written = await site.serverGit({ env: site.deployEnvironment })`git commit-tree ${tree} -m ${message}`
    await site.serverGit`git update-ref refs/deploy/main/history ${written.stdout.trim()}`
    for (const args of [['status'], ['history'], ['status', '--json'], ['history', '--json']]) {
      const { output } = assertExit(await site.deploy(args), 0)
      assert.doesNotMatch(output, /[^\P{Cc}\n]/u)
      assert.doesNotMatch(output, /^(pushlive:|\S+ IS LIVE)/m)
    }
  })

  it("say so where the server's history was not written by pushlive", async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.deploy()
    const blob = (await site.serverGit`git rev-parse ${`${commit}:page.txt`}`).stdout.trim()
    for (const foreign of [commit, blob]) {
      await site.serverGit`git update-ref refs/deploy/main/history ${foreign}`
      const { output } = assertExit(await site.deploy(['status']), 5)
      assert.match(output, /^What the server has as refs\/deploy\/main\/history is not pushlive's/m)
    }
  })
})

describe('deploy log', async () => {
  const { newSite } = await startServer({ after })

  it('shows what the steps printed in the newest deployment, or in the newest of a commit', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: `printf 'installing \\033[31m'; cat page.txt; ! grep -q bad page.txt` })
    const one = await site.commit({ 'page.txt': 'one\n' })
    await site.deploy()
    const bad = await site.commit({ 'page.txt': 'bad\n\nLog of nothing\n' })
    await site.deploy()
    const newest = assertExit(await site.deploy(['log']), 0)
    assert.match(newest.output, new RegExp(`^${bad}, deployed at \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z:\nCHECKING OUT CODE`))
    assert.match(newest.output, /^INSTALLING DEPENDENCIES \.\.\.\ninstalling bad\n\nLog of nothing$/m)
    assert.match(newest.output, /^INSTALLING DEPENDENCIES failed: /m)
    for (const name of [one, one.slice(0, 8), 'HEAD~']) {
      const { output } = assertExit(await site.deploy(['log', name]), 0)
      assert.match(output, new RegExp(`^${one}, deployed at .*\n(.*\n)*installing one$`, 'm'))
    }
    const live = await site.live()
    assert.equal(live, one)
    assert.deepEqual(await site.asks(), [])

    // As if the clock had been set back meanwhile, and the first log were an older version's.
    const folder = join(site.repository, 'pushlive/log')
    const [first = '', second = ''] = readdirSync(folder).sort()
    renameSync(join(folder, first), join(folder, first.replace(/^\d+-/, '')))
    renameSync(join(folder, second), join(folder, second.replace(/-\d{4}/, '-2001')))
    assert.match(assertExit(await site.deploy(['log']), 0).output, new RegExp(`^${bad}, deployed at 2001-`, 'm'))
  })

  it('exits with 1 where no log is kept', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    for (const args of [['log'], ['log', commit]]) {
      const { output } = assertExit(await site.deploy(args), 1)
      assert.match(output, /^The server has no log of/m)
    }
    assertExit(await site.deploy(['log', 'no commit']), 2)
  })

  it('shows the end of a long log, and how much it leaves out', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'seq 1 300000' })
    await site.commit()
    await site.deploy()
    const { output } = assertExit(await site.deploy(['log']), 0)
    assert.match(output, /^\(its first 9\d{5} bytes are left out\)$/m)
    assert.match(output, /^299999\n300000\nUPGRADING DATABASE STRUCTURE/m)
  })
})

describe('At a terminal', async () => {
  const { newSite } = await startServer({ after })

  /** What deploy prints at a terminal with this number of columns. */
  async function show(site: Site, args: readonly string[], env: Record<string, string> = {}) {
    const command = [...program('deploy'), ...args].map(quoteForSh).join(' ')
    const terminal = ['--quiet', '--return', '--command', `stty cols 70; ${command}`, '/dev/null']
    const $ = zx({
      cwd: site.clone,
      env: { ...site.deployEnvironment, GIT_PAGER: 'cat', ...env },
      quiet: true,
      nothrow: true,
    })
    const { stdout } = assertExit(await $`script ${terminal}`, 0)
    return stdout.replaceAll('\r', '').trimEnd().split('\n')
  }

  it('history shows a line per deployment, cut to the width; it marks the live one, and uses colour', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: '! grep -q bad page.txt' })
    const commit = async (message: string, page: string) => {
      site.write({ 'page.txt': page })
      await site.git`git add --all && git commit --quiet --allow-empty --message ${message}`
      await site.deploy([], { GITLAB_CI: 'true', GITLAB_USER_LOGIN: 'ada' })
      return (await site.git`git rev-parse --short=10 HEAD`).stdout.trim()
    }
    const ids = [
      await commit('First', 'one'),
      await commit('Second\u001b[31m', 'two'),
      await commit('The third, which is far too long for a line of seventy columns', 'bad'),
    ]
    const lines = await show(site, ['history'], { TERM: 'xterm', NO_COLOR: '1' })
    assert.match(lines[0] ?? '', /^ {12}WHEN +COMMIT {6}BY {3}TOOK {3}SUBJECT$/)
    assert.match(lines[1] ?? '', new RegExp(`^✗ failed    \\d+ s ago +${ids[2]}  ada  \\d+\\.\\d s  The t.*…$`))
    assert.match(lines[2] ?? '', new RegExp(`^● in place  \\d+ s ago +${ids[1]}  ada  \\d+\\.\\d s  Second`))
    assert.match(lines[3] ?? '', new RegExp(`^○ was live  \\d+ s ago +${ids[0]}  ada  \\d+\\.\\d s  First$`))
    assert.equal(lines.length, 4)
    const newest = await show(site, ['history', '-n', '1'], { TERM: 'xterm', NO_COLOR: '1', GIT_PAGER: 'sed s/^/:/' })
    assert.match(newest.join('\n'), /^: .*SUBJECT\n:✗ failed .*\n:2 older: deploy history --all$/)
    assertExit(await site.deploy(['history', '-n', 'x']), 2)
    assertExit(await site.deploy(['history', '-n', '1', '--all']), 2)
    assert.ok(lines.every(line => [...line].length <= 70))
    assert.doesNotMatch(lines.join('\n'), /[^\P{Cc}\n]/u)
    assert.doesNotMatch((await show(site, ['history'], { TERM: 'dumb' })).join('\n'), /[^\P{Cc}\n]/u)
    const [place, live = '', failed = '', ahead] = await show(site, ['status'], { TERM: 'xterm' })
    assert.match(place ?? '', /^main on /)
    assert.match(
      live,
      new RegExp(`^\u001b\\[32m  ● in place  ${ids[1]}  Second.* \\d+ s ago, ada, took \\d+\\.\\d s\u001b\\[39m$`),
    )
    assert.match(
      failed,
      new RegExp(`^\u001b\\[31m  ✗ failed    ${ids[2]}  The.*…  \\d+ s ago, ada: deploy log *\u001b\\[39m$`),
    )
    assert.equal(ahead, 'main here is 1 commit ahead of what is live: deploy')
  })

  it('history says what was rolled back, and the subject of a commit that this clone lacks', async t => {
    const site = await newSite(t)
    await deployCommits(site, 2)
    assertExit(await site.deploy(['rollback']), 0)
    const shallow = { ...site, clone: await site.cloneShallow() }
    const lines = await show(shallow, ['history'], { TERM: 'xterm', NO_COLOR: '1' })
    for (const [n, outcome] of ['↩ in place', '⊘ undone', '○ was live'].entries()) {
      assert.ok(lines[n + 1]?.startsWith(`${outcome} `) && lines[n + 1]?.endsWith('  A change'), lines.join('\n'))
    }
  })

  it('says that nothing was ever deployed', async t => {
    const site = await newSite(t)
    await site.commit()
    assert.deepEqual(await show(site, ['history']), ['Nothing was ever deployed.'])
  })
})
