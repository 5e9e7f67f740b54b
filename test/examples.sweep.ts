import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import { waitFor } from './lib/events.ts'
import { assertExit } from './lib/exit.ts'
import { holdPort } from './lib/ports.ts'
import { kill, processes } from './lib/processes.ts'
import { testsBinaries } from './lib/programs.ts'
import { type Site, startServer } from './lib/site.ts'
import {
  ask,
  nextSecond,
  readExample,
  sampleApp,
  samplePage,
  startWebServer,
  waitForPage,
  writeApacheConfig,
  writeNginxConfig,
} from './lib/web-server.ts'

describe('The web server of', async () => {
  const { newSite } = await startServer({ after })

  /** A site with the sample application, and a web server's example configuration adapted to it. */
  async function newServedSite(t: TestContext, example: string) {
    const site = await newSite(t)
    // Apache's user reads the code.
    chmodSync(site.folder, 0o755)
    const port = await holdPort()
    const config = join(site.folder, example)
    const replacements = {
      '/home/seita/flexmeasures': site.workTree,
      '/home/seita': site.folder,
      '127.0.0.1:8000': `127.0.0.1:${port}`,
    }
    writeFileSync(config, readExample(example, replacements))
    return { site, config, url: `http://127.0.0.1:${port}/`, port, replacements }
  }

  async function deployVersion(site: Site, version: number) {
    await nextSecond()
    await site.commit(sampleApp(version))
    assertExit(await site.deploy(), 0)
  }

  /** Sends requests during an action. Every answer has to be a page of one version or the other. */
  async function verifyServing<T>(url: string, action: () => Promise<T>): Promise<T> {
    let isDone = false
    const done = action().finally(() => {
      isDone = true
    })
    while (!isDone) {
      const answer = await ask(url)
      assert.equal(answer?.status, 200, JSON.stringify(answer))
      assert.match(answer?.text ?? '', /^version [12], [12] migration/)
    }
    return done
  }

  it('uwsgi.ini serves a version, and the next one after its deployment', async t => {
    const { site, config, url } = await newServedSite(t, 'uwsgi.ini')
    await deployVersion(site, 1)
    await startWebServer(t, url, ['uwsgi', '--ini', config])
    await waitForPage(url, samplePage(1))
    await verifyServing(url, async () => {
      await deployVersion(site, 2)
      await waitForPage(url, samplePage(2))
    })
  })

  it('gunicorn.conf.py and restart-gunicorn.sh serve a version, and the next one after its deployment', async t => {
    const { site, config, url, replacements } = await newServedSite(t, 'gunicorn.conf.py')
    const restart = join(site.folder, 'restart-gunicorn.sh')
    writeFileSync(restart, readExample('restart-gunicorn.sh', replacements), { mode: 0o755 })
    const pidFile = join(site.folder, 'gunicorn.pid')
    const master = () => readFileSync(pidFile, 'utf8').trim()
    const runScript = async () => {
      const { exitCode, stdout, stderr } = await zx({ quiet: true, nothrow: true })`${restart}`
      return { exitCode, output: stdout + stderr }
    }
    site.configure({ RELEASES: '3', SMOKE_TEST: '', PATH_TO_WSGI: undefined, RESTART: restart })
    // The first deployment starts it.
    await deployVersion(site, 1)
    assert.equal((await ask(url))?.text, samplePage(1))
    process.kill(Number(master()), 'SIGTERM')
    await waitFor('gunicorn has ended', async () => !existsSync(pidFile) && (await ask(url)) === undefined)

    // By hand, with a configuration that is not where it looks later.
    const service = ['python3', join(import.meta.dirname, 'lib/service.py'), join(site.folder, 'service.pid')]
    const gunicorn = ['gunicorn', '-c', 'gunicorn.conf.py']
    await startWebServer(t, url, ['env', `SERVICE_CWD=${site.folder}`, ...service, ...gunicorn])
    await waitForPage(url, samplePage(1))
    await verifyServing(url, async () => {
      await deployVersion(site, 2)
      await waitForPage(url, samplePage(2))
    })
    // It cannot be loaded: the new gunicorn ends, and the old one goes on.
    await nextSecond()
    await site.commit({ 'wsgi.py': 'raise Exception("all is lost")\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /The new gunicorn does not start[\s\S]*RESTARTING APPLICATION failed/)
    await waitForPage(url, samplePage(2))

    // The new one ends before it has written a pid file.
    const text = readFileSync(config, 'utf8')
    writeFileSync(config, `${text}\nraise Exception\n`)
    const began = Date.now()
    const refused = assertExit(await runScript(), 1)
    assert.match(refused.output, /^The new gunicorn does not start, and the old one serves on\./)
    assert.ok(Date.now() - began < 30_000)
    assert.equal((await ask(url))?.text, samplePage(2))
    writeFileSync(config, text)

    const other = zx({ quiet: true, nothrow: true })`exec sleep 300`
    t.after(() => kill(other.pid as number))
    for (const content of [master(), `${other.pid}`, 'half']) {
      process.kill(Number(master()), 'SIGKILL')
      writeFileSync(pidFile, content)
      assertExit(await runScript(), 0)
      assert.notEqual(master(), content)
      assert.equal((await ask(url))?.text, samplePage(2))
    }
    assert.ok(processes().some(({ pid }) => pid === other.pid))
    process.kill(Number(master()), 'SIGKILL')
    writeFileSync(config, `${text}\nwsgi_app = "nowhere:application"\n`)
    const broken = assertExit(await runScript(), 1)
    assert.match(
      broken.output,
      /^The new gunicorn does not start\. The end of its log:\n[\s\S]*No module named 'nowhere'/,
    )
  })

  it('apache.conf serves a version, and the next one after its deployment', async t => {
    const { site, config, url, port } = await newServedSite(t, 'apache.conf')
    await deployVersion(site, 1)
    await startWebServer(t, url, writeApacheConfig(join(site.folder, 'apache'), config, port))
    await waitForPage(url, samplePage(1))
    await verifyServing(url, async () => {
      await deployVersion(site, 2)
      await waitForPage(url, samplePage(2))
    })
  })

  it("nginx.conf serves the live release's static files, from the verdict on", async t => {
    const { site, config, replacements } = await newServedSite(t, 'nginx.conf')
    const port = await holdPort()
    const text = readExample('nginx.conf', { ...replacements, '127.0.0.1:8080': `127.0.0.1:${port}` })
    writeFileSync(config, text)
    const url = `http://127.0.0.1:${port}/static/page.css`
    site.configure({ RELEASES: '3', RESTART: 'true', SMOKE_TEST: '' })
    for (const page of ['one', 'two', 'three']) {
      await site.commit({ 'static/page.css': page })
      assertExit(await site.deploy(), 0)
      if (page === 'one') await startWebServer(t, url, writeNginxConfig(join(site.folder, 'nginx'), config))
      assert.equal((await ask(url))?.text, page)
    }
  })
})

describe('examples/flexmeasures', () => {
  const [, restart = ''] = /^RESTART="sudo -n (.*)"$/m.exec(readExample('flexmeasures/server.env', {})) ?? []

  it('lets the hook restart the units of the example, and nothing else', () => {
    assert.match(readExample('flexmeasures/server/sudoers', {}), new RegExp(`NOPASSWD: ${restart}\\n$`))
    const units = restart.split(' ').filter(word => word.startsWith('flexmeasures'))
    assert.equal(units.length, 2)
    for (const unit of units) assert.match(readExample(`flexmeasures/server/${unit}.service`, {}), /^ExecStart=/m)
  })
})

describe('The demo', { skip: !testsBinaries && 'it shows the binaries' }, () => {
  it('leaves nothing when it is interrupted during a deployment', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'demo-'))
    const env = { ...process.env, TMPDIR: folder }
    const $ = zx({ env, quiet: true, nothrow: true, detached: true })
    const demo = $`exec ${process.execPath} ${join(import.meta.dirname, '../examples/demo.ts')}`
    await waitFor('a deployment', () => processes().some(({ cwd }) => cwd.startsWith(folder) && cwd.endsWith('.git')))
    // Ctrl-C sends it to all of the terminal's processes at once.
    process.kill(-(demo.pid as number), 'SIGINT')
    assertExit(await demo, 130)
    assert.deepEqual(readdirSync(folder), [])
    assert.deepEqual(
      processes().filter(({ cwd, command }) => `${cwd} ${command}`.includes(folder)),
      [],
    )
    rmdirSync(folder)
  })
})
