import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { $ as zx } from 'zx/core'
import { waitFor, waitForOutput } from '../lib/events.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
import {
  announcements,
  announcementsSideBySide,
  endless,
  endlessNoMore,
  kills,
  leftovers,
  sideBySide,
  verifyWhole,
} from '../lib/kills.ts'
import { kill, processes } from '../lib/processes.ts'
import { type Site, startServer } from '../lib/site.ts'
import { letGo, waitForStep, waitingCommand } from '../lib/waiting-step.ts'
import { nextSecond } from '../lib/web-server.ts'

const $ = zx({ quiet: true })

/** The number of instants of a deployment at which a kill is tried. */
const instants = Number(process.env.PUSHLIVE_FAULTS ?? 200)

const results: { fault: string; times: number; 'state afterwards': string }[] = []
const report = (fault: string, times: number, state: string) =>
  results.push({ fault, times, 'state afterwards': state })
after(() => console.table(results))

/** Steps that write to SQLite, and refuse to run twice at once. */
const sqliteMakefile = `\
once = flock --nonblock --conflict-exit-code 99 "$$STEPS.busy"
sql = python3 -c "import sqlite3, sys; c = sqlite3.connect('app.sqlite'); [c.execute(s) for s in sys.argv[1:]]; c.commit()"

install-deps:
\t@$(once) $(sql) "CREATE TABLE IF NOT EXISTS run (commit_id TEXT)" "INSERT INTO run VALUES ('$$DEPLOY_COMMIT')"

upgrade-db:
\t@$(once) $(sql) "DELETE FROM run WHERE commit_id <> '$$DEPLOY_COMMIT'"
`

/** Verifies what has to be true after any fault and one more push. */
async function verifyRight(site: Site, commit: string, what: string) {
  assert.equal(await site.live(), commit, what)
  assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), commit, what)
  assert.equal((await site.workTreeGit`git status --porcelain --ignored=no`).stdout, '', what)
  assert.equal((await site.workTreeGit`git diff --stat ${commit}`).stdout, '', what)
  const locks = (await $`find ${site.repository} -name '*.lock'`).stdout
  assert.equal(locks, '', what)
  await waitFor(`nothing of ${site.folder} runs any more`, () => leftovers(site).length === 0)
}

describe('kill -9', async () => {
  const { newSite } = await startServer({ after })

  for (const announcement of announcements) {
    it(`at ${announcement}: the next push repairs everything`, async t => {
      const site = await newSite(t)
      site.configure(endless)
      await site.commit({ Makefile: sqliteMakefile, '.gitignore': 'app.sqlite\n' })
      const deploying = site.startDeploy()
      await waitForOutput(deploying.stderr, `remote: ${announcement}`)
      kills['its process group'](site)
      await deploying
      site.configure(endlessNoMore)
      const commit = await site.commit({ 'page.txt': 'next\n' })
      assertExit(await site.deploy(), 0)
      await verifyRight(site, commit, announcement)
      report(`kill -9 at ${announcement}, then one push`, 1, 'all right after the push')
    })
  }
})

/** The same number for each way to die. */
const instantsOfEach = Math.ceil(instants / Object.keys(kills).length)
/** Milliseconds: the longest time from an announcement to a kill. */
const longestStep = 250

// Side by side, because most of the time they wait for the next second.
for (const [where, settings] of Object.entries({ 'in place': {}, 'with RELEASES=3': sideBySide })) {
  describe(`kill -9 at any of ${instantsOfEach} instants of a deployment of 5,000 files, ${where}`, {
    concurrency: true,
  }, async () => {
    const { newSite } = await startServer({ after })
    const hasReleases = 'RELEASES' in settings
    const announced = hasReleases ? announcementsSideBySide : announcements

    for (const [name, killing] of Object.entries(kills)) {
      const before = hasReleases ? 'the link leads to a whole release, and ' : ''
      it(`of ${name}: ${before}the next push repairs everything`, { timeout: 1_200_000 }, async t => {
        const site = await newSite(t)
        const nextCommit = await commitsOf(site, 5000)
        site.configure(settings)
        await nextCommit()
        assertExit(await site.deploy(), 0)

        for (let instant = 0; instant < instantsOfEach; instant++) {
          const announcement = announced[instant % announced.length] as string
          // Counted from the hook's announcement, so that on a busy machine it cannot come after the deployment's end.
          const milliseconds = (longestStep * instant) / instantsOfEach
          site.configure(endless)
          await nextCommit()
          await nextSecond()
          const deploying = site.startDeploy()
          await waitForOutput(deploying.stderr, `remote: ${announcement}`)
          await sleep(milliseconds)
          killing(site)
          assertFails(await deploying, 'the kill missed')
          const kill = `killed ${Math.round(milliseconds)} ms after ${announcement}`
          if (hasReleases) await verifyWhole(site, kill)
          site.configure(endlessNoMore)
          const commit = await nextCommit()
          const { output } = assertExit(await site.deploy(), 0, kill)
          const what = `${kill}\n${output}`
          await verifyRight(site, commit, what)
          if (hasReleases) await verifyWhole(site, what)
        }
        report(`kill -9 of ${name} at any instant, ${where}, then one push`, instantsOfEach, 'all right')
      })
    }
  })
}

describe('A client that vanishes', { concurrency: true }, async () => {
  const { newSite } = await startServer({ after })
  const noisyMakefile =
    'install-deps:\n\t@touch "$$STEPS.running"; seq -f "line %.0f ...................." 700000\nupgrade-db:\n'

  /** git and ssh of one client. */
  const clientsOf = (site: Site, name: 'git push' | 'ssh') =>
    processes()
      .filter(({ command, cwd }) => command.startsWith(name) && cwd === site.clone)
      .map(({ pid }) => pid)
  const stop = (pid: number) => process.kill(pid, 'SIGSTOP')

  const ways: Record<string, (site: Site) => Promise<void>> = {
    'git killed': async site => clientsOf(site, 'git push').forEach(kill),
    'ssh killed': async site => clientsOf(site, 'ssh').forEach(kill),
    'git and ssh killed': async site => [...clientsOf(site, 'git push'), ...clientsOf(site, 'ssh')].forEach(kill),
    'ssh stopped, killed when the deployment is through': async site => {
      const clients = clientsOf(site, 'ssh')
      clients.forEach(stop)
      await waitFor('it is live', async () => (await site.live()) !== undefined)
      clients.forEach(kill)
    },
  }
  for (const [name, vanish] of Object.entries(ways)) {
    it(`(${name}) neither stops nor blocks a deployment that prints 20 MB, and leaves no process`, async t => {
      const site = await newSite(t)
      const commit = await site.commit({ Makefile: noisyMakefile })
      const deploying = site.startDeploy()
      await waitForStep(site)
      await vanish(site)
      const vanished = await deploying
      if (vanished.exitCode !== 5) assertExit(vanished, 0)
      await waitFor('it is live', async () => (await site.live()) === commit)
      await waitFor('nothing of it runs any more', () => leftovers(site).length === 0)
      assertExit(await site.deploy(), 0)
      report(`client vanishes: ${name}`, 1, 'live, no process left, deploy again exits 0')
    })
  }
})

describe('20 pushes as fast as ssh takes them', async () => {
  const { newSite } = await startServer({ after })

  it('run at most three deployments, one at a time; the last commit is live, and every exit code is 0', async t => {
    const site = await newSite(t)
    const record = `echo "install $DEPLOY_COMMIT" >> "$STEPS"; ${waitingCommand}`
    site.configure({ INSTALL_DEPS: `flock --nonblock "$STEPS.busy" sh -c '${record}'` })
    const deploying = []
    const commits: string[] = []
    for (let count = 1; count <= 20; count++) {
      const commit = await site.commit({ 'page.txt': `${count}\n` })
      commits.push(commit)
      deploying.push(site.startDeploy())
      await waitFor('it is pushed', async () => (await site.ref('refs/heads/main')) === commit)
    }
    letGo(site)
    for (const deployed of await Promise.all(deploying)) assertExit(deployed, 0)
    assert.equal(await site.live(), commits.at(-1))
    const runs = site.steps().filter(step => step.startsWith('install')).length
    assert.ok(runs <= 3, `${runs} deployments ran`)
    await verifyRight(site, commits.at(-1) as string, 'after 20 pushes')
    report('20 pushes at once', 20, `${runs} deployments, the last commit live`)
  })
})

describe('A server that cannot write', async () => {
  const { newSite } = await startServer({ after })

  /** A small file system at a folder, for as long as an action takes; only root may mount one. */
  async function withSmallFileSystem(folder: string, size: string, action: () => Promise<void>) {
    mkdirSync(folder, { recursive: true })
    await $`mount -t tmpfs -o size=${size} tmpfs ${folder}`
    try {
      await action()
    } finally {
      await $`umount --lazy ${folder}`
    }
  }
  const skip = process.getuid?.() === 0 ? false : 'only root may mount file systems'

  it('because the disk is full: the old code stays, and the next push that fits goes live', { skip }, async t => {
    const site = await newSite(t)
    await withSmallFileSystem(site.workTree, '2m', async () => {
      const good = await site.commit({ 'data.bin': 'x'.repeat(300_000), 'small.txt': 'good' })
      assertExit(await site.deploy(), 0)
      await site.commit({ 'data.bin': 'y'.repeat(400_000), 'huge.bin': 'z'.repeat(4_000_000), 'small.txt': 'bad' })
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /unable to write file huge\.bin/)
      assert.match(output, /is back in place/)
      assert.equal(await site.live(), good)
      assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '')
      assert.equal(site.read('small.txt'), 'good')
      const mended = await site.commit({ 'huge.bin': undefined })
      assertExit(await site.deploy(), 0)
      await verifyRight(site, mended, output)
      report('disk full', 1, 'old code in place, next push live')
    })
  })

  for (const [when, settings, words] of [
    ['before the push', {}, /The server did not get all objects/],
    ['while a step runs', { INSTALL_DEPS: 'cat /dev/zero > "$FILLER" || true' }, /pushlive\/journal cannot be written/],
    [
      'but for half of what is to be written',
      {
        INSTALL_DEPS: 'cat /dev/zero > "$FILLER" || truncate --size=-4096 "$FILLER"',
        UPGRADE_DB: `touch upgraded; true ${'long '.repeat(1500)}`,
      },
      /^remote: UPGRADING .* failed: .*pushlive\/journal cannot be written/m,
    ],
    ['before the outcome is written down', { RESTART: 'cat /dev/zero > "$FILLER" || true' }, /RECORDING .* failed/],
  ] as const) {
    it(`because the repository's disk is full ${when}: its verdict is true, and once there is space a push goes live`, {
      skip,
    }, async t => {
      const site = await newSite(t)
      const aside = join(site.folder, 'aside')
      renameSync(site.repository, aside)
      await withSmallFileSystem(site.repository, '4m', async () => {
        await $`cp --archive ${aside}/. ${site.repository}`
        const filler = join(site.repository, 'filler')
        site.configure({ FILLER: filler, RESTART: 'true' })
        await site.commit()
        assertExit(await site.deploy(), 0)
        site.configure(settings)
        if (when === 'before the push') await $`cat /dev/zero > ${filler} || true`
        await site.commit({ 'page.txt': 'two\n' })
        const { output } = assertExit(await site.deploy(), when === 'before the push' ? 4 : 1)
        assert.match(output, words)
        // The hook does nothing that it cannot record.
        assert.equal(existsSync(join(site.workTree, 'upgraded')), false, output)
        assert.equal(site.read('page.txt'), /IS NOT BACK IN PLACE/.test(output) ? 'two\n' : 'one\n', output)
        rmSync(filler)
        site.configure({ INSTALL_DEPS: undefined, UPGRADE_DB: undefined, RESTART: 'true' })
        const commit = await site.commit({ 'page.txt': 'three\n' })
        const again = assertExit(await site.deploy(), 0)
        await verifyRight(site, commit, again.output)
        report(`repository's disk full ${when}`, 1, 'a push goes live once there is room')
      })
    })
  }

  it('because the work tree is read-only: nothing is lost, and the next push after that goes live', {
    skip,
  }, async t => {
    const site = await newSite(t)
    await withSmallFileSystem(site.workTree, '10m', async () => {
      const good = await site.commit()
      await site.deploy()
      await $`mount -o remount,ro ${site.workTree}`
      await site.commit({ 'page.txt': 'two\n' })
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /the file system of .*\/www is read-only\. To do: /)
      assert.equal(await site.live(), good)
      assert.equal(site.read('page.txt'), 'one\n')
      await $`mount -o remount,rw ${site.workTree}`
      assertExit(await site.deploy(), 0)
      report('work tree read-only', 1, 'old code in place, deploy again live')
    })
  })

  it('because the disk of the releases becomes read-only before the switch: the previous release stays live', {
    skip,
  }, async t => {
    const site = await newSite(t)
    const disk = join(site.folder, 'disk')
    await withSmallFileSystem(disk, '10m', async () => {
      site.configure({
        PATH_TO_GIT_WORK_TREE: join(disk, 'www'),
        RESTART: 'true',
        RELEASES: '3',
        SMOKE_TEST: `if grep -q two page.txt; then mount -o remount,ro ${disk}; fi`,
      })
      const good = await site.commit()
      await site.deploy()
      await site.commit({ 'page.txt': 'two\n' })
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /^remote: SWITCHING TO RELEASE 2 failed: The system refuses: EROFS/m)
      assert.equal(await site.live(), good)
      assert.equal(readFileSync(join(disk, 'www/page.txt'), 'utf8'), 'one\n')
      await $`mount -o remount,rw ${disk}`
      site.configure({ SMOKE_TEST: '' })
      assertExit(await site.deploy(), 0)
      assert.equal(readFileSync(join(disk, 'www/page.txt'), 'utf8'), 'two\n')
      report('read-only before the switch', 1, 'old code in place, deploy again live')
    })
  })

  it('because the log folder is read-only: it starts nothing', { skip }, async t => {
    const site = await newSite(t)
    await withSmallFileSystem(join(site.repository, 'pushlive/log'), '1m', async () => {
      const good = await site.commit()
      await site.deploy()
      site.steps()
      await $`mount -o remount,ro ${join(site.repository, 'pushlive/log')}`
      await site.commit({ 'page.txt': 'two\n' })
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /the file system of .*\/pushlive\/log is read-only\. To do: /)
      assert.equal(await site.live(), good)
      assert.deepEqual(site.steps(), [])
      report('log folder read-only', 1, 'old code in place')
    })
  })

  it('because of the locks of killed gits: the hook removes its own, and the others do not stop it', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
    await site.deploy()
    const foreign = join(site.repository, 'packed-refs.lock')
    const locks = ['refs/deploy/main/live', 'refs/deploy/main/history', 'pushlive/work-tree/index']
    for (const lock of locks) writeFileSync(join(site.repository, `${lock}.lock`), '')
    writeFileSync(foreign, '')
    const commit = await site.commit({ Makefile: sqliteMakefile, '.gitignore': 'app.sqlite\n' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.ok(existsSync(foreign))
    rmSync(foreign)
    await verifyRight(site, commit, output)
    report('stale locks', locks.length + 1, 'its own removed')
  })

  it('because the work tree was deleted: the next push makes it again', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    rmSync(site.workTree, { recursive: true })
    const commit = await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 0)
    await verifyRight(site, commit, output)
    assert.equal(site.read('wsgi.py'), 'application = None\n')
    report('work tree deleted', 1, 'made again')
  })

  it('because the index is damaged: the next push makes it again', async t => {
    const site = await newSite(t)
    await site.commit({ 'gone.txt': 'x' })
    await site.deploy()
    for (const content of ['', 'garbage']) {
      writeFileSync(join(site.repository, 'pushlive/work-tree/index'), content)
      const commit = await site.commit({ 'gone.txt': content === '' ? undefined : 'x', 'page.txt': `${content}\n` })
      const { output } = assertExit(await site.deploy(), 0)
      await verifyRight(site, commit, output)
    }
    assert.equal(site.read('gone.txt'), 'x')
    report('index damaged', 2, 'made again')
  })
})

/**
 * Makes commits of two trees in turn: half of their files differ, some are in one of them only, one path is a file here
 * and a folder there.
 */
async function commitsOf(site: Site, files: number): Promise<() => Promise<string>> {
  const trees: string[] = []
  let head = ''
  for (const turn of ['turn', 'turn/inside']) {
    for (let file = 0; file < files; file += trees.length + 1) {
      const folder = join(site.clone, `part-${file % 50}`)
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, `file-${file}`), `${turn} ${'x'.repeat(file % 300)}\n`)
    }
    for (const name of ['turn', 'only-for-turn']) rmSync(join(site.clone, name), { recursive: true, force: true })
    const own = { Makefile: sqliteMakefile, '.gitignore': 'app.sqlite\ninstalled\n', 'wsgi.py': `${turn}\n` }
    head = await site.commit({ ...own, [`only-for-${turn}`]: 'x', [turn]: 'x' })
    trees.push(`${head}^{tree}`)
  }
  return async () => {
    trees.reverse()
    head = (await site.git`git commit-tree -m ${'next'} -p ${head} ${trees[0]}`).stdout.trim()
    await site.git`git update-ref refs/heads/main ${head}`
    return head
  }
}
