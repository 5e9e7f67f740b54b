import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { waitForOutput } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { holdPort, listen } from '../lib/ports.ts'
import { startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'
import { letGo, waitingCommand } from '../lib/waiting-step.ts'
import { ask, startWebServer, waitForPage } from '../lib/web-server.ts'

describe('After the switch to another release', async () => {
  const { newSite } = await startServer({ after })

  /** A site with one live release, and a service that runs from it; both end with the test. */
  async function newServedSite(t: CleansUp) {
    const site = await newSite(t)
    const port = await holdPort()
    const url = `http://127.0.0.1:${port}/`
    const pidfile = join(site.folder, 'service.pid')
    site.configure({ RELEASES: '3', SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '', RESTART: 'true' })
    await site.commit()
    assertExit(await site.deploy(), 0)
    const service = ['python3', join(import.meta.dirname, '../lib/service.py'), pidfile]
    const serve = ['python3', '-m', 'http.server', '--bind', '127.0.0.1', `${port}`]
    await startWebServer(t, url, ['env', `SERVICE_CWD=${site.workTree}`, ...service, ...serve])
    site.configure({ HEALTH_CHECK_URL: url })
    return { site, url, restart: `kill -HUP "$(cat '${pidfile}')"` }
  }

  it('a server that stays in the old release fails the deployment, and the old release stays live', async t => {
    const { site } = await newServedSite(t)
    site.configure({ HEALTH_CHECK_TIMEOUT: '3' })
    const first = await site.live()
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /The application still runs from .*\.releases\/1[\s\S]*http\.server/)
    assert.equal(await site.live(), first)
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('a server that has moved makes the deployment green, and processes that only work there are named', async t => {
    const { site, url, restart } = await newServedSite(t)
    const worker = spawn('setpriv', ['--pdeathsig', 'KILL', 'sleep', '1000.25'], { cwd: site.workTree })
    t.after(() => void worker.kill('SIGKILL'))
    site.configure({ RESTART: restart })
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /STILL RUNNING FROM RELEASE 1, WHICH RESTART DOES NOT REACH: process \d+ \(sleep 1000\.25\)/)
    assert.equal((await ask(`${url}page.txt`))?.text, 'two\n')
  })

  /** Starts another server in the release, which ends with the site. */
  async function another(): Promise<string> {
    const port = await holdPort()
    const listening = `until (: < /dev/tcp/127.0.0.1/${port}) 2>/dev/null; do sleep 0.1; done`
    return `setsid python3 -m http.server --bind 127.0.0.1 ${port} >/dev/null 2>&1 & ${listening}`
  }

  /** A process in the folder of a site that is there now; it ends with the test. */
  function stay(t: CleansUp, folder: string, ...command: string[]): number {
    const process = spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { cwd: folder, stdio: 'ignore' })
    t.after(() => void process.kill('SIGKILL'))
    return process.pid as number
  }

  it('a server two releases behind fails it, also without a health check, and through a folder that is a link', async t => {
    const { site } = await newServedSite(t)
    const other = join(site.folder, 'other')
    symlinkSync(site.folder, other)
    site.configure({ HEALTH_CHECK_TIMEOUT: '1', PATH_TO_GIT_WORK_TREE: join(other, 'www') })
    const first = realpathSync(site.workTree)
    for (const number of [2, 3]) {
      // As if it had not been looked for.
      await site.commit({ 'page.txt': `${number}\n` })
      assertExit(await site.deploy(), 1)
      rmSync(site.workTree)
      symlinkSync(`www.releases/${number}`, site.workTree)
      await site.serverGit`git update-ref refs/deploy/main/live main`
    }
    site.configure({ HEALTH_CHECK_URL: undefined })
    await site.commit({ 'page.txt': 'four\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, new RegExp(`The application still runs from .*${first.slice(-11)}.*http\\.server`, 's'))
    assert.equal(site.read('page.txt'), '3\n')
  })

  it('what listens at the address of the health check decides, whatever else has moved', async t => {
    const { site } = await newServedSite(t)
    site.configure({ RESTART: await another(), HEALTH_CHECK_TIMEOUT: '2' })
    await site.commit({ 'page.txt': 'two\n' })
    assert.match(assertExit(await site.deploy(), 1).output, /The application still runs from .*releases\/1:/)
  })

  it('behind a proxy, any server of the new release does, and what is left is named', async t => {
    const { site } = await newServedSite(t)
    let requests = 0
    const proxy = createServer((_, response) => {
      requests++
      response.end()
    })
    t.after(() => void proxy.close())
    site.configure({ HEALTH_CHECK_URL: `http://127.0.0.1:${await listen(proxy)}/`, HEALTH_CHECK_TIMEOUT: '2' })
    await site.commit({ 'page.txt': 'two\n' })
    assert.match(assertExit(await site.deploy(), 1).output, /The application still runs from .*releases\/1:/)

    site.configure({ RESTART: await another() })
    await site.commit({ 'page.txt': 'three\n' })
    requests = 0
    assert.match(assertExit(await site.deploy(), 0).output, /STILL RUNNING FROM RELEASE 1, .*http\.server/)
    // Once more where the new one runs: the old one may have answered before.
    assert.equal(requests, 2)
  })

  it('a release that a process runs from is not used again: the next deployment is refused and changes nothing', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '', RESTART: 'true' })
    await site.commit()
    assertExit(await site.deploy(), 0)
    const pid = stay(t, site.workTree, 'sleep', '1000.75')
    for (const page of ['two\n', 'three\n']) {
      await site.commit({ 'page.txt': page })
      assertExit(await site.deploy(), 0)
    }
    await site.commit({ 'page.txt': 'four\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, new RegExp(`Release 1 is next, and is in use: process ${pid} \\(sleep 1000\\.75\\)`))
    assert.match(output, /is live as before: nothing was changed/)
    assert.equal(readFileSync(`/proc/${pid}/cwd/page.txt`, 'utf8'), 'one\n')
    process.kill(pid, 'SIGKILL')
    assertExit(await site.deploy(), 0)
  })

  it('a shell where somebody stays does not stop the release from being used again', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '', RESTART: 'true' })
    await site.commit()
    assertExit(await site.deploy(), 0)
    const terminal = `
import os, pty
pid, descriptor = pty.fork()
if pid == 0: os.execvp("sh", ["sh", "-c", "read line"])
os.chdir("/")
os.waitpid(pid, 0)`
    stay(t, site.workTree, 'python3', '-c', terminal)
    let output = ''
    for (const page of ['two\n', 'three\n', 'four\n']) {
      await site.commit({ 'page.txt': page })
      output = assertExit(await site.deploy(), 0).output
    }
    assert.match(output, /IN RELEASE 1, WHICH IS USED AGAIN: process \d+ \(sh -c read line\)/)
  })

  it('is live without a health check where a server listens from it, and only in place where none does', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '', RESTART: '' })
    const first = await site.commit()
    const inPlace = (commit: string) =>
      new RegExp(`^${commit} IS IN PLACE \\(not checked: HEALTH_CHECK_URL is empty\\)`, 'm')
    assert.match(assertExit(await site.deploy(), 0).output, inPlace(first))
    assert.match(assertExit(await site.deploy(), 0).output, inPlace(first))

    site.configure({ RESTART: await another(), HEALTH_CHECK_URL: '' })
    const second = await site.commit({ 'page.txt': 'two\n' })
    assert.match(assertExit(await site.deploy(), 0).output, new RegExp(`^${second} IS LIVE \\(in `, 'm'))
    assert.match(assertExit(await site.deploy(), 0).output, new RegExp(`^${second} IS LIVE \\(already live\\)`, 'm'))
    const { output } = assertExit(await site.deploy(['history', '--json']), 0)
    assert.equal(output.match(/"notChecked": "HEALTH_CHECK_URL is empty"/g)?.length, 1)
  })

  it('a server that starts itself anew, and runs from no release meanwhile, is waited for', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '', HEALTH_CHECK_URL: '' })
    site.configure({ RESTART: `${await another()}; echo $! > "$STEPS.pid"` })
    await site.commit()
    assertExit(await site.deploy(), 0)
    const restart = `${waitingCommand}; exec python3 -m http.server --bind 127.0.0.1 ${await holdPort()}`
    site.configure({ RESTART: `kill "$(cat "$STEPS.pid")"; { ${restart}; } >/dev/null 2>&1 &` })
    const commit = await site.commit({ 'page.txt': 'two\n' })
    const deploying = site.startDeploy()
    await waitForOutput(deploying.stderr, 'CHECKING PROCESSES')
    letGo(site)
    assert.match(assertExit(await deploying, 0).stdout, new RegExp(`^${commit} IS LIVE \\(in `, 'm'))
  })

  it('a commit is not already live whose application runs from another release: it is deployed again', async t => {
    const { site, url, restart } = await newServedSite(t)
    site.configure({ RESTART: restart, HEALTH_CHECK_URL: undefined })
    const commit = await site.commit({ 'page.txt': 'two\n' })
    assertExit(await site.deploy(), 0)
    const lead = (number: number) => {
      rmSync(site.workTree)
      symlinkSync(`www.releases/${number}`, site.workTree)
    }
    lead(1)
    process.kill(Number(readFileSync(join(site.folder, 'service.pid'), 'utf8')), 'SIGHUP')
    await waitForPage(`${url}page.txt`, 'one\n')
    lead(2)
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(
      output,
      new RegExp(`${commit} IS IN PLACE, BUT NOT LIVE: The application still runs from .*/1: process`),
    )
    await waitForPage(`${url}page.txt`, 'two\n')
  })
})
