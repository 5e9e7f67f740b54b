import assert from 'node:assert/strict'
import { chmodSync, globSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { basename, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { type Site, startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'
import {
  ask,
  askAllTheTime,
  readExample,
  startService,
  startWebServer,
  verifyVersions,
  waitForPage,
  writeNginxConfig,
} from '../lib/web-server.ts'

interface Served {
  readonly t: CleansUp
  readonly site: Site
  readonly url: string
  /** Copies an example to the site's folder, adapted to it. @returns its path there */
  copy(example: string, changes?: Readonly<Record<string, string>>): string
}

interface Server {
  /** The application: each answer names the version of its code, and then those of a file and a module. */
  readonly files: (version: number, isHealthy: boolean) => Record<string, string>
  /** What names the commit in the answer to the health check. */
  readonly nameCommit: string
  readonly restart: (site: Site) => string
  readonly start: (served: Served) => Promise<void>
}

const servers: Record<string, Server> = {
  'php-fpm': {
    files: (version, isHealthy) => ({
      'public/index.php': `<?php
        $commit = require __DIR__ . '/../commit.php';
        if ($_SERVER['REQUEST_URI'] === '/health') {
          http_response_code(${isHealthy ? 200 : 500});
          exit($commit);
        }
        $version = ${version};
        if ($_SERVER['REQUEST_URI'] === '/slow') usleep(500000);
        echo $version, ' ', trim(file_get_contents(__DIR__ . '/../template')), ' ', require __DIR__ . '/../lazy.php';`,
      'lazy.php': `<?php return ${version};`,
    }),
    nameCommit: `echo "<?php return '$DEPLOY_COMMIT';" > commit.php`,
    restart: site => `kill -USR2 "$(cat '${site.folder}/fpm.pid')"`,
    start: async ({ t, site, url, copy }) => {
      const user = userInfo().uid === 0 ? 'www-data' : userInfo().username
      const socket = { '/run/php/flexmeasures.sock': join(site.folder, 'fpm.sock') }
      // By default opcache takes no file that is younger than two seconds, and these tests are faster.
      const youngFiles = 'php_admin_value[opcache.file_update_protection] = 0'
      const global = `[global]\npid = ${site.folder}/fpm.pid\nerror_log = ${site.folder}/fpm.log`
      const pool = copy('php-fpm/pool.conf', {
        ...socket,
        '= seita': `= ${user}`,
        '= www-data': `= ${user}`,
        '[global]': global,
        'pm = dynamic': `pm = dynamic\n${youngFiles}`,
      })
      const served = copy('php-fpm/nginx.conf', socket)
      await startWebServer(t, url, writeNginxConfig(join(site.folder, 'nginx'), served))
      const [program = ''] = globSync('/usr/sbin/php-fpm*')
      await startWebServer(t, url, [program, '--nodaemonize', '--fpm-config', pool])
    },
  },

  pm2: {
    files: (version, isHealthy) => ({
      'server.js': `
        const { readFileSync } = require('node:fs')
        const http = require('node:http')
        const commit = readFileSync(__dirname + '/commit', 'utf8')
        const lazily = name => {
          delete require.cache[require.resolve(name)]
          return require(name)
        }
        http.createServer((request, response) => {
          if (request.url === '/health') return response.writeHead(${isHealthy ? 200 : 500}).end(commit)
          const answer = () => response.end([${version}, readFileSync('template', 'utf8').trim(), lazily('./lazy')].join(' '))
          setTimeout(answer, request.url === '/slow' ? 500 : 0)
        }).listen(Number(readFileSync(__dirname + '/port', 'utf8')), '127.0.0.1')`,
      'lazy.js': `module.exports = ${version}`,
    }),
    nameCommit: 'echo "$DEPLOY_COMMIT" > commit',
    restart: site => `${pm2(site)} startOrReload ${join(site.folder, 'ecosystem.config.cjs')}`,
    start: async ({ t, site, url, copy }) => {
      copy('pm2/start.cjs')
      const config = copy('pm2/ecosystem.config.cjs')
      await startService(t, site, url, ['sh', '-c', `cd .. && ${pm2(site)} start ${config}`])
    },
  },

  puma: {
    files: (version, isHealthy) => ({
      'config.ru': `
        COMMIT = File.read(File.join(__dir__, 'commit'))
        FOLDER = __dir__
        run lambda { |env|
          next [${isHealthy ? 200 : 500}, {}, [COMMIT]] if env['PATH_INFO'] == '/health'
          sleep 0.5 if env['PATH_INFO'] == '/slow'
          parts = [${version}, File.read('template').strip, eval(File.read(File.join(FOLDER, 'lazy.rb')))]
          [200, { 'Content-Type' => 'text/plain' }, [parts.join(' ')]]
        }`,
      'lazy.rb': `${version}`,
    }),
    nameCommit: 'echo "$DEPLOY_COMMIT" > commit',
    restart: site => `kill -USR1 "$(cat '${site.folder}/puma.pid')"`,
    start: async ({ t, url, copy }) => startWebServer(t, url, ['puma', '-C', copy('puma.rb')]),
  },
}

const pm2 = ({ folder }: Site) =>
  `PM2_HOME='${folder}/pm2' '${process.execPath}' '${join(import.meta.dirname, '../../dist/pm2/node_modules/pm2/bin/pm2')}'`

const table: object[] = []
after(() => console.table(table))

describe('With RELEASES=3, a client that sends requests all the time sees of', { concurrency: true }, async () => {
  const { newSite } = await startServer({ after })

  for (const [name, server] of Object.entries(servers)) {
    it(`${name}: no failed request, no answer from two releases, and none from a release that was never live`, {
      timeout: 300_000,
    }, async t => {
      const { url, commit, deploy, version } = await serve(t, await newSite(t), server)

      const live = new Set([version()])
      /** Sends requests while something happens, and once after its verdict: then only this version answers. */
      async function underLoad(scenario: string, serves: number, action: () => Promise<void>) {
        const asked = await askAllTheTime([url, `${url}slow`], action)
        table.push({ server: name, scenario, ...verifyVersions(asked, live, scenario) })
        live.clear()
        live.add(serves)
        verifyVersions([await ask(url), await ask(url)], live, `after ${scenario}`)
      }

      // The last one gets the folder of the first.
      for (const times of ['2nd', '3rd', '4th']) {
        await underLoad(`the ${times} deployment`, version() + 1, async () => {
          live.add(version() + 1)
          await commit()
          await deploy(0)
        })
      }
      await underLoad('fails: health', 4, async () => {
        live.add(5)
        await commit(false)
        await deploy(1)
      })
      await underLoad('rollback', 3, () => {
        live.add(3)
        return deploy(0, ['rollback'])
      })
    })
  }
})

describe('A deployment is red behind', { concurrency: true }, async () => {
  const { newSite } = await startServer({ after })

  it('php-fpm that is not reloaded, because it answers with what was in the folder three deployments ago', {
    timeout: 300_000,
  }, async t => {
    const site = await newSite(t)
    const { url, commit, deploy } = await serve(t, site, servers['php-fpm'] as Server)
    site.configure({ RESTART: 'true', HEALTH_CHECK_TIMEOUT: '2' })
    const first = await site.live()
    for (const page of ['2 2 2', '3 3 3']) {
      await commit()
      await deploy(0)
      await waitForPage(url, page)
    }
    await commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, new RegExp(`it is still ${first} that answers`))
    await waitForPage(url, '3 3 3')
  })

  it("pm2 whose file names the release, because pm2 remembers the first one's path", { timeout: 300_000 }, async t => {
    const site = await newSite(t)
    const { start } = servers.pm2 as Server
    const { commit } = await serve(t, site, {
      ...(servers.pm2 as Server),
      start: served => {
        const changes = {
          [`'${site.folder}/start.cjs'`]: "'server.js'",
          [`'${site.folder}'`]: `require('node:fs').realpathSync('${site.workTree}')`,
        }
        return start({ ...served, copy: example => served.copy(example, changes) })
      },
    })
    site.configure({ HEALTH_CHECK_TIMEOUT: '2' })
    const first = await site.live()
    await commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, new RegExp(`it is still ${first} that answers`))
    assert.equal(await site.live(), first)
  })
})

/** A site with one live release behind a server that is set up as its example says. */
async function serve(t: CleansUp, site: Site, server: Server) {
  // The web server's user reads the code.
  chmodSync(site.folder, 0o755)
  const port = await holdPort()
  const url = `http://127.0.0.1:${port}/`
  let version = 0
  const commit = (isHealthy = true) => {
    version++
    return site.commit({ ...server.files(version, isHealthy), template: `${version}\n`, port: `${port}\n` })
  }
  const deploy = async (expected: number, args: string[] = []) => {
    assertExit(await site.deploy(args), expected)
  }
  site.configure({
    RELEASES: '3',
    PATH_TO_WSGI: undefined,
    INSTALL_DEPS: '',
    BUILD: server.nameCommit,
    UPGRADE_DB: '',
    RESTART: 'true',
  })
  await commit()
  await deploy(0)
  const replacements = {
    '/home/seita/flexmeasures': site.workTree,
    '/home/seita': site.folder,
    '127.0.0.1:8000': `127.0.0.1:${port}`,
  }
  const copy = (example: string, changes: Readonly<Record<string, string>> = {}) => {
    const path = join(site.folder, basename(example))
    writeFileSync(path, readExample(example, { ...replacements, ...changes }))
    return path
  }
  await server.start({ t, site, url, copy })
  await waitForPage(url, '1 1 1')
  site.configure({ RESTART: server.restart(site), HEALTH_CHECK_URL: `${url}health`, HEALTH_CHECK_TIMEOUT: '10' })
  return { url, commit, deploy, version: () => version }
}
