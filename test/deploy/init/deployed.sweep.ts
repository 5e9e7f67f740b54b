import { execFileSync } from 'node:child_process'
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { waitFor } from '../../lib/events.ts'
import { assertExit } from '../../lib/exit.ts'
import { holdPort } from '../../lib/ports.ts'
import { program } from '../../lib/programs.ts'
import { environmentOf, startServer } from '../../lib/site.ts'
import type { CleansUp } from '../../lib/sshd.ts'
import { ask, askAllTheTime, askOnce, startWebServer, verifyVersions, writeNginxConfig } from '../../lib/web-server.ts'
import { makeProject, write } from './trees.ts'

const service = join(import.meta.dirname, '../../lib/service.py')

describe('What init writes serves without a failed request', async () => {
  const { sshd, key } = await startServer({ after })

  /** A project for which init has answered, and a server with the hook, its settings and the files beside it. */
  async function setUp(t: CleansUp, files: Readonly<Record<string, string>>, health: string, ...args: string[]) {
    const port = await holdPort()
    const root = makeProject(t, files)
    const folder = join(dirname(root), 'srv')
    const repository = join(folder, 'shop.git')
    mkdirSync(folder)
    const env = {
      ...environmentOf(dirname(root)),
      SSH_DEPLOYMENT_KEY: key.privateKey,
      KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts,
    }
    const $ = zx({ cwd: root, env, quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const run = async (name: Parameters<typeof program>[0], ...args: string[]) => {
      const { exitCode, stdout, stderr } = await $`${program(name)} ${args}`
      return { exitCode, output: `${stdout}${stderr}` }
    }
    const url = `http://127.0.0.1:${port}/`
    const server = `${sshd.user}@127.0.0.1:${sshd.port}:${repository}`
    assertExit(await run('deploy', 'init', '--yes', '--server', server, '--health', `${url}${health}`, ...args), 0)
    assertExit(await run('post-receive', 'install', repository, '--settings', join(root, 'deploy/server.env')), 0)
    cpSync(join(root, 'deploy/server'), join(repository, 'server'), { recursive: true })
    appendFileSync(join(repository, '.env'), `PATH='${process.env.PATH}'\n`)
    const git = (...args: string[]) => execFileSync('git', args, { cwd: root, env, encoding: 'utf8' })
    async function deploy(changes: Readonly<Record<string, string>>, exitCode = 0) {
      write(root, changes)
      git('add', '--all')
      git('commit', '--quiet', '--allow-empty', '--message=A change')
      assertExit(await run('deploy'), exitCode)
    }
    return {
      port,
      folder,
      url,
      deploy,
      run,
      read: (path: string) => readFileSync(join(repository, path), 'utf8'),
      repository,
    }
  }

  it('from Node, by a unit whose socket stays open', async t => {
    const answering = (version: number) => ({
      'server.js': `
        const http = require('node:http')
        http.createServer((request, response) => {
          const answer = () => response.end('${version} ' + require('./lazy'))
          setTimeout(answer, request.url === '/slow' ? 300 : 0)
        }).listen(process.env.PORT, () => {})`,
      'lazy.js': `module.exports = ${version}`,
    })
    const lock = { name: 'shop', lockfileVersion: 3, packages: { '': { name: 'shop' } } }
    const files = { 'package.json': '{"name": "shop"}', 'package-lock.json': JSON.stringify(lock), ...answering(1) }
    const { port, folder, url, deploy, run, read, repository } = await setUp(t, files, '')

    // There is no systemd here: what does the same with the socket and the unit's command.
    const [pidFile, started] = [join(folder, 'service.pid'), join(folder, 'started')]
    const unit = read('server/shop.service')
    const command = (/^ExecStart=(.*)$/m.exec(unit)?.[1] ?? '').replace('/usr/bin/node', process.execPath).split(' ')
    const environment = [...unit.matchAll(/^Environment=(.*)$/gm)].map(([, assignment = '']) => assignment)
    const restart = `if [ -e '${pidFile}' ]; then kill -HUP "$(cat '${pidFile}')"; else touch '${started}'; fi`
    const settings = read('.env').replace(/^RESTART=.*$/m, () => `RESTART=\`${restart}\``)
    writeFileSync(join(repository, '.env'), settings, { mode: 0o600 })
    const starting = waitFor('a restart', () => existsSync(started)).then(() =>
      startWebServer(t, url, [
        ...['env', `SERVICE_CWD=${join(folder, 'shop')}`, ...environment],
        ...['/usr/bin/python3', service, '--socket', `${port}`, pidFile, ...command],
      ]),
    )
    await Promise.all([deploy({}), starting])
    verifyVersions([await ask(url)], new Set([1]), 'after the first')

    for (const version of [2, 3]) {
      const asked = await askAllTheTime([url, `${url}slow`], () => deploy(answering(version)), askOnce)
      verifyVersions(asked, new Set([version - 1, version]), `deployment ${version}`)
      verifyVersions([await ask(url)], new Set([version]), `after deployment ${version}`)
    }
    const broken = await askAllTheTime([url], () => deploy({ 'server.js': 'this is no code' }, 1))
    verifyVersions(broken, new Set([3]), 'a release that cannot be loaded')
    const back = await askAllTheTime([url], async () => void assertExit(await run('deploy', 'rollback'), 0))
    verifyVersions(back, new Set([2, 3]), 'a rollback')
    verifyVersions([await ask(url)], new Set([2]), 'after the rollback')
  })

  it('from gunicorn without systemd, which the first deployment starts', async t => {
    const answering = (version: number) => ({
      'wsgi.py': `
import time
def application(environ, start_response):
    import lazy
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    start_response("200 OK", [])
    return [f"${version} {lazy.version}".encode()]`,
      'lazy.py': `version = ${version}`,
    })
    const { url, deploy, read, repository } = await setUp(t, answering(1), '', '--kind=flask', '--start=gunicorn')
    // Debian's gunicorn, and no environment that would have to be filled from PyPI.
    const settings = read('.env')
      .replace(/^(INSTALL_DEPS=).*$/m, '$1')
      .replace(/^PATH_TO_VENV=.*$/m, '')
      .replace('python -c', 'python3 -c')
    writeFileSync(join(repository, '.env'), settings, { mode: 0o600 })
    try {
      await deploy({})
      for (const version of [2]) {
        const asked = await askAllTheTime([url, `${url}slow`], () => deploy(answering(version)))
        verifyVersions(asked, new Set([version - 1, version]), `deployment ${version}`)
        verifyVersions([await ask(url)], new Set([version]), `after deployment ${version}`)
      }
    } finally {
      // Not after the test: then the folder is gone, and with it gunicorn's id.
      if (existsSync(join(repository, 'gunicorn.pid'))) {
        process.kill(Number(read('gunicorn.pid')), 'SIGTERM')
        await waitFor('gunicorn ends', () => !existsSync(join(repository, 'gunicorn.pid')))
      }
    }
  })

  it('from nginx, a static site', async t => {
    const page = (version: number) => ({ 'index.html': String(version), 'inner/page.html': String(version) })
    const { folder, url, deploy, repository } = await setUp(t, page(1), 'inner/page')
    // It serves what is there by then, and 404 until the first deployment.
    await startWebServer(t, url, writeNginxConfig(join(folder, 'nginx'), join(repository, 'server/nginx.conf')))
    await deploy({})
    const asked = await askAllTheTime([url, `${url}inner/page`], () => deploy(page(2)))
    verifyVersions(asked, new Set([1, 2]), 'a deployment')
    verifyVersions([await ask(url)], new Set([2]), 'after it')
    for (const path of ['.git', 'deploy/server.env'])
      if ((await ask(`${url}${path}`))?.status !== 404) throw new Error(`${path} is served`)
  })
})
