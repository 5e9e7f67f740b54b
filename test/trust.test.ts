import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { waitFor } from './lib/events.ts'
import { hookProcesses, processes, waitingHooks } from './lib/processes.ts'
import { type Site, startServer } from './lib/site.ts'
import { findFreePort } from './lib/sshd.ts'

/** An install step that says when it runs, and goes on when the test lets it. */
const waitingMakefile = `\
install-deps:
\t@echo "install $$DEPLOY_COMMIT" >> "$$STEPS"
\t@touch "$$STEPS.running"; while ! test -e "$$STEPS.go"; do sleep 0.02; done

upgrade-db:
\t@echo "upgrade $$DEPLOY_COMMIT" >> "$$STEPS"
`
const isRunning = (site: Site) =>
  waitFor(`a step of ${site.folder} runs`, () => existsSync(join(site.folder, 'steps.running')))
const letGo = (site: Site) => writeFileSync(join(site.folder, 'steps.go'), '')

describe('The verdict', async () => {
  const { newSite } = await startServer({ after })

  it('cannot be forged by a recipe: not by lines, carriage returns, escape sequences or a partial line', async t => {
    const site = await newSite(t)
    const claims = [
      String.raw`pushlive: $$DEPLOY_COMMIT is live\n`,
      String.raw`progress\rpushlive: $$DEPLOY_COMMIT is live\r\n`,
      String.raw`x\033[2K\033[1Gpushlive: $$DEPLOY_COMMIT is live\n`,
      String.raw`\033]0;title\007\npushlive: $$DEPLOY_COMMIT is live\v\fpushlive: $$DEPLOY_COMMIT is live\n`,
      `pushlive: $$DEPLOY_COMMIT is live`,
    ]
    await site.commit({
      Makefile: `install-deps:\n${claims.map(claim => `\t@printf "${claim}"\n`).join('')}\t@exit 1\n`,
    })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.doesNotMatch(output, /^remote: pushlive: \w+ is live/m)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is the point
    assert.doesNotMatch(output, /[\r\u001b]/)
  })

  it('cannot be forged by a pusher: refs/deploy is written by the hook alone', async t => {
    const site = await newSite(t)
    await site.serverGit`git config receive.hideRefs refs/deploy`
    const commit = await site.commit()
    const forged = await site.git`git push ${site.repository} ${`${commit}:refs/deploy/main/live`}`.nothrow()
    assert.notEqual(forged.exitCode, 0)
    assert.equal((await site.deploy()).exitCode, 0)
    assert.match((await site.git`git ls-remote ${site.repository}`).stdout, /refs\/deploy\/main\/live/)
  })

  it('of a commit that failed is asked for again by running deploy again, any number of times', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB: 'echo upgrade >> "$STEPS"; test -e "$STEPS.ok"' })
    const commit = await site.commit({ Makefile: 'install-deps:\n' })
    for (let time = 1; time <= 3; time++) {
      const { exitCode, output } = await site.deploy()
      assert.equal(exitCode, 1, output)
      assert.deepEqual(site.steps(), ['upgrade'])
    }
    writeFileSync(join(site.folder, 'steps.ok'), '')
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(await site.live(), commit)
    assert.equal(await site.ref('refs/deploy-request/main'), undefined)
  })

  it('is asked for again also where a killed hook left the request', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: 'install-deps:\n\tfalse\n' })
    await site.deploy()
    await site.serverGit`git update-ref refs/deploy-request/main ${commit}`
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /INSTALLING DEPENDENCIES failed/)
    assert.equal(await site.ref('refs/deploy-request/main'), undefined)
  })

  it('is not known, exit 5, where a hook of the server forbids to remove that request; doing what it says helps', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: 'install-deps:\n\tfalse\n' })
    await site.deploy()
    await site.serverGit`git update-ref refs/deploy-request/main ${commit}`
    const forbid = `#!/bin/sh\ntest "$3" != ${'0'.repeat(40)}\n`
    writeFileSync(join(site.repository, 'hooks/update'), forbid, { mode: 0o755 })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 5, output)
    assert.match(output, /To do: on the server: git update-ref -d refs\/deploy-request\/main; then run deploy again/)
    await site.serverGit`git update-ref -d refs/deploy-request/main`
    assert.match((await site.deploy()).output, /INSTALLING DEPENDENCIES failed/)
  })

  it('with --again comes from running all steps, though the commit is live', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.deploy()
    site.steps()
    for (let time = 1; time <= 2; time++) {
      assert.equal((await site.deploy(['--again'])).exitCode, 0)
      assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
    }
  })

  it('is not known, exit 5, when the hook is killed; running deploy again finds out', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await isRunning(site)
    for (const pid of hookProcesses(site.repository)) process.kill(pid, 'SIGKILL')
    const { exitCode, stderr } = await deploying
    assert.equal(exitCode, 5, stderr)
    assert.match(stderr, /To do: run deploy again/)
    letGo(site)
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(await site.live(), commit)
  })

  it('of an older commit is green when the newer one that is live contains it', async t => {
    const site = await newSite(t)
    const older = await site.commit()
    await site.commit({ 'page.txt': 'two\n' })
    await site.deploy()
    await site.git`git checkout --quiet --detach ${older}`
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.match(output, /IS LIVE \(as part of/)
  })
})

describe('Deployments of one work tree', async () => {
  const { newSite } = await startServer({ after })

  it('take turns; one that waits says for whom, and the newest push wins', async t => {
    const site = await newSite(t)
    const first = await site.commit({ Makefile: waitingMakefile })
    const deploying = [site.startDeploy()]
    await isRunning(site)
    let newest = first
    for (const page of ['two', 'three', 'four']) {
      newest = await site.commit({ 'page.txt': page })
      deploying.push(site.startDeploy())
      await waitFor(`${newest} is pushed`, async () => (await site.ref('refs/heads/main')) === newest)
    }
    await waitFor('all wait', () => waitingHooks(site.repository) === 3)
    letGo(site)
    const results = await Promise.all(deploying)
    assert.deepEqual(
      results.map(({ exitCode }) => exitCode),
      [0, 0, 0, 0],
    )
    assert.equal(await site.live(), newest)
    assert.deepEqual(site.steps(), [`install ${first}`, `upgrade ${first}`, `install ${newest}`, `upgrade ${newest}`])
    assert.match(results[1]?.stderr ?? '', new RegExp(`WAITING FOR THE DEPLOYMENT OF ${first}, WHICH RUNS SINCE`))
    assert.match(results[1]?.stdout ?? '', new RegExp(`IS LIVE \\(as part of ${newest}`))
  })

  it('exclude each other also from two repositories', async t => {
    const site = await newSite(t)
    const other = await newSite(t)
    other.configure({ PATH_TO_GIT_WORK_TREE: site.workTree, PATH_TO_WSGI: join(site.workTree, 'wsgi.py') })
    await site.commit({ Makefile: waitingMakefile })
    const commit = await other.commit({ 'page.txt': 'the other\n' })
    const deploying = site.startDeploy()
    await isRunning(site)
    const waiting = other.startDeploy()
    await waitFor('the other waits', () => waitingHooks(other.repository) === 1)
    assert.deepEqual(other.steps(), [])
    letGo(site)
    assert.equal((await deploying).exitCode, 0)
    const { exitCode, stderr } = await waiting
    assert.equal(exitCode, 0, stderr)
    assert.match(stderr, /WAITING FOR ANOTHER DEPLOYMENT TO/)
    assert.deepEqual(other.steps(), [`install ${commit}`, `upgrade ${commit}`])
    assert.equal(site.read('page.txt'), 'the other\n')
  })

  it('wait for the step that a killed hook has left, and no longer', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await isRunning(site)
    for (const pid of hookProcesses(site.repository)) process.kill(pid, 'SIGKILL')
    await deploying
    const commit = await site.commit({ 'page.txt': 'two\n' })
    const next = site.startDeploy()
    await waitFor('the next waits', () => waitingHooks(site.repository) === 1)
    assert.equal(site.steps().length, 1)
    letGo(site)
    assert.equal((await next).exitCode, 0)
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
  })

  it('are not held up by a daemon that a step has started', async t => {
    const site = await newSite(t)
    const pidFile = join(site.folder, 'daemon')
    site.configure({ INSTALL_DEPS: `test -e ${pidFile} || { setsid sleep 600 & echo $! > ${pidFile}; }` })
    await site.commit()
    assert.equal((await site.deploy()).exitCode, 0)
    try {
      await site.commit()
      assert.equal((await site.deploy()).exitCode, 0)
    } finally {
      process.kill(Number(readFileSync(pidFile, 'utf8')))
    }
  })
})

describe('The server finishes what a push began', async () => {
  const { newSite, sshd } = await startServer({ after })

  it('when deploy is interrupted; running it again attaches, shows the log from the start, and has the verdict', async t => {
    const site = await newSite(t)
    const commit = await site.commit({
      Makefile: waitingMakefile.replace('\t@echo', '\t@echo from the start\n\t@echo'),
    })
    const deploying = site.startDeploy()
    await isRunning(site)
    process.kill(deploying.pid as number, 'SIGINT')
    assert.equal((await deploying).exitCode, 130)
    const again = site.startDeploy()
    await waitFor('the second one waits', () => waitingHooks(site.repository) === 1)
    letGo(site)
    const { exitCode, stderr } = await again
    assert.equal(exitCode, 0, stderr)
    assert.match(stderr, /It is being deployed already, since .*:\n(remote: {5}.*\n)*remote: {5}from the start/)
    assert.equal(await site.live(), commit)
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
  })

  it('when the connection breaks: exit 5, and the deployment goes on', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await isRunning(site)
    sshd.dropConnections()
    const { exitCode, stderr } = await deploying
    assert.equal(exitCode, 5, stderr)
    letGo(site)
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(await site.live(), commit)
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
  })

  it('at a Ctrl-C in a push to a local path', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: waitingMakefile })
    const pushing = spawn('git', ['push', site.repository, 'main'], {
      cwd: site.clone,
      detached: true,
      stdio: 'ignore',
    })
    await isRunning(site)
    process.kill(-(pushing.pid as number), 'SIGINT')
    letGo(site)
    await waitFor('it is live', async () => (await site.live()) === commit)
  })
})

describe('After a failure', async () => {
  const { newSite } = await startServer({ after })

  it('the previous code is back: every tracked file, its dependencies where their install had begun', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB: 'test -e "$STEPS.ok"', RESTART: 'echo restart >> "$STEPS"' })
    writeFileSync(join(site.folder, 'steps.ok'), '')
    const good = await site.commit({ 'kept.txt': 'kept', 'thing/inside': 'x' })
    await site.deploy()
    site.steps()
    rmSync(join(site.folder, 'steps.ok'))
    site.write({ thing: undefined })
    const bad = await site.commit({ 'kept.txt': undefined, thing: 'a file', 'new.txt': 'new' })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, new RegExp(`The previous code \\(${good}\\) is back in place`))
    assert.deepEqual(site.steps(), [`install ${bad}`, `install ${good}`])
    assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), good)
    assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '')
    assert.throws(() => site.read('new.txt'))
  })

  it('of the restart the old code is started again', async t => {
    const site = await newSite(t)
    site.configure({ RESTART: 'echo restart "$DEPLOY_COMMIT" >> "$STEPS"; test "$(cat page.txt)" = one' })
    const good = await site.commit()
    await site.deploy()
    site.steps()
    const bad = await site.commit({ 'page.txt': 'two\n' })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    const steps = site.steps().filter(step => step.startsWith('restart'))
    assert.deepEqual(steps, [`restart ${bad}`, `restart ${good}`])
  })

  it('or before, the checkout itself does not touch the WSGI file, even where the commit changes it', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB: 'test "$(cat page.txt)" = one' })
    await site.commit()
    await site.deploy()
    const touched = () => statSync(join(site.workTree, 'wsgi.py'), { bigint: true }).mtimeNs
    const before = touched()
    await site.commit({ 'page.txt': 'two\n' })
    assert.equal((await site.deploy()).exitCode, 1)
    assert.equal(touched(), before)
    await site.commit({ 'wsgi.py': 'application = "changed"\n' })
    assert.equal((await site.deploy()).exitCode, 1)
    assert.equal(touched(), before)
    assert.equal(site.read('wsgi.py'), 'application = None\n')
    await site.commit({ 'page.txt': 'one\n' })
    assert.equal((await site.deploy()).exitCode, 0)
    assert.ok(touched() > before)
  })

  it('names the migrations that lie between', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB_IF_CHANGED: 'migrations', RESTART: 'test "$(cat page.txt)" = one' })
    await site.commit()
    await site.deploy()
    await site.commit({ 'page.txt': 'two\n', 'migrations/001.sql': '', 'other.sql': '' })
    const { output } = await site.deploy()
    assert.match(output, /may be ahead of the code by migrations\/001\.sql\./)
  })

  it('of the restore itself, that is said beside the first error, and mended by the next push', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'test ! -e "$STEPS.broken"' })
    const good = await site.commit()
    await site.deploy()
    writeFileSync(join(site.folder, 'steps.broken'), '')
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /INSTALLING DEPENDENCIES failed: .*exit code 1.*THE PREVIOUS CODE .* IS NOT BACK IN PLACE/)
    assert.doesNotMatch(output, /is back in place/)
    rmSync(join(site.folder, 'steps.broken'))
    const { exitCode: rolledBack } = await site.deploy(['rollback', good])
    assert.equal(rolledBack, 0)
    assert.equal(await site.live(), good)
  })
})

describe('A step with _IF_CHANGED', async () => {
  const { newSite } = await startServer({ after })
  const conditions = { INSTALL_DEPS_IF_CHANGED: 'requirements *.lock', UPGRADE_DB_IF_CHANGED: 'migrations' }

  it('runs when something under its pathspecs differs from what went live last, and else says that it does not', async t => {
    const site = await newSite(t)
    site.configure(conditions)
    const first = await site.commit()
    await site.deploy()
    assert.deepEqual(site.steps(), [`install ${first}`, `upgrade ${first}`])
    await site.commit({ 'page.txt': 'two\n' })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.deepEqual(site.steps(), [])
    assert.match(output, /NOT INSTALLING DEPENDENCIES: nothing under requirements \*\.lock differs from/)
    const locked = await site.commit({ 'sub/uv.lock': 'x' })
    await site.deploy()
    assert.deepEqual(site.steps(), [`install ${locked}`])
    const migrated = await site.commit({ 'migrations/1.sql': 'x' })
    await site.deploy()
    assert.deepEqual(site.steps(), [`upgrade ${migrated}`])
  })

  it('runs in any doubt: after a failure, a rollback, with --again, with other settings, without its venv', async t => {
    const site = await newSite(t)
    const venv = join(site.folder, 'venv')
    mkdirSync(join(venv, 'bin'), { recursive: true })
    site.configure({ ...conditions, PATH_TO_VENV: venv, RESTART: 'test ! -e "$STEPS.broken"' })
    await site.commit()
    await site.deploy()
    site.steps()
    const runs = async (args: string[] = []) => {
      await site.deploy(args)
      return site.steps().map(step => step.split(' ')[0])
    }
    const both = ['install', 'upgrade']
    await site.commit()
    assert.deepEqual(await runs(), [])
    assert.deepEqual(await runs(['--again']), both)
    await site.commit()
    assert.deepEqual(await runs(), [])
    writeFileSync(join(site.folder, 'steps.broken'), '')
    await site.commit()
    assert.deepEqual(await runs(), [])
    rmSync(join(site.folder, 'steps.broken'))
    assert.deepEqual(await runs(), both)
    assert.deepEqual(await runs(['rollback']), both)
    await site.commit()
    assert.deepEqual(await runs(), both)
    site.configure({ MORE: 'x' })
    await site.commit()
    assert.deepEqual(await runs(), both)
    rmSync(venv, { recursive: true })
    await site.commit()
    assert.deepEqual(await runs(), both)
  })
})

describe('The health check', async () => {
  const { newSite } = await startServer({ after })

  /** A server that answers with the status that the work tree's file names. */
  async function serveStatus(site: Site, t: { after(fn: () => void): void }) {
    const port = await findFreePort()
    const program = `
import http.server, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = int(pathlib.Path(${JSON.stringify(site.workTree)}, "status").read_text())
        self.send_response(status); self.send_header("Location", "/login"); self.end_headers()
        self.wfile.write(b"the application says %d" % status)
    def log_message(self, *arguments): pass
http.server.HTTPServer(("127.0.0.1", ${port}), Handler).serve_forever()`
    const server = spawn('setpriv', ['--pdeathsig', 'KILL', 'python3', '-c', program], { stdio: 'ignore' })
    t.after(() => server.kill('SIGKILL'))
    site.configure({
      HEALTH_CHECK_URL: `http://127.0.0.1:${port}/`,
      HEALTH_CHECK_TIMEOUT: '3',
      RESTART: 'echo restart >> "$STEPS"',
    })
    // The server needs a moment, which the first deployment has.
    await waitFor('it listens', () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        error => error.cause?.code !== 'ECONNREFUSED',
      ),
    )
  }

  it('makes a deployment green when the application answers 2xx', async t => {
    const site = await newSite(t)
    await serveStatus(site, t)
    await site.commit({ status: '204' })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.match(output, /CHECKING HEALTH \(http:/)
  })

  for (const status of ['500', '302']) {
    it(`makes it red when the answer is ${status}, shows it, and starts the old code again`, async t => {
      const site = await newSite(t)
      await serveStatus(site, t)
      const good = await site.commit({ status: '200' })
      await site.deploy()
      site.steps()
      await site.commit({ status })
      const { exitCode, output } = await site.deploy()
      assert.equal(exitCode, 1, output)
      assert.match(output, new RegExp(`it answered ${status}.*\n.*the application says ${status}`))
      assert.match(
        output,
        /CHECKING HEALTH[\s\S]*PUTTING BACK[\s\S]*RESTARTING[\s\S]*CHECKING HEALTH[\s\S]*is back in place/,
      )
      assert.equal(site.steps().filter(step => step === 'restart').length, 2)
      assert.equal(await site.live(), good)
    })
  }
})

describe('A step that hangs', async () => {
  const { newSite } = await startServer({ after })

  it('is ended after STEP_TIMEOUT with all that it has started, and has failed', async t => {
    const site = await newSite(t)
    const pids = join(site.folder, 'pids')
    site.configure({
      STEP_TIMEOUT: '0.3',
      INSTALL_DEPS: `setsid sleep 300 & echo $! >> ${pids}; echo $$ >> ${pids}; sleep 300`,
    })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /did not end within 0\.3 s \(STEP_TIMEOUT\)/)
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number)
    assert.equal(started.length, 2)
    assert.deepEqual(
      processes().filter(({ pid }) => started.includes(pid)),
      [],
    )
  })

  it('is ended when the server shuts the hook down, and the previous code is put back', async t => {
    const site = await newSite(t)
    const good = await site.commit()
    await site.deploy()
    await site.commit({
      Makefile: waitingMakefile.replace('\t@touch', '\t@test "$$(cat page.txt)" = one || touch'),
      'page.txt': 'two\n',
    })
    site.configure({ INSTALL_DEPS: 'test "$(cat page.txt)" = one || { touch "$STEPS.running"; sleep 300; }' })
    const deploying = site.startDeploy()
    await isRunning(site)
    for (const pid of hookProcesses(site.repository)) process.kill(pid, 'SIGTERM')
    const { exitCode, stderr } = await deploying
    assert.equal(exitCode, 1, stderr)
    assert.match(stderr, /shutting the hook down/)
    assert.equal(site.read('page.txt'), 'one\n')
    assert.equal(await site.live(), good)
  })
})

describe('The history', async () => {
  const { newSite } = await startServer({ after })

  it('tells what is live, what failed and why, who, when, and how long each step took', async t => {
    const site = await newSite(t)
    assert.match((await site.deploy(['status'])).output, /Nothing was ever live/)
    const good = await site.commit()
    await site.deploy()
    const bad = await site.commit({ Makefile: 'install-deps:\n\tfalse\n' })
    await site.deploy()
    const { exitCode, output } = await site.deploy(['status'])
    assert.equal(exitCode, 0, output)
    assert.match(output, new RegExp(`live {4}${good}.*by \\w+ from 127\\.0\\.0\\.1`))
    assert.match(output, /INSTALLING DEPENDENCIES \d[\d.]* s/)
    assert.match(output, new RegExp(`failed {2}${bad}(.|\\n)*INSTALLING DEPENDENCIES failed`))
    const { live, failed } = JSON.parse((await site.startDeploy(['status', '--json'])).stdout)
    assert.deepEqual([live.commit, failed.commit], [good, bad])
    const history = JSON.parse((await site.startDeploy(['history', '--json'])).stdout)
    assert.deepEqual(
      history.map((entry: { commit: string }) => entry.commit),
      [bad, good],
    )
    assert.match((await site.serverGit`git reflog refs/deploy/main/live`).stdout, /pushlive: /)
  })

  it('is what rollback goes back in; the next push goes forward again', async t => {
    const site = await newSite(t)
    const first = await site.commit()
    await site.deploy()
    assert.equal((await site.deploy(['rollback'])).exitCode, 2)
    const second = await site.commit({ 'page.txt': 'two\n' })
    await site.deploy()
    site.steps()
    const { exitCode, output } = await site.deploy(['rollback'])
    assert.equal(exitCode, 0, output)
    assert.equal(await site.live(), first)
    assert.equal(site.read('page.txt'), 'one\n')
    assert.deepEqual(site.steps(), [`install ${first}`, `upgrade ${first}`])
    assert.equal((await site.deploy(['rollback', second.slice(0, 10)])).exitCode, 0)
    assert.equal(await site.live(), second)
    assert.equal((await site.deploy(['rollback', 'nonsense'])).exitCode, 2)
    await site.deploy(['rollback'])
    const third = await site.commit({ 'page.txt': 'three\n' })
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(await site.live(), third)
  })

  it('keeps the newest 50 logs', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    const logs = join(site.repository, 'pushlive/log')
    for (let day = 1; day <= 60; day++)
      writeFileSync(join(logs, `20200101T${String(day).padStart(6, '0')}Z-old.log`), '')
    await site.commit()
    await site.deploy()
    assert.equal(readdirSync(logs).length, 50)
    assert.equal(readdirSync(logs).filter(name => !name.startsWith('2020')).length, 2)
  })
})
