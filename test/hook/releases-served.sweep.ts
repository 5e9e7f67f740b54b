import assert from 'node:assert/strict'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { waitForOutput } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { announcementsSideBySide, kills } from '../lib/kills.ts'
import { holdPort } from '../lib/ports.ts'
import { testsBinaries } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'
import {
  askAllTheTime,
  readExample,
  sampleWsgi,
  startService,
  verifyVersions,
  writeApacheConfig,
} from '../lib/web-server.ts'

/** Debian's, which its uWSGI and mod_wsgi are made for. */
const python = '/usr/bin/python3'

/**
 * Each answer names the release of its code, a template, a static file, a module and a package. The module and the
 * package are imported again for each request, because earlier imports do not show where the process looks after a
 * switch. A slow request that comes at the right time names its first part before the switch, and the rest after it.
 */
const application = `
import importlib.util, os, time

VERSION = VERSION_OF_THE_CODE
folder = os.path.dirname(__file__)

def read(name):
    with open(os.path.join(folder, name)) as file:
        return file.read().strip()

def import_anew(name):
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VERSION

def application(environ, start_response):
    if environ["PATH_INFO"] == "/health":
        start_response("200 OK" if HEALTHY else "500 Internal Server Error", [])
        return []
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.5)
    parts = [VERSION, read("template.html"), read("static.css"), import_anew("lazy"), import_anew("package")]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(str(part) for part in parts).encode()]
`

/** Installs into the release's own environment what a package index would have. */
const installDeps = [
  `[ -e .venv/bin/python ] || ${python} -m venv --system-site-packages --without-pip .venv`,
  `printf '#!%s/.venv/bin/python\\nfrom gunicorn.app.wsgiapp import run\\nrun()\\n' "$PWD" > .venv/bin/gunicorn`,
  'chmod +x .venv/bin/gunicorn',
  'cp package.txt "$(echo .venv/lib/python3*/site-packages)/package.py"',
  '! grep -q fails-install recipe',
].join('; ')

/** A step that a kill is to come before the end of: it lasts until the test lets it go. */
const holding = (step: string) => `while grep -qx ${step} "$STEPS.hold" 2>/dev/null; do sleep 0.02; done`

type Failing = 'install' | 'upgrade' | 'import' | 'health'

function appFiles(version: number, failing?: Failing): Record<string, string> {
  return {
    'wsgi.py': sampleWsgi(),
    'app.py': application
      .replace('VERSION_OF_THE_CODE', failing === 'import' ? 'missing' : `${version}`)
      .replace('HEALTHY', failing === 'health' ? 'False' : 'True'),
    'lazy.py': `VERSION = ${version}\n`,
    'package.txt': `VERSION = ${version}\n`,
    'template.html': `${version}\n`,
    'static.css': `${version}\n`,
    recipe: `fails-${failing}\n`,
    '.gitignore': '.venv\n__pycache__\n',
  }
}

interface Served {
  readonly site: Site
  readonly port: number
  readonly replacements: Readonly<Record<string, string>>
  /** Starts a web server once there is something to serve. */
  start(command: readonly string[], options?: { socket?: boolean }): Promise<void>
}

interface Server {
  /** A program in the site's folder. */
  readonly restart?: string
  readonly start: (served: Served) => Promise<void>
}

/** How each of the servers is set up, by the examples. Before the first deployment there is no server to restart. */
const servers: Record<string, Server> = {
  uWSGI: {
    start: async ({ site, replacements, start }) => {
      const text = readExample('uwsgi.ini', { ...replacements, '; virtualenv = .venv': 'virtualenv = .venv' })
      writeFileSync(join(site.folder, 'uwsgi.ini'), text)
      await start(['uwsgi', '--ini', join(site.folder, 'uwsgi.ini')])
    },
  },
  gunicorn: {
    restart: 'restart-gunicorn.sh',
    start: async ({ site, replacements, start }) => {
      for (const name of ['gunicorn.conf.py', 'restart-gunicorn.sh'])
        writeFileSync(join(site.folder, name), readExample(name, replacements), { mode: 0o755 })
      await start([join(site.workTree, '.venv/bin/gunicorn'), '-c', join(site.folder, 'gunicorn.conf.py')])
    },
  },
  'gunicorn, systemd': {
    restart: 'restart-service',
    start: async ({ site, replacements, start }) => {
      const [, command = ''] = /^ExecStart=(.*)$/m.exec(readExample('systemd/gunicorn.service', replacements)) ?? []
      const restart = `#!/bin/sh\nexec kill -HUP "$(cat '${join(site.folder, 'service.pid')}')"\n`
      writeFileSync(join(site.folder, 'restart-service'), restart, { mode: 0o755 })
      await start(command.split(' '), { socket: true })
    },
  },
  mod_wsgi: {
    start: async ({ site, port, replacements, start }) => {
      // The setting, and not the comment that names python-home.
      const home = ` home=${site.workTree}`
      const text = readExample('apache.conf', replacements).replace(home, ` python-home=${site.workTree}/.venv${home}`)
      const config = join(site.folder, 'apache.conf')
      writeFileSync(config, text)
      await start(writeApacheConfig(join(site.folder, 'apache'), config, port))
    },
  },
}

const table: object[] = []
after(() => console.table(table))

// Against the sources two are enough; all that the hook announces is for the binaries.
const killed = testsBinaries ? announcementsSideBySide : ['SWITCHING', 'CHECKING HEALTH']

describe('With RELEASES=3, a client that sends requests all the time sees of', { concurrency: true }, async () => {
  const { newSite } = await startServer({ after })

  for (const [name, server] of Object.entries(servers)) {
    it(`${name}: no failed request, no answer from two releases, and none from a release that was never live`, {
      timeout: 600_000,
    }, async t => {
      const site = await newSite(t)
      const { url, health, hold, commit, deploy, version } = await serve(t, site, server)

      /** Asks while something happens; only what was live at its beginning, or is switched to, may answer. */
      const live = new Set([version()])
      async function underLoad(scenario: string, action: () => Promise<void>) {
        const asked = await askAllTheTime([url, `${url}slow`], action)
        table.push({ server: name, scenario, ...verifyVersions(asked, live, scenario) })
        // From the verdict on it is one release that answers, and not the one before.
        const declared = await site.serverGit`git show ${await site.live()}:static.css`
        live.clear()
        live.add(Number(declared.stdout))
      }
      /** The release that serves from the switch until the verdict. */
      const mayServe = () => live.add(version())

      await underLoad('a good deployment', async () => {
        await commit()
        mayServe()
        await deploy(0)
      })
      for (const failing of ['install', 'upgrade', 'import'] as const) {
        await underLoad(`fails: ${failing}`, async () => {
          await commit(failing)
          await deploy(1)
        })
      }
      await underLoad('fails: health', async () => {
        site.configure({ HEALTH_CHECK_TIMEOUT: '3' })
        await commit('health')
        mayServe()
        await deploy(1)
        site.configure(health)
      })
      await underLoad('rollback', () => {
        live.add(1)
        return deploy(0, ['rollback'])
      })
      for (const announcement of killed) {
        await underLoad(`kill -9 at ${announcement}`, async () => {
          site.configure({ HEALTH_CHECK_URL: 'http://127.0.0.1:1/', HEALTH_CHECK_TIMEOUT: '600' })
          await commit()
          if (/SWITCHING|RESTARTING|HEALTH/.test(announcement)) mayServe()
          else writeFileSync(hold, announcement === 'TESTING' ? 'test' : 'upgrade')
          const deploying = site.startDeploy()
          await waitForOutput(deploying.stderr, `remote: ${announcement}`)
          kills['the hook'](site)
          await deploying
          rmSync(hold, { force: true })
          site.configure(health)
          await commit()
          mayServe()
          await deploy(0)
        })
      }
    })
  }
})

/** The examples with what looks just as good, and leaves the server, or its packages, in the old release for ever. */
const staying: Record<string, Server> = {
  'uWSGI with touch-workers-reload': {
    start: async ({ site, replacements, start }) => {
      const changes = { '; virtualenv = .venv': 'virtualenv = .venv', 'touch-reload': 'touch-workers-reload' }
      writeFileSync(join(site.folder, 'uwsgi.ini'), readExample('uwsgi.ini', { ...replacements, ...changes }))
      await start(['uwsgi', '--ini', join(site.folder, 'uwsgi.ini')])
    },
  },
  'gunicorn without chdir, at SIGHUP': reloadedGunicorn(''),
  'gunicorn with chdir, at SIGHUP': reloadedGunicorn('chdir = os.path.realpath(folder)'),
}

function reloadedGunicorn(chdir: string): Server {
  return {
    restart: 'reload',
    start: async ({ site, replacements, start }) => {
      const config = readExample('gunicorn.conf.py', { ...replacements, 'chdir = os.path.realpath(folder)': chdir })
      writeFileSync(join(site.folder, 'gunicorn.conf.py'), config)
      const reload = `#!/bin/sh\nexec kill -HUP "$(cat '${join(site.folder, 'gunicorn.pid')}')"\n`
      writeFileSync(join(site.folder, 'reload'), reload, { mode: 0o755 })
      await start([join(site.workTree, '.venv/bin/gunicorn'), '-c', join(site.folder, 'gunicorn.conf.py')])
    },
  }
}

describe('A deployment is red behind', { concurrency: true }, async () => {
  const { newSite } = await startServer({ after })

  for (const [name, server] of Object.entries(staying)) {
    it(name, async t => {
      const site = await newSite(t)
      const { health, commit } = await serve(t, site, server)
      site.configure({ ...health, HEALTH_CHECK_TIMEOUT: '8' })
      const live = await site.live()
      await commit()
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /The application still runs from .*\.releases\/1/)
      assert.equal(await site.live(), live)
    })
  }
})

/** A site with one live release behind a web server, that is set up as its example says. */
async function serve(t: CleansUp, site: Site, server: Server) {
  // Apache's user reads the code.
  chmodSync(site.folder, 0o755)
  const port = await holdPort()
  const url = `http://127.0.0.1:${port}/`
  const health = { HEALTH_CHECK_URL: `${url}health`, HEALTH_CHECK_TIMEOUT: '30' }
  site.configure({
    RELEASES: '3',
    PATH_TO_WSGI: 'wsgi.py',
    INSTALL_DEPS: installDeps,
    UPGRADE_DB: `${holding('upgrade')}; ! grep -q fails-upgrade recipe`,
    SMOKE_TEST: `${holding('test')}; .venv/bin/python -c "import wsgi"`,
  })
  let version = 0
  const hold = join(site.folder, 'steps.hold')
  const commit = (failing?: Failing) => {
    version++
    return site.commit(appFiles(version, failing))
  }
  const deploy = async (expected: number, args: string[] = []) => {
    assertExit(await site.deploy(args), expected)
  }

  if (server.restart) site.configure({ RESTART: 'true' })
  await commit()
  await deploy(0)
  const replacements = {
    '/home/seita/flexmeasures': site.workTree,
    '/home/seita': site.folder,
    '127.0.0.1:8000': `127.0.0.1:${port}`,
  }
  await server.start({
    site,
    port,
    replacements,
    start: (command, { socket = false } = {}) => startService(t, site, url, command, socket ? port : undefined),
  })
  site.configure({ ...health, ...(server.restart && { RESTART: join(site.folder, server.restart) }) })
  return { url, health, hold, commit, deploy, version: () => version }
}
