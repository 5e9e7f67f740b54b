import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, afterEach, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { type Site, startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'
import { ask, readExample, startWebServer } from '../lib/web-server.ts'
import {
  commitAndTag,
  getRepository,
  installedVersion,
  makeVirtualEnvironment,
  migration,
  newStyle,
  newTitle,
  release,
  styledName,
  uvSettings,
} from './application.ts'
import { readFasterServerEnv, readFlexMeasuresExample, readServerEnv, reloadOrRestart, runUnit } from './example.ts'
import { startPostgres, startRedis } from './servers.ts'

/** What a program needs to get out of a closed network. */
const network = pick(process.env, /^(SSL_CERT_FILE|(https?|all|no)_proxy)$/i)

for (const RELEASES of ['1', '3']) {
  const isInPlace = RELEASES === '1'
  describe(`FlexMeasures with RELEASES=${RELEASES}`, { timeout: 30 * 60_000 }, () => {
    const t = cleaningUpInReverse()
    let { site, url, postgres, venv, logs, startServers, worker } = {} as Awaited<ReturnType<typeof prepare>>
    const revision = () => postgres.query('select version_num from alembic_version')
    const tables = () => postgres.query("select tablename from pg_tables where tablename like 'test\\_%' order by 1")
    const countReloads = () => readFileSync(logs.web, 'utf8').split('gracefully killing workers').length - 1

    before(async () => {
      ;({ site, url, postgres, venv, logs, startServers, worker } = await prepare(t, isInPlace))
    })

    afterEach(test => {
      if (!('passed' in test) || test.passed) return
      for (const file of Object.values(logs)) if (existsSync(file)) console.log(file, readFileSync(file, 'utf8'))
    })

    /** Only with releases does the old page keep its old files until the switch. */
    function verifySeen({ titles, styles }: { titles: string[]; styles: string[] }, expected: string[]) {
      assert.deepEqual(titles, expected)
      if (!isInPlace) assert.deepEqual(styles, expected)
    }

    async function verifyServing(commit: string, version: string, expectedRevision: string) {
      assert.equal(await site.live(), commit)
      assert.equal(await servedVersion(url), version)
      assert.equal(await revision(), expectedRevision)
      assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), commit)
      assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '')
      assert.equal(await installedVersion(venv), version)
      if (!isInPlace) await waitFor('the worker runs from what is live', () => worker() === realpathSync(site.workTree))
    }

    it('push 1 puts it live, in the version that git knows', async () => {
      const { commit } = assertExit(await deploy(site), 0)
      log('STARTING THE SERVERS ...')
      await startServers()
      assert.equal((await site.workTreeGit`git describe --tags`).stdout, `v${release}\n`)
      assert.equal(await pageTitle(url), firstTitle)
      assert.equal((await ask(`${url}/api/v3_0/health/ready`))?.status, 200)
      await verifyServing(commit, release, await revision())
    })

    it('push 2 replaces it: clients see the old page and then the new one', async () => {
      const old = await revision()
      site.write({ ...newRelease(site, 'The second release'), ...migration('aaaa00000001', old) })
      await commitAndTag(site, 'v1.0.2')
      const reloads = countReloads()
      const { commit, restarted, changed, ...seen } = assertExit(await watched(url, () => deploy(site)), 0)
      verifySeen(seen, [firstTitle, 'The second release'])
      assert.ok(restarted !== undefined && changed > restarted, 'the new page came before the restart')
      assert.equal(countReloads(), reloads + 1)
      await verifyServing(commit, '1.0.2', 'aaaa00000001')
    })

    it('push 3, whose migration fails, exits with 1 and changes nothing', async () => {
      const live = (await site.live()) ?? ''
      const reloads = countReloads()
      const failing = migration('aaaa00000002', 'aaaa00000001', 'raise ValueError("this migration fails on purpose")')
      site.write({ ...newRelease(site, 'The broken release'), ...failing })
      const broken = await site.commit()
      const { output, ...seen } = await watched(url, async () => {
        const deployed = await deploy(site)
        // uWSGI looks for a touched file once a second.
        await sleep(2_000)
        return assertExit(deployed, 1)
      })
      assert.match(
        output,
        /^remote: UPGRADING DATABASE STRUCTURE failed: `flexmeasures db upgrade` exited with 1\.[\s\S]*ValueError: this migration fails on purpose/m,
      )
      assert.equal(output.includes('PUTTING BACK'), isInPlace, output)
      assert.match(output, new RegExp(`^${broken} IS NOT LIVE`, 'm'))
      verifySeen(seen, ['The second release'])
      assert.equal(countReloads(), reloads)
      assert.equal(await site.failed(), broken)
      // In place the dependencies had been installed for the broken release.
      await verifyServing(live, '1.0.2', 'aaaa00000001')
    })

    it('push 4 repairs it', async () => {
      const reloads = countReloads()
      site.write({ ...newRelease(site, 'The third release'), ...migration('aaaa00000002', 'aaaa00000001') })
      await commitAndTag(site, 'v1.0.3')
      const { commit, ...seen } = assertExit(await watched(url, () => deploy(site)), 0)
      verifySeen(seen, ['The second release', 'The third release'])
      assert.equal(countReloads(), reloads + 1)
      await verifyServing(commit, '1.0.3', 'aaaa00000002')
    })

    if (isInPlace) return

    it('a release that cannot be imported never gets a request', async () => {
      const live = (await site.live()) ?? ''
      site.write({ ...newRelease(site, 'The broken release'), 'wsgi.py': 'import flexmeasures.missing\n' })
      await site.commit()
      const { output, ...seen } = assertExit(await watched(url, () => deploy(site)), 1)
      assert.match(output, /No module named 'flexmeasures\.missing'[\s\S]*TESTING RELEASE failed/)
      verifySeen(seen, ['The third release'])
      await verifyServing(live, '1.0.3', 'aaaa00000002')
      await site.git`git revert --no-edit HEAD`
    })

    it('push 5 brings another migration, and a rollback across it is a switch: the database stays ahead', async () => {
      const third = (await site.live()) ?? ''
      site.write({ ...newRelease(site, 'The fourth release'), ...migration('aaaa00000003', 'aaaa00000002') })
      await commitAndTag(site, 'v1.0.4')
      const pushed = assertExit(await watched(url, () => deploy(site)), 0)
      verifySeen(pushed, ['The third release', 'The fourth release'])
      await verifyServing(pushed.commit, '1.0.4', 'aaaa00000003')

      const { output, ...seen } = assertExit(await watched(url, () => deploy(site, ['rollback'])), 0)
      assert.deepEqual(stepsIn(output), [
        'SWITCHING TO RELEASE',
        'RESTARTING APPLICATION',
        'CHECKING HEALTH',
        'CHECKING PROCESSES',
      ])
      verifySeen(seen, ['The fourth release', 'The third release'])
      await verifyServing(third, '1.0.3', 'aaaa00000003')
    })

    it('the same commit again goes forward, and `rollback --database` takes tables and revision back', async () => {
      const third = (await site.live()) ?? ''
      const forward = assertExit(await watched(url, () => deploy(site)), 0)
      verifySeen(forward, ['The third release', 'The fourth release'])
      await verifyServing(forward.commit, '1.0.4', 'aaaa00000003')
      assert.match(await tables(), /test_aaaa00000003/)

      const back = assertExit(await watched(url, () => deploy(site, ['rollback', '--database'])), 0)
      verifySeen(back, ['The fourth release', 'The third release'])
      await verifyServing(third, '1.0.3', 'aaaa00000002')
      assert.equal(await tables(), 'test_aaaa00000001\ntest_aaaa00000002')
    })

    it('push 6 goes forward from there', async () => {
      site.write(newRelease(site, 'The fifth release'))
      await commitAndTag(site, 'v1.0.5')
      const { commit, ...seen } = assertExit(await watched(url, () => deploy(site)), 0)
      verifySeen(seen, ['The third release', 'The fifth release'])
      await verifyServing(commit, '1.0.5', 'aaaa00000003')
      assert.match(await tables(), /test_aaaa00000003/)
    })

    it('a change of templates alone is live at once where no step depends on them', async () => {
      const { INSTALL_DEPS_IF_CHANGED, SMOKE_TEST } = readFasterServerEnv()
      site.configure({ INSTALL_DEPS_IF_CHANGED, SMOKE_TEST, HEALTH_CHECK_URL: undefined })
      // The settings have changed, and each release has to be installed with them once.
      for (const number of [1, 2, 3, 4, 5]) {
        await site.commit(newRelease(site, `Template ${number}`))
        const { output } = assertExit(await deploy(site), 0)
        assert.equal(output.includes('NOT INSTALLING DEPENDENCIES'), number > 3, output)
      }
    })
  })
}

/** A server with FlexMeasures' databases, and either FlexMeasures' own settings or those of examples/flexmeasures. */
async function prepare(t: CleansUp, isInPlace: boolean) {
  const { sshd, newSite } = await startServer(t, { setEnv: network })
  const site = await newSite(t, { name: 'flexmeasures' })
  // PostgreSQL's own user has to enter this folder.
  chmodSync(site.folder, 0o755)
  const tools = join(site.folder, 'venv')
  log(`GETTING FLEXMEASURES ${release} FROM PyPI ...`)
  await makeVirtualEnvironment(tools)
  await getRepository(site, tools)
  log('STARTING POSTGRESQL AND REDIS ...')
  const postgres = await startPostgres(t, site.folder)
  await postgres.runFile(join(site.clone, 'ci/load-psql-extensions.sql'))
  const redisPort = await startRedis(t, site.folder)
  const port = await holdPort()
  const server = { t, site, tools, postgres, redisPort, port, url: `http://127.0.0.1:${port}`, home: sshd.home }
  return { ...server, ...(isInPlace ? prepareInPlace(server) : prepareReleases(server)) }
}

interface Server {
  readonly t: CleansUp
  readonly site: Site
  /** The folder of uv. */
  readonly tools: string
  readonly postgres: Awaited<ReturnType<typeof startPostgres>>
  readonly redisPort: number
  readonly port: number
  readonly url: string
  readonly home: string
}

function prepareInPlace({ t, site, tools: venv, postgres, redisPort, port, url, home }: Server) {
  const application = {
    SECRET_KEY: 'of a test',
    SQLALCHEMY_DATABASE_URI: postgres.uri,
    FLEXMEASURES_REDIS_URL: '127.0.0.1',
    FLEXMEASURES_REDIS_PORT: `${redisPort}`,
    TRUSTED_HOSTS: '127.0.0.1',
  }
  site.configure({
    ...application,
    ...uvSettings(site.folder, venv),
    PATH_TO_VENV: venv,
    // Not `make upgrade-db`, which ends with exit code 0 when a migration fails: its last command only shows where the
    // database is. INSTALL_DEPS needs no other command than `make install-deps`.
    UPGRADE_DB: 'flexmeasures db upgrade',
  })
  const logs = { web: join(site.folder, 'uwsgi.log') }

  async function startServers() {
    const config = join(site.folder, 'uwsgi.ini')
    const text = readExample('uwsgi.ini', {
      '; virtualenv = .venv': `virtualenv = ${venv}`,
      '/home/seita/flexmeasures': site.workTree,
      '127.0.0.1:8000': `127.0.0.1:${port}`,
      // Two that start at once on an empty database both want to fill it, and one of them fails.
      'processes = 2': 'processes = 1',
    })
    writeFileSync(config, `${text}\nlogto = ${logs.web}\nlog-date = true\ndisable-logging = true\n`)
    const env = { ...application, HOME: home, PATH: `${venv}/bin:${process.env.PATH}`, LANG: 'C.UTF-8' }
    const assignments = Object.entries(env).map(assignment => assignment.join('='))
    await startWebServer(t, `${url}/api/`, ['env', '-i', ...assignments, 'uwsgi', '--ini', config])
    // At the first push no server was there to answer.
    site.configure({ HEALTH_CHECK_URL: `${url}/api/`, HEALTH_CHECK_TIMEOUT: '90' })
  }
  return { venv, logs, startServers, worker: () => '' }
}

/** What docs/frameworks/flexmeasures.md says, for another folder, other ports, and a machine without systemd. */
function prepareReleases({ t, site, tools, postgres, redisPort, port, url, home }: Server) {
  const { folder, workTree } = site
  const replacements = {
    '/home/seita/flexmeasures.git/server': folder,
    '/home/seita/flexmeasures.git': site.repository,
    '/home/seita/flexmeasures': workTree,
    '/home/seita': folder,
    '127.0.0.1:5000': `127.0.0.1:${port}`,
    'postgresql:///flexmeasures': postgres.uri,
  }
  const { RESTART, HEALTH_CHECK_URL, ...settings } = readServerEnv(replacements)
  assert.ok(RESTART && HEALTH_CHECK_URL)
  const { UV_CACHE_DIR, TMPDIR } = uvSettings(folder, '')
  // What `setup-ssh set` gives it.
  const own = { SECRET_KEY: 'of a test', FLEXMEASURES_REDIS_PORT: `${redisPort}`, TRUSTED_HOSTS: '127.0.0.1' }
  // At the first push there is no server to restart or to check.
  site.configure({
    ...settings,
    ...own,
    PATH: `${tools}/bin:/usr/local/bin:/usr/bin:/bin`,
    UV_CACHE_DIR,
    TMPDIR,
    RESTART: '',
  })

  const logs = { web: join(folder, 'web.log'), worker: join(folder, 'worker.log') }
  let workerPid = () => 0

  async function startServers() {
    // FlexMeasures takes a minute to start where two of them and a worker share two busy cores.
    const config = readFlexMeasuresExample('server/uwsgi.ini', { ...replacements, 'processes = 2': 'processes = 1' })
    writeFileSync(join(folder, 'uwsgi.ini'), `${config}log-date = true\ndisable-logging = true\n`)
    const env = { HOME: home, PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' }
    runUnit(t, 'web', folder, env, replacements)
    workerPid = runUnit(t, 'worker', folder, env, replacements).pid
    site.configure({ RESTART: reloadOrRestart(folder), HEALTH_CHECK_URL, HEALTH_CHECK_TIMEOUT: '300' })
    await waitFor('FlexMeasures answers', async () => (await ask(`${url}/api/`)) !== undefined, 120_000)
  }
  const worker = () => {
    const cwd = `/proc/${workerPid()}/cwd`
    // It may have ended, and not have been started again yet.
    return existsSync(cwd) ? readlinkSync(cwd) : ''
  }
  return { venv: join(workTree, '.venv'), logs, startServers, worker }
}

const firstTitle = 'The FlexMeasures Platform'
const newRelease = (site: Site, name: string) => ({ ...newTitle(site, name), ...newStyle(site, name) })

/** The steps that the hook announced. */
const stepsIn = (output: string) =>
  [...output.matchAll(/^remote: ([A-Z ]+?)(?: \d+| \(.*\))? \.\.\.$/gm)]
    .map(([, step]) => step)
    .filter(step => step !== 'RECORDING THE DEPLOYMENT')

/** Servers end before what they need does; node:test would go from the first to the last. */
function cleaningUpInReverse(): CleansUp {
  const all: (() => void | Promise<void>)[] = []
  after(async () => {
    log('CLEANING UP ...')
    const results = []
    for (const fn of all.reverse()) results.push(...(await Promise.allSettled([(async () => fn())()])))
    const failed = results.filter(({ status }) => status === 'rejected')
    assert.deepEqual(failed, [])
  })
  return { after: fn => void all.push(fn) }
}

/** Runs deploy in the clone, and shows what it prints as it comes. */
async function deploy(site: Site, args: readonly string[] = []) {
  const commit = (await site.git`git rev-parse HEAD`).stdout.trim()
  log(['$ ./deploy', ...args].join(' '))
  let restarted: number | undefined
  const deploying = site.startDeploy(args)
  for (const input of [deploying.stdout, deploying.stderr]) {
    createInterface({ input }).on('line', line => {
      log(line)
      if (line.startsWith('remote: RESTARTING APPLICATION ...')) restarted = performance.now()
    })
  }
  const { exitCode, stdout, stderr } = await deploying
  log(`exit code ${exitCode}`)
  return { commit, exitCode, output: `${stdout}${stderr}`, restarted }
}

/** Requests a page and a stylesheet during an action. @returns the answers in order, and when the last new page came */
async function watched<T>(url: string, action: () => Promise<T>) {
  const titles: string[] = []
  const styles: string[] = []
  const began = performance.now()
  let changed = 0
  let requests = 0
  let slowest = 0
  const look = async () => {
    for (const [seen, read] of [
      [titles, pageTitle],
      [styles, styleOf],
    ] as const) {
      const asked = performance.now()
      const answer = await read(url)
      const answered = performance.now()
      requests++
      slowest = Math.max(slowest, answered - asked)
      if (answer === seen.at(-1)) continue
      seen.push(answer)
      if (seen === titles) changed = answered
    }
  }
  // Jinja reads a template when it is first asked for, and that must not be a later release's.
  await look()
  let isDone = false
  const watching = (async () => {
    for (; !isDone; await sleep(50)) await look()
  })()
  try {
    const result = await action()
    await look()
    return { ...result, titles, styles, changed }
  } finally {
    isDone = true
    await watching
    const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`
    log(
      `A client asked ${requests} times and waited up to ${seconds(slowest)}; the last new answer came after ${seconds(changed - began)}.`,
    )
    log(`Pages: ${titles.join(', then ')}. Stylesheets: ${styles.join(', then ')}.`)
  }
}

/** The login page's title, or the answer that came instead of the page. */
async function pageTitle(url: string): Promise<string> {
  const answer = await ask(`${url}/login`)
  const [, title] = /<h1>(.*)<\/h1>/.exec(answer?.text ?? '') ?? []
  return answer?.status === 200 && title ? title : JSON.stringify(answer ?? 'no answer')
}

/** The release that a stylesheet belongs to. */
async function styleOf(url: string): Promise<string> {
  const answer = await ask(`${url}/ui/static/css/flexmeasures.css`)
  if (answer?.status !== 200) return JSON.stringify(answer ?? 'no answer')
  return styledName.exec(answer.text)?.[1] ?? firstTitle
}

async function servedVersion(url: string): Promise<unknown> {
  const answer = await ask(`${url}/api/`)
  assert.equal(answer?.status, 200, JSON.stringify(answer))
  return JSON.parse(answer?.text ?? '').flexmeasures_version
}

function log(line: string) {
  console.log(`[${(performance.now() / 1000).toFixed(1).padStart(6)} s] ${line}`)
}

function pick(env: NodeJS.ProcessEnv, names: RegExp): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => names.test(entry[0]) && !!entry[1]),
  )
}
