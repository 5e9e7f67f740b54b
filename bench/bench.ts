import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { findBase, host } from '../build/base.ts'
import { makeBinary, makeCodeCache, offerBase } from '../build/binary.ts'
import { bundleForBinary } from '../build/bundle.ts'
import {
  getRepository,
  makeVirtualEnvironment,
  newTitle,
  release,
  uvSettings,
} from '../test/flexmeasures/application.ts'
import { readFasterServerEnv } from '../test/flexmeasures/example.ts'
import { startPostgres, startRedis } from '../test/flexmeasures/servers.ts'
import { startServer } from '../test/lib/site.ts'
import type { CleansUp } from '../test/lib/sshd.ts'
import { formatGrowth, formatReport, formatResult, type Growth, type Memory, median, type Result } from './report.ts'
import {
  type Deployable,
  type Kind,
  lengthenHistory,
  prepareSites,
  readPeak,
  runTimed,
  type SiteOptions,
  startSlowLink,
} from './sites.ts'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '20' }, only: { type: 'string', default: '' } },
})
const runs = Number(values.runs)
const results: Result[] = []
const growths: Growth[] = []
const cleanups: (() => void | Promise<void>)[] = []
const t: CleansUp = { after: fn => void cleanups.push(fn) }
const folder = newFolder()

const network = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => /^(SSL_CERT_FILE|(https?|all|no)_proxy)$/i.test(name)),
) as Record<string, string>

/**
 * Runs all in turn, in one order and then in the other, because the first of a round has an advantage. The first round does
 * not count: nothing is warm then.
 *
 * @returns the seconds of each, round by round
 */
async function inTurn(all: readonly (() => Promise<number>)[], count: number): Promise<number[][]> {
  const rounds: number[][] = []
  for (let round = 0; round <= count; round++) {
    const seconds: number[] = []
    const order = [...all.entries()]
    for (const [index, run] of round % 2 ? order : order.reverse()) seconds[index] = await run()
    if (round > 0) rounds.push(seconds)
  }
  return rounds
}

async function compare(
  { scenario, baseline = 'bash', atMost, count = runs }: Partial<Result> & { scenario: string; count?: number },
  prepare: () => Promise<(kind: Kind) => Promise<number>>,
) {
  if (!scenario.includes(values.only)) return
  const run = await prepare()
  const pairs = (await inTurn([() => run('bash'), () => run('pushlive')], count)) as [number, number][]
  const result = { scenario, baseline, atMost, pairs }
  results.push(result)
  console.error(formatResult(result))
}

type Growing = Pick<Growth, 'what' | 'sizes'> & { atMost?: number; count?: number }

async function grow(
  { what, sizes, atMost, count = Math.min(runs, 5) }: Growing,
  prepare: (size: number) => Promise<() => Promise<number>>,
) {
  if (!what.includes(values.only)) return
  const all: (() => Promise<number>)[] = []
  for (const size of sizes) all.push(await prepare(size))
  const growth = { what, sizes, atMost, rounds: await inTurn(all, count) }
  growths.push(growth)
  console.error(formatGrowth(growth))
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  // PostgreSQL's own user needs to enter this folder.
  chmodSync(folder, 0o755)
  return folder
}

async function main() {
  // The key exchange of sshd's defaults, and not the cheap one of the tests.
  const server = await startServer(t, { setEnv: network, config: ['KexAlgorithms +curve25519-sha256'] })
  const newSite = await prepareSites(t, server)
  const empty = await buildEmptyProgram()
  const bothSites = async (options?: SiteOptions) => ({
    bash: await newSite('bash', options),
    pushlive: await newSite('pushlive', options),
  })
  type Both = Awaited<ReturnType<typeof bothSites>>

  type Change = (site: Deployable['site']) => Record<string, string>
  const aFile: Change = () => ({ 'part-0/0': `${performance.now()}\n` })
  const changeOne = async ({ site, deploy }: Deployable, port?: number, change = aFile) => {
    const files = change(site)
    await site.commit(files)
    // pushlive waits before it checks out twice within one second. That wait is not measured.
    await sleep(1000)
    const seconds = await deploy({ port })
    for (const [file, text] of Object.entries(files)) assert.equal(site.read(file), text)
    return seconds
  }
  const deployChange =
    (sites: Both, { port, change }: { port?: number; change?: Change } = {}) =>
    (kind: Kind) =>
      changeOne(sites[kind], port, change)
  const runHook = (sites: Both) => (kind: Kind) =>
    runTimed(sites[kind].hook, {
      cwd: sites[kind].site.repository,
      env: { PATH: process.env.PATH, GIT_DIR: '.' },
      input: `${'1'.repeat(40)} ${'2'.repeat(40)} refs/heads/other\n`,
    })

  const small = await bothSites()
  await compare({ scenario: 'hook that deploys nothing' }, async () => runHook(small))
  await compare(
    { scenario: 'hook that deploys nothing', baseline: 'empty program', atMost: 1.15 },
    async () => kind => (kind === 'bash' ? runTimed(empty, { cwd: folder, env: {} }) : runHook(small)(kind)),
  )
  await compare({ scenario: 'trivial steps', atMost: 1.3 }, async () => deployChange(small))
  // The least that two programs of this kind can take: bash does all the work.
  await compare({ scenario: 'trivial steps', baseline: 'bash and two empty programs' }, async () =>
    deployChange(await bothSites({ first: empty })),
  )
  const roundTrips: Record<Kind, number[]> = { bash: [], pushlive: [] }
  await compare({ scenario: 'trivial steps, 50 ms round trip', atMost: 1.1 }, async () => {
    const { port, takeRoundTrips } = await startSlowLink(t, server.sshd.port, 50)
    const deploy = deployChange(small, { port })
    return async kind => {
      const seconds = await deploy(kind)
      roundTrips[kind].push(takeRoundTrips())
      return seconds
    }
  })
  await compare({ scenario: 'trivial steps, RELEASES=3', baseline: 'in place', atMost: 1.1 }, async () => {
    const settings = { RESTART: 'true', SMOKE_TEST: '' }
    return deployChange({
      bash: await newSite('pushlive', { settings }),
      pushlive: await newSite('pushlive', { settings: { ...settings, RELEASES: '3' } }),
    })
  })
  await compare(
    { scenario: 'rollback by switching', baseline: 'a push that deploys nothing', atMost: 1.2 },
    async () => {
      const settings = { RESTART: 'true', SMOKE_TEST: '', RELEASES: '3' }
      const { site, deploy } = await newSite('pushlive', { settings })
      return async kind => {
        if (kind === 'bash') return deploy()
        for (const page of ['one', 'two']) {
          await site.commit({ page: `${page} ${performance.now()}` })
          await deploy()
        }
        return deploy({ args: ['rollback'] })
      }
    },
  )
  await compare({ scenario: '20,000 files, one changed', atMost: 1.15 }, async () =>
    deployChange(await bothSites({ files: 20_000 })),
  )
  await compare({ scenario: 'FlexMeasures, a template changed', atMost: 0.1, count: Math.min(runs, 5) }, async () =>
    deployChange(await bothFlexMeasures(newSite), { change: site => newTitle(site, `Release ${performance.now()}`) }),
  )
  await compare(
    { scenario: 'FlexMeasures with releases, a template changed', atMost: 0.1, count: Math.min(runs, 5) },
    async () => {
      const sites = await bothFlexMeasures(newSite, '3')
      const deployTemplate = deployChange(sites, { change: site => newTitle(site, `Release ${performance.now()}`) })
      // Each of the three releases has its first install before the clock starts.
      for (let release = 1; release <= 3; release++) await deployTemplate('pushlive')
      return deployTemplate
    },
  )
  await compare({ scenario: 'burst of 10 pushes, steps of 2 s', atMost: 0.3, count: Math.min(runs, 5) }, async () => {
    const settings = { INSTALL_DEPS: 'sleep 2', UPGRADE_DB: '' }
    // Without flock the bash hooks would run at the same time and break each other.
    const mend = (hook: string) =>
      hook
        .replace('make install-deps', 'sleep 2')
        .replace('make upgrade-db', ':')
        .replace('set -e\n', 'set -e\nexec 9>>lock; flock 9\n')
    const sites = await bothSites({ settings, mend })
    return kind => burst(sites[kind])
  })

  await grow({ what: 'files, one changed', sizes: [100, 1_000, 10_000, 100_000] }, async files => {
    const site = await newSite('pushlive', { files })
    return () => changeOne(site)
  })
  const deployedBefore = async (deployments: number) => {
    const site = await newSite('pushlive')
    await lengthenHistory(site.site, deployments)
    return site
  }
  const deployments = [10, 1_000, 10_000]
  await grow(
    { what: 'deployments before', sizes: deployments, atMost: 1.05, count: Math.max(runs, 20) },
    async size => {
      const site = await deployedBefore(size)
      return () => changeOne(site)
    },
  )
  for (const command of ['status', 'report']) {
    await grow({ what: `deployments that deploy ${command} reads`, sizes: deployments }, async size => {
      const { deploy } = await deployedBefore(size)
      return () => deploy({ args: [command] })
    })
  }
  await grow({ what: 'releases that are kept', sizes: [3, 30], atMost: 1.05, count: runs }, async RELEASES => {
    const site = await newSite('pushlive', { settings: { RESTART: 'true', SMOKE_TEST: '', RELEASES: `${RELEASES}` } })
    for (let release = 1; release <= RELEASES; release++) await changeOne(site)
    return () => changeOne(site)
  })
  await grow({ what: 'MB that a step prints', sizes: [1, 10, 100, 1_000], count: 1 }, async megabytes => {
    const INSTALL_DEPS = `head --bytes ${megabytes * 750_000} /dev/zero | base64`
    const site = await newSite('pushlive', { settings: { INSTALL_DEPS } })
    return () => changeOne(site)
  })
  await grow({ what: 'pushes at once', sizes: [1, 10, 50] }, async pushes => {
    const site = await newSite('pushlive')
    return () => burst(site, pushes)
  })

  const memory = values.only === '' ? await measureMemory(small) : []
  const [bash, pushlive] = [median(roundTrips.bash), median(roundTrips.pushlive)]
  const counted = `, and counts them: ${bash} round trips for bash and ${pushlive} for pushlive`
  const machine = `${cpus().length} cores, ${cpus()[0]?.model}; a proxy delays the round trips${bash ? counted : ''}.`
  const report = formatReport(results, growths, memory, machine)
  console.log(report)
  if (values.only !== '') return
  const write = (name: string, text: string) => writeFileSync(join(import.meta.dirname, name), text)
  write('results.md', report)
  write('results.json', `${JSON.stringify({ machine, results, growths, memory }, null, 1)}\n`)
}

/** A binary that is made like the others and does nothing. */
async function buildEmptyProgram(): Promise<string> {
  const script = join(folder, 'empty.ts')
  const [bundled, cache, binary] = ['empty.js', 'code-cache', 'empty'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(script, '')
  const base = findBase(host, folder)
  offerBase(base, host, folder)
  bundleForBinary(script, '', bundled)
  makeCodeCache(base, bundled, cache)
  await makeBinary(host, { 'bundle.js': bundled, 'code-cache': cache }, binary, folder)
  return binary
}

/** Pushes, each as soon as the server has taken the one before. It ends when the last has its verdict. */
async function burst({ site, deploy }: Deployable, pushes = 10): Promise<number> {
  const commits: string[] = []
  for (let count = 0; count < pushes; count++) commits.push(await site.commit({ 'part-0/0': `${performance.now()}\n` }))
  await sleep(1000)
  const started = performance.now()
  const pushing: Promise<number>[] = []
  for (const commit of commits) {
    await site.git`git update-ref refs/heads/main ${commit}`
    pushing.push(deploy())
    while (readFileSync(join(site.repository, 'refs/heads/main'), 'utf8').trim() !== commit) await sleep(5)
  }
  await Promise.all(pushing)
  return (performance.now() - started) / 1000
}

/** FlexMeasures' own steps, on one database and, but for releases, in one virtual environment. */
async function bothFlexMeasures(newSite: Awaited<ReturnType<typeof prepareSites>>, RELEASES?: string) {
  const folder = newFolder()
  const venv = join(folder, 'venv')
  await makeVirtualEnvironment(venv)
  const postgres = await startPostgres(t, folder)
  const settings = {
    ...uvSettings(folder, venv),
    PATH_TO_VENV: venv,
    SECRET_KEY: 'of a benchmark',
    SQLALCHEMY_DATABASE_URI: postgres.uri,
    FLEXMEASURES_REDIS_URL: '127.0.0.1',
    FLEXMEASURES_REDIS_PORT: `${await startRedis(t, folder)}`,
    // In the bash hook's work tree git cannot say which version it is.
    SETUPTOOLS_SCM_PRETEND_VERSION: release,
    UPGRADE_DB: 'flexmeasures db upgrade',
    INSTALL_DEPS_IF_CHANGED: 'pyproject.toml uv.lock Makefile',
    UPGRADE_DB_IF_CHANGED: 'flexmeasures/data/migrations',
  }
  const fill = async (site: Deployable['site']) => {
    await getRepository(site, venv)
    await postgres.runFile(join(site.clone, 'ci/load-psql-extensions.sql'))
  }
  const mend = (hook: string) =>
    hook.replace('source ./.env', 'set -a; source ./.env; set +a').replace('make upgrade-db', 'flexmeasures db upgrade')
  const { SMOKE_TEST } = readFasterServerEnv()
  const path = `${join(venv, 'bin')}:${process.env.PATH}`
  const own = RELEASES && { RELEASES, SMOKE_TEST, PATH: path, PATH_TO_VENV: '.venv', UV_PROJECT_ENVIRONMENT: '.venv' }
  return {
    bash: await newSite('bash', { settings, fill, mend }),
    pushlive: await newSite('pushlive', { settings: { ...settings, ...own }, fill }),
  }
}

async function measureMemory(sites: Record<Kind, Deployable>): Promise<Memory[]> {
  const peaks = async (kind: Kind) => {
    let deploy = 0
    let watching: NodeJS.Timeout | undefined
    await sites[kind].site.commit({ 'part-0/0': `${performance.now()}\n` })
    await sites[kind].deploy({
      onStart: pid => {
        watching = setInterval(() => {
          deploy = readPeak(`/proc/${pid}/status`) || deploy
        }, 5)
      },
    })
    clearInterval(watching)
    return { deploy, hook: sites[kind].readHookMemory() }
  }
  const [bash, pushlive] = [await peaks('bash'), await peaks('pushlive')]
  return [
    { program: 'the hook, while a step runs', bash: bash.hook, pushlive: pushlive.hook, atMost: 80 * 1024 },
    { program: 'deploy', bash: bash.deploy, pushlive: pushlive.deploy, atMost: undefined },
  ]
}

try {
  await main()
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
}
