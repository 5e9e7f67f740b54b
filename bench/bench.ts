import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { $ as zx } from 'zx/core'
import { type CleansUp, newKeyPair, type Sshd, startSshd } from '../test/lib/sshd.ts'
import { drawChart } from './chart.ts'

const root = join(import.meta.dirname, '..')
const binaries = join(root, 'dist', `${process.platform}-${process.arch}`)
const $ = zx({ quiet: true })

type Kind = 'bash' | 'binary'
const kinds: readonly Kind[] = ['bash', 'binary']

/** One scenario: the seconds of each pair of runs, bash first. */
export interface Result {
  readonly scenario: string
  readonly atMost: number | undefined
  readonly pairs: readonly (readonly [bash: number, binary: number])[]
}

const { values } = parseArgs({ options: { runs: { type: 'string', default: '20' } } })
const runs = Number(values.runs)
const results: Result[] = []

/** Runs both in turn, warm, and keeps each pair: a machine whose speed drifts slows both of a pair. */
async function compare(
  scenario: string,
  atMost: number | undefined,
  count: number,
  run: (kind: Kind) => Promise<number>,
) {
  for (const kind of kinds) await run(kind)
  const pairs: [number, number][] = []
  for (let pair = 0; pair < count; pair++) pairs.push([await run('bash'), await run('binary')])
  results.push({ scenario, atMost, pairs })
  console.error(describe(results.at(-1) as Result))
}

const median = (numbers: readonly number[]) =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
const ratioOf = ({ pairs }: Result) => median(pairs.map(([bash, binary]) => binary / bash))
const describe = (result: Result) => {
  const [bash, binary] = [0, 1].map(index =>
    (median(result.pairs.map(pair => pair[index] as number)) * 1000).toFixed(0),
  )
  return `| ${result.scenario} | ${bash} | ${binary} | ${ratioOf(result).toFixed(2)} | ${result.atMost ?? ''} |`
}

async function seconds(action: () => PromiseLike<unknown>): Promise<number> {
  const started = performance.now()
  await action()
  return (performance.now() - started) / 1000
}

const cleanups: (() => void | Promise<void>)[] = []
const t: CleansUp = { after: fn => cleanups.push(fn) }

/** A bare repository with one of the two hooks, its clone, and how to deploy to it. */
async function makeSite(sshd: Sshd, config: string, kind: Kind, files = 10, settings = '') {
  const folder = mkdtempSync(join(tmpdir(), `bench-${kind}-`))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const [repository, workTree, clone] = ['app.git', 'www', 'clone'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    GIT_AUTHOR_NAME: 'B',
    GIT_AUTHOR_EMAIL: 'b@example.org',
    GIT_COMMITTER_NAME: 'B',
    GIT_COMMITTER_EMAIL: 'b@example.org',
  }
  const git = $({ cwd: clone, env })
  mkdirSync(workTree)
  mkdirSync(clone)
  await $({ env })`git init --quiet --bare --initial-branch=main ${repository}`
  await git`git init --quiet --initial-branch=main`
  const lines = ['BRANCH_NAME=main', `PATH_TO_GIT_WORK_TREE=${workTree}`, `PATH_TO_WSGI=${workTree}/wsgi.py`, settings]
  writeFileSync(join(repository, '.env'), `${lines.join('\n')}\n`)
  copyFileSync(
    kind === 'bash' ? join(root, 'bench/bash/post-receive') : join(binaries, 'post-receive'),
    join(repository, 'hooks/post-receive'),
  )
  chmodSync(join(repository, 'hooks/post-receive'), 0o755)
  writeFileSync(join(clone, 'Makefile'), 'install-deps:\n\t@true\n\nupgrade-db:\n\t@true\n')
  writeFileSync(join(clone, 'wsgi.py'), '')
  for (let file = 0; file < files; file++) {
    mkdirSync(join(clone, `part-${file % 100}`), { recursive: true })
    writeFileSync(join(clone, `part-${file % 100}`, `file-${file}`), `${file}\n`)
  }
  await git`git add --all`
  await git`git commit --quiet --message ${'first'}`
  let change = 0
  const site = {
    repository,
    clone,
    git,
    async commit() {
      writeFileSync(join(clone, 'part-0/file-0'), `${++change}\n`)
      await git`git commit --quiet --all --message ${'change'}`
    },
    deploy(port = sshd.port) {
      const url = `ssh://${sshd.user}@127.0.0.1:${port}${repository}`
      const deployEnv = {
        ...env,
        STAGING_REMOTE_REPO: url,
        BRANCH_NAME: 'main',
        GIT_SSH_COMMAND: `ssh -F ${config} -o HostKeyAlias=bench`,
      }
      const command = kind === 'bash' ? [join(root, 'bench/bash/DEPLOY.sh')] : [join(binaries, 'deploy')]
      return $({ cwd: clone, env: deployEnv })`exec ${command}`
    },
  }
  await site.deploy()
  return site
}

async function bothSites(sshd: Sshd, config: string, files?: number, settings?: string) {
  return {
    bash: await makeSite(sshd, config, 'bash', files, settings),
    binary: await makeSite(sshd, config, 'binary', files, settings),
  }
}

/** pushlive never checks out twice within one second; both wait for that before the clock starts. */
const pause = () => sleep(1000)

/** Deploys one change; the clock runs for the deployment alone. */
const deployChange = (sites: Awaited<ReturnType<typeof bothSites>>, port?: number) => async (kind: Kind) => {
  await sites[kind].commit()
  await pause()
  return seconds(() => sites[kind].deploy(port))
}

/** A way to sshd that takes half of a round trip longer in each direction. */
async function startSlowLink(port: number, roundTrip: number): Promise<number> {
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.setNoDelay(true)
      from.on('data', chunk => setTimeout(() => to.writable && to.write(chunk), roundTrip / 2))
      from.on('end', () => setTimeout(() => to.end(), roundTrip / 2))
      from.on('error', () => to.destroy())
    }
  })
  t.after(() => void server.close())
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return (server.address() as { port: number }).port
}

async function main() {
  const sshd = await startSshd(t)
  const key = await newKeyPair(sshd.folder)
  sshd.authorize(key.publicKey)
  const config = sshd.clientConfig(key.file)
  const knownHosts = /UserKnownHostsFile "(.*)"/.exec(readFileSync(config, 'utf8'))?.[1] as string
  writeFileSync(knownHosts, sshd.knownHosts.replaceAll(/^\S+/gm, 'bench'))

  const small = await bothSites(sshd, config)
  const line = `${'1'.repeat(40)} ${'2'.repeat(40)} refs/heads/other\n`
  await compare('hook, nothing to deploy', undefined, runs, kind => {
    const { repository } = small[kind]
    return seconds(
      () => $({ cwd: repository, env: { PATH: process.env.PATH, GIT_DIR: '.' }, input: line })`hooks/post-receive`,
    )
  })
  await compare('trivial steps, whole deploy', 1.25, runs, deployChange(small))
  const slow = await startSlowLink(sshd.port, 50)
  await compare('whole deploy, 50 ms round trip', 1.1, runs, deployChange(small, slow))
  await compare('burst of 10 pushes, steps of 2 s', 0.3, Math.min(runs, 3), await burst(sshd, config))
  for (const files of [100, 1000, 20_000, 50_000]) {
    const sites = await bothSites(sshd, config, files)
    await compare(
      `${files.toLocaleString('en')} files, one changed`,
      files === 20_000 ? 1.15 : undefined,
      runs,
      deployChange(sites),
    )
  }
  const memory = await peakMemory(sshd, config)
  report(memory)
}

/** bash's hooks overlap; under flock they take turns, which is the least that works. */
async function burst(sshd: Sshd, config: string) {
  const sites = await bothSites(sshd, config, 10, 'INSTALL_DEPS="sleep 2"\nUPGRADE_DB=""')
  const hook = join(sites.bash.repository, 'hooks/post-receive')
  writeFileSync(
    hook,
    readFileSync(hook, 'utf8')
      .replace('make install-deps', 'sleep 2')
      .replace('source ./.env', 'exec 9>>lock; flock 9\nsource ./.env'),
  )
  return async (kind: Kind) => {
    await pause()
    return seconds(async () => {
      const pushing = []
      for (let count = 0; count < 10; count++) {
        await sites[kind].commit()
        const commit = (await sites[kind].git`git rev-parse HEAD`).stdout.trim()
        pushing.push(sites[kind].deploy())
        while ((await $`git --git-dir=${sites[kind].repository} rev-parse main`).stdout.trim() !== commit)
          await sleep(5)
      }
      await Promise.all(pushing)
    })
  }
}

/** Kibibytes that the hook holds at most while a step runs. */
async function peakMemory(sshd: Sshd, config: string): Promise<number> {
  const site = await makeSite(
    sshd,
    config,
    'binary',
    10,
    `INSTALL_DEPS='grep VmHWM /proc/$(pgrep -of hooks/post-receive)/status > "$PWD/../memory"'`,
  )
  return Number(/\d+/.exec(readFileSync(join(site.repository, '../memory'), 'utf8'))?.[0])
}

function report(memory: number) {
  const table = [
    '| scenario | bash, ms | pushlive, ms | ratio | at most |',
    '|---|---|---|---|---|',
    ...results.map(describe),
  ]
  const notes = `Medians of ${runs} pairs on ${cpus().length} cores (${cpus()[0]?.model}); ratio: median of the pairs. The hook holds ${Math.round(memory / 1024)} MB at most while a step runs.`
  const markdown = `${table.join('\n')}\n\n${notes}\n`
  writeFileSync(join(root, 'bench/results.md'), markdown)
  writeFileSync(join(root, 'bench/results.json'), `${JSON.stringify({ results, hookKibibytes: memory }, null, 1)}\n`)
  writeFileSync(
    join(root, 'bench/results.svg'),
    drawChart(results.map(result => ({ name: result.scenario, ratio: ratioOf(result), atMost: result.atMost }))),
  )
  console.log(markdown)
}

try {
  await main()
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
}
