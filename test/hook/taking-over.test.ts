import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'
import { ask, startWebServer } from '../lib/web-server.ts'

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
})
