import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { waitFor } from '../test/lib/events.ts'
import { kill, processes } from '../test/lib/processes.ts'
import { startServer } from '../test/lib/site.ts'
import { type CleansUp, newKeyPair, type Sshd } from '../test/lib/sshd.ts'
import { median } from './report.ts'
import { startSlowLink } from './sites.ts'
import { type Peer, peers, type Target } from './tools.ts'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '10' }, only: { type: 'string', default: '' } },
})
const runs = Number(values.runs)
const cleanups: (() => void | Promise<void>)[] = []
const t: CleansUp = { after: fn => void cleanups.push(fn) }

/** The commit's files tell the recipe how long a step takes and whether it fails. */
const makefile = (log: string) => `\
install-deps:
\t@echo "install begins $$(cat page)" >> ${log}; sleep "$$(cat seconds)"
\t@test "$$(cat fails)" != install && echo "install ends $$(cat page)" >> ${log}

upgrade-db:
\t@echo "upgrade begins $$(cat page)" >> ${log}; sleep "$$(cat seconds)"
\t@test "$$(cat fails)" != upgrade && echo "upgrade ends $$(cat page)" >> ${log}
`

interface Commit {
  readonly seconds?: number
  readonly fails?: 'install' | 'upgrade'
}

/** One peer's application on a server. */
type Deployed = Awaited<ReturnType<typeof prepare>>

let pages = 0

async function prepare(peer: Peer, server: Awaited<ReturnType<typeof startServer>>) {
  const site = await server.newSite(t, { name: 'peer' })
  const forge = join(site.folder, 'forge.git')
  const log = join(site.folder, 'recipes')
  const knownHosts = join(site.folder, 'known_hosts')
  const key = await newKeyPair(site.folder)
  server.sshd.authorize(key.publicKey)
  await site.git`git init --quiet --bare --initial-branch=main ${forge}`
  site.configure({})
  peer.setUp?.(site)
  site.write({ Makefile: makefile(log), 'wsgi.py': 'application = None\n' })
  site.write(Object.fromEntries(Array.from({ length: 200 }, (_, file) => [`part-${file % 100}/${file}`, `${file}\n`])))
  const target: Target = {
    site,
    port: server.sshd.port,
    key: key.file,
    knownHosts,
    forge,
    folder: join(site.folder, 'by-peer'),
  }

  const deployed = {
    target,
    live: peer.live(target),
    recipes: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    page: () => {
      try {
        return readFileSync(join(deployed.live, 'page'), 'utf8').trim()
      } catch {
        return 'missing'
      }
    },
    restartedAt: () => statSync(join(deployed.live, 'wsgi.py')).mtimeMs,

    /** A commit, where the peer takes it from. All its files say the same. */
    async commit({ seconds = 0, fails }: Commit = {}): Promise<string> {
      const page = `${++pages}`
      await site.commit({
        page,
        'static.css': page,
        'template.html': page,
        seconds: `${seconds}`,
        fails: fails ?? 'no',
      })
      if (!peer.isPushed) await site.git`git push --quiet --force ${forge} HEAD:main`
      return page
    },

    /** @param hosts the known ones, for the port that a link to sshd has */
    start(
      action: 'deploy' | 'rollback' = 'deploy',
      port = server.sshd.port,
      hosts = server.sshd.knownHosts.replaceAll(`:${server.sshd.port} `, `:${port} `),
    ) {
      writeFileSync(knownHosts, hosts)
      const { command, args = [], cwd, env } = (peer[action] as Peer['deploy'])({ ...target, port })
      const started = performance.now()
      const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
      const printed: Buffer[] = []
      for (const output of [child.stdout, child.stderr]) output.on('data', chunk => printed.push(chunk))
      const ended = new Promise<Ended>(resolve => {
        child.on('close', code =>
          resolve({ code, seconds: (performance.now() - started) / 1000, output: `${Buffer.concat(printed)}` }),
        )
      })
      return { child, ended }
    },

    async run(action: 'deploy' | 'rollback' = 'deploy', port?: number): Promise<Ended> {
      return deployed.start(action, port).ended
    },
  }
  await deployed.commit()
  const first = await deployed.run()
  assert.equal(first.code, 0, first.output)
  assert.equal(deployed.page(), `${pages}`, first.output)
  return deployed
}

interface Ended {
  readonly code: number | null
  readonly seconds: number
  readonly output: string
}

const ratio = (some: readonly number[], others: readonly number[]) =>
  median(some.map((each, index) => each / (others[index] ?? Number.NaN))).toFixed(2)

/** Runs all peers in turn. @returns the seconds of each run */
type Times = Record<string, number[]>

async function measure(all: Record<string, Deployed>, action: 'deploy' | 'rollback', port: number): Promise<Times> {
  const times: Times = {}
  for (let run = 0; run <= runs; run++) {
    // In one order and then in the other, because the first of a round has an advantage.
    const order = Object.entries(all)
    for (const [name, peer] of run % 2 ? order : order.reverse()) {
      if (action === 'rollback' && !peers[name]?.rollback) continue
      await peer.commit()
      // pushlive waits before it checks out twice within one second, and Capistrano names its releases by the second.
      await sleep(1000)
      let ended = await peer.run('deploy', port)
      if (action === 'rollback') {
        await sleep(1000)
        ended = await peer.run('rollback', port)
      } else assert.equal(peer.page(), `${pages}`, ended.output)
      assert.equal(ended.code, 0, `${name}: ${ended.output}`)
      // The first of each is not warm.
      if (run > 0) times[name] = [...(times[name] ?? []), ended.seconds]
    }
  }
  return times
}

/** The processes that a command started, also those in sessions of their own. */
function killTree({ pid }: ChildProcess) {
  const living = processes()
  const tree = new Set([pid])
  for (let size = 0; size !== tree.size; ) {
    size = tree.size
    for (const { pid, parent } of living) if (tree.has(parent)) tree.add(pid)
  }
  for (const pid of tree) if (pid !== undefined) kill(pid)
}

/** Reads three files all the time. @returns how many times each state was seen */
async function watch({ live }: Deployed, until: Promise<unknown>): Promise<Map<string, number>> {
  const seen = new Map<string, number>()
  let isOver = false
  void until.finally(() => {
    isOver = true
  })
  while (!isOver) {
    for (const file of ['page', 'static.css', 'template.html']) {
      let state = 'missing'
      try {
        state = readFileSync(join(live, file), 'utf8').trim() || 'empty'
      } catch {}
      seen.set(state, (seen.get(state) ?? 0) + 1)
    }
    await breathe()
  }
  return seen
}

/** What a user sees: the exit code of the command, and the files that are served. */
async function observe(peer: Deployed, canRollBack: boolean): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  const colour = ({ code }: Ended) => (code === 0 ? 'green' : `red (${code})`)
  const deployGood = async () => {
    await peer.commit()
    await sleep(1000)
    return peer.run()
  }

  for (const fails of ['install', 'upgrade'] as const) {
    const before = peer.page()
    const restarted = peer.restartedAt()
    await peer.commit({ fails, seconds: 1 })
    const { ended } = peer.start()
    const seen = await watch(peer, ended)
    const serves = peer.page() === before ? 'old' : 'NEW'
    const meanwhile = (seen.get(`${pages}`) ?? 0) > 1000 ? ', new meanwhile' : ''
    const restart = peer.restartedAt() === restarted ? '' : ', restarted'
    found[`failing ${fails}`] = `${colour(await ended)}, serves ${serves}${serves === 'old' ? meanwhile : ''}${restart}`
    const again = await peer.run()
    if (fails === 'install')
      found['the failed one again'] = `${colour(again)}, serves ${peer.page() === before ? 'old' : 'NEW'}`
    assert.equal((await deployGood()).code, 0)
  }

  let broken = 0
  for (let deployment = 0; deployment < 6; deployment++) {
    await peer.commit()
    await sleep(1000)
    const seen = await watch(peer, peer.start().ended)
    broken += (seen.get('missing') ?? 0) + (seen.get('empty') ?? 0)
  }
  found['files missing or empty in 6 good ones'] = broken === 0 ? 'never' : `seen ${broken} times`

  const stepsBefore = peer.recipes().length
  const same = await peer.run()
  found['the same commit again'] =
    `${colour(same)}, ${peer.recipes().length === stepsBefore ? 'nothing runs' : 'all runs again'}`

  const older = await peer.commit({ seconds: 1 })
  const one = peer.start()
  await waitFor('the first has begun', () => peer.recipes().includes(`install begins ${older}`))
  const newer = await peer.commit({ seconds: 1 })
  const both = await Promise.all([one.ended, peer.run()])
  const lines = peer.recipes().slice(peer.recipes().indexOf(`install begins ${older}`))
  const migrations = lines.filter(line => line.startsWith('upgrade')).map(line => line.split(' ')[1])
  const isOverlapping = lines.slice(0, 4).some(line => !line.endsWith(` ${older}`)) || migrations[1] === 'begins'
  const winner = peer.page() === newer ? 'the newer' : peer.page() === older ? 'THE OLDER' : 'neither'
  found['two at once'] =
    `${both.map(colour).join(' and ')}, ${isOverlapping ? 'overlapping' : 'one after the other'}, ${winner} is live`
  await deployGood()

  const before = peer.page()
  const cut = await peer.commit({ seconds: 2 })
  const { child, ended } = peer.start()
  await waitFor('it has begun', () => peer.recipes().includes(`install begins ${cut}`))
  killTree(child)
  await ended
  await sleep(7000)
  const goesOn = peer.recipes().includes(`upgrade ends ${cut}`)
  const serves = peer.page() === before ? 'old' : 'new'
  const next = await deployGood()
  const isMended = next.code === 0 && peer.page() === `${pages}`
  found['the client killed'] =
    `${goesOn ? 'the server finishes' : 'steps are left out'}, serves ${serves}${goesOn || serves === 'old' ? '' : ' WITHOUT ITS STEPS'}; the next ${isMended ? 'goes live' : 'is refused'}`

  const served = peer.page()
  const other = await newKeyPair(peer.target.site.folder)
  await peer.commit()
  await sleep(1000)
  const [host = ''] = readFileSync(peer.target.knownHosts, 'utf8').split(' ')
  const stranger = peer.start('deploy', undefined, `${host} ${other.publicKey.split(' ').slice(0, 2).join(' ')}\n`)
  found['a server with another host key'] =
    `${colour(await stranger.ended)}, ${peer.page() === served ? 'nothing is sent' : 'IT GETS THE CODE'}`
  await deployGood()

  if (canRollBack) {
    const previous = peer.page()
    await deployGood()
    await sleep(1000)
    const back = await peer.run('rollback')
    found.rollback = `${colour(back)}, serves ${peer.page() === previous ? 'the one before' : 'ANOTHER'}`
  } else found.rollback = 'none'
  return found
}

async function main() {
  const isWanted = (name: string) => name.includes(values.only)
  if (!Object.keys(peers).some(isWanted)) return
  const names = Object.keys(peers).filter(name => isWanted(name) || name === 'plain bash' || name === 'pushlive')
  // One tool may be listed twice, with other settings.
  const versions = [...new Set(names.map(name => `${name.replace(/,.*/, '')} ${peers[name]?.version()}`))]
  const sections: string[] = []

  const bashrcs = { none: '', 'one of 50 ms': 'sleep 0.05\ncase $- in *i*) ;; *) return ;; esac\n' }
  const columns: Record<string, Times> = {}
  const observed: [string, Record<string, string>][] = []
  for (const [account, bashrc] of Object.entries(bashrcs)) {
    const server = await startServer(t, { config: ['KexAlgorithms +curve25519-sha256'] })
    if (bashrc) writeFileSync(join(server.sshd.home, '.bashrc'), bashrc)
    const all: Record<string, Deployed> = {}
    for (const name of names) all[name] = await prepare(peers[name] as Peer, server)
    columns[`deploy, .bashrc: ${account}`] = await measure(all, 'deploy', server.sshd.port)
    if (bashrc) continue
    columns['deploy, 50 ms round trip'] = await measure(all, 'deploy', (await slow(server.sshd)).port)
    columns.rollback = await measure(all, 'rollback', server.sshd.port)
    for (const name of names) {
      observed.push([name, await observe(all[name] as Deployed, peers[name]?.rollback !== undefined)])
      console.error(observed.at(-1))
    }
  }

  const titles = Object.keys(columns)
  const row = (name: string) => {
    const cells = titles.map(title => {
      const times = columns[title] as Times
      const own = times[name]
      if (own === undefined) return '-'
      const toBash = times['plain bash'] ? `${ratio(own, times['plain bash'])} / ` : ''
      return `${median(own).toFixed(2)} s (${toBash}${ratio(own, times.pushlive ?? [])})`
    })
    return `| ${name} | ${cells.join(' | ')} |`
  }
  sections.push(`| | ${titles.join(' | ')} |\n|---|${'---|'.repeat(titles.length)}\n${names.map(row).join('\n')}`)
  sections.push(
    `Medians of ${runs} runs, all in turn; in brackets the time compared with plain bash's / with pushlive's in the same round. Steps are trivial. Those that fetch (Capistrano to pyinfra) need a push to a forge first, which is not in their time.`,
  )
  const cases = Object.keys(observed[0]?.[1] ?? {})
  const behaviour = cases.map(title => `| ${title} | ${observed.map(([, found]) => found[title]).join(' | ')} |`)
  sections.push(
    `| | ${observed.map(([name]) => name).join(' | ')} |\n|---|${'---|'.repeat(observed.length)}\n${behaviour.join('\n')}`,
  )
  const machine = `${cpus().length} cores, ${cpus()[0]?.model}`
  sections.push(`Observed on ${new Date().toISOString().slice(0, 10)}: ${versions.join(', ')}; ${machine}.`)
  const report = `${sections.join('\n\n')}\n`
  console.log(report)
  if (values.only !== '') return
  writeFileSync(join(import.meta.dirname, 'peers.md'), report)
  const readme = join(import.meta.dirname, '../docs/comparison.md')
  const marked = /(?<=<!-- bench.peers\.md -->\n).*(?=<!-- end -->)/s
  writeFileSync(
    readme,
    readFileSync(readme, 'utf8').replace(marked, () => report),
  )
}

const slow = (sshd: Sshd) => startSlowLink(t, sshd.port, 50)

try {
  await main()
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
}
