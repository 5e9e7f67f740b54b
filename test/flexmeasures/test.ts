import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, afterEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Site, startServer } from '../lib/site.ts'
import { type CleansUp, findFreePort } from '../lib/sshd.ts'
import { ask, readExample, startWebServer } from '../lib/web-server.ts'
import {
  commitAndTag,
  getRepository,
  installedVersion,
  makeVirtualEnvironment,
  migration,
  newTitle,
  release,
  uvSettings,
} from './application.ts'
import { startPostgres, startRedis } from './servers.ts'

/** What a program needs to get out of a closed network. */
const network = pick(process.env, /^(SSL_CERT_FILE|(https?|all|no)_proxy)$/i)

describe('FlexMeasures', { timeout: 15 * 60_000 }, async () => {
  const t = cleaningUpInReverse()
  const { sshd, newSite } = await startServer(t, { setEnv: network })
  const site = await newSite(t, { name: 'flexmeasures' })
  // PostgreSQL's own user has to get through.
  chmodSync(site.folder, 0o755)
  const venv = join(site.folder, 'venv')
  const wsgiLog = join(site.folder, 'uwsgi.log')

  log(`GETTING FLEXMEASURES ${release} FROM PyPI ...`)
  await makeVirtualEnvironment(venv)
  await getRepository(site, venv)
  log('STARTING POSTGRESQL AND REDIS ...')
  const postgres = await startPostgres(t, site.folder)
  await postgres.runFile(join(site.clone, 'ci/load-psql-extensions.sql'))
  const redisPort = await startRedis(t, site.folder)

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

  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}`

  async function startUwsgi() {
    const config = join(site.folder, 'uwsgi.ini')
    const text = readExample('uwsgi.ini', {
      '; virtualenv = /home/seita/venv': `virtualenv = ${venv}`,
      '/home/seita/flexmeasures': site.workTree,
      '127.0.0.1:8000': `127.0.0.1:${port}`,
      // Two that start at once on an empty database both want to fill it, and one of them fails.
      'processes = 2': 'processes = 1',
    })
    writeFileSync(config, `${text}\nlogto = ${wsgiLog}\nlog-date = true\ndisable-logging = true\n`)
    const env = { ...application, HOME: sshd.home, PATH: `${venv}/bin:${process.env.PATH}`, LANG: 'C.UTF-8' }
    const assignments = Object.entries(env).map(assignment => assignment.join('='))
    await startWebServer(t, `${url}/api/`, ['env', '-i', ...assignments, 'uwsgi', '--ini', config]).catch(cause => {
      throw new Error(`uWSGI does not serve FlexMeasures: ${readFileSync(wsgiLog, 'utf8')}`, { cause })
    })
  }

  afterEach(test => {
    if ('passed' in test && !test.passed && existsSync(wsgiLog)) console.log(readFileSync(wsgiLog, 'utf8'))
  })

  const countReloads = () => readFileSync(wsgiLog, 'utf8').split('has been touched').length - 1
  const revision = () => postgres.query('select version_num from alembic_version')

  it('push 1 puts it live, in the version that git knows', async () => {
    const { exitCode, commit, output } = await deploy(site)
    assert.equal(exitCode, 0, output)
    assert.equal(await site.live(), commit)
    log('STARTING UWSGI ...')
    await startUwsgi()
    assert.equal(await servedVersion(url), release)
    assert.equal((await site.workTreeGit`git describe --tags`).stdout, `v${release}\n`)
    assert.equal(await pageTitle(url), 'The FlexMeasures Platform')
    assert.equal((await ask(`${url}/api/v3_0/health/ready`))?.status, 200)
    log(`${url}/api/ reports ${release}.`)
  })

  it('push 2 replaces it under its clients, who see the old page and then the new one', async () => {
    // At the first push there was nobody to ask.
    site.configure({ HEALTH_CHECK_URL: `${url}/api/`, HEALTH_CHECK_TIMEOUT: '90' })
    const old = await revision()
    site.write({ ...newTitle(site, 'The second release'), ...migration('aaaa00000001', old) })
    await commitAndTag(site, 'v1.0.2')
    const reloads = countReloads()
    const { exitCode, commit, output, restarted, titles, changed } = await watched(url, () => deploy(site))
    assert.equal(exitCode, 0, output)
    assert.deepEqual(titles, ['The FlexMeasures Platform', 'The second release'])
    assert.ok(restarted !== undefined && changed > restarted, 'the new page came before the restart')
    assert.equal(countReloads(), reloads + 1)
    assert.equal(await servedVersion(url), '1.0.2')
    assert.equal(await revision(), 'aaaa00000001')
    assert.equal(await site.live(), commit)
  })

  it('push 3, whose migration fails, is red and changes nothing', async () => {
    const live = await site.live()
    const reloads = countReloads()
    const failing = migration('aaaa00000002', 'aaaa00000001', 'raise ValueError("this migration fails on purpose")')
    site.write({ ...newTitle(site, 'The broken release'), ...failing })
    const broken = await site.commit()
    const { exitCode, output, titles } = await watched(url, async () => {
      const deployed = await deploy(site)
      // uWSGI looks for a touched file once a second.
      await sleep(2_000)
      return deployed
    })
    assert.equal(exitCode, 1, output)
    assert.match(
      output,
      /^remote: UPGRADING DATABASE STRUCTURE failed: `flexmeasures db upgrade` exited with 1\.[\s\S]*ValueError: this migration fails on purpose[\s\S]*PUTTING BACK/m,
    )
    assert.match(output, new RegExp(`^${broken} IS NOT LIVE`, 'm'))
    assert.deepEqual(titles, ['The second release'])
    assert.equal(countReloads(), reloads)
    assert.equal(await servedVersion(url), '1.0.2')
    assert.equal(await revision(), 'aaaa00000001')
    assert.equal(await site.live(), live)
    assert.equal(await site.failed(), broken)
    assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), live)
    assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '')
    // The dependencies had been installed for the broken release.
    assert.equal(await installedVersion(venv), '1.0.2')
  })

  it('push 4 mends it', async () => {
    const reloads = countReloads()
    site.write({ ...newTitle(site, 'The third release'), ...migration('aaaa00000002', 'aaaa00000001') })
    await commitAndTag(site, 'v1.0.3')
    const { exitCode, commit, output, titles } = await watched(url, () => deploy(site))
    assert.equal(exitCode, 0, output)
    assert.deepEqual(titles, ['The second release', 'The third release'])
    assert.equal(countReloads(), reloads + 1)
    assert.equal(await servedVersion(url), '1.0.3')
    assert.equal(await revision(), 'aaaa00000002')
    assert.equal(await site.live(), commit)
  })
})

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
async function deploy(site: Site) {
  const commit = (await site.git`git rev-parse HEAD`).stdout.trim()
  log('$ ./deploy')
  let restarted: number | undefined
  const deploying = site.startDeploy()
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

/** Asks for a page all the time while something happens: what titles came, in order, and when the last one did. */
async function watched<T>(url: string, action: () => Promise<T>) {
  const titles: string[] = []
  let changed = 0
  let requests = 0
  let slowest = 0
  const look = async () => {
    const asked = performance.now()
    const title = await pageTitle(url)
    const answered = performance.now()
    requests++
    slowest = Math.max(slowest, answered - asked)
    if (title === titles.at(-1)) return
    titles.push(title)
    changed = answered
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
    return { ...result, titles, changed }
  } finally {
    isDone = true
    await watching
    const waited = (slowest / 1000).toFixed(1)
    log(`A client asked ${requests} times, waited up to ${waited} s, and saw: ${titles.join(', then ')}.`)
  }
}

/** The login page's title; or, in its place, what came instead of the page. */
async function pageTitle(url: string): Promise<string> {
  const answer = await ask(`${url}/login`)
  const [, title] = /<h1>(.*)<\/h1>/.exec(answer?.text ?? '') ?? []
  return answer?.status === 200 && title ? title : JSON.stringify(answer ?? 'no answer')
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
