import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { waitFor } from '../test/lib/events.ts'
import { kill } from '../test/lib/kills.ts'
import { processes } from '../test/lib/processes.ts'
import { type Site, startServer } from '../test/lib/site.ts'
import { type CleansUp, newKeyPair, type Sshd } from '../test/lib/sshd.ts'
import { binaries, startSlowLink } from './sites.ts'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '10' }, only: { type: 'string', default: '' } },
})
const runs = Number(values.runs)
const here = join(import.meta.dirname, 'peers')
const venv = join(import.meta.dirname, '../dist/peers/bin')
const cleanups: (() => void | Promise<void>)[] = []
const t: CleansUp = { after: fn => void cleanups.push(fn) }

const read = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8' })
const versionIn = (text: string) => /\d+(\.\d+)+/.exec(text)?.[0] ?? ''

/** What a deployment of a peer's is started with. */
interface Target {
  readonly site: Site
  readonly port: number
  readonly key: string
  readonly knownHosts: string
  /** A bare repository on the server's disk, for those that fetch. */
  readonly forge: string
  /** Where those that fetch deploy to. */
  readonly folder: string
}

interface Command {
  readonly command: string
  readonly args?: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

interface Peer {
  readonly version: () => string
  /** Whether it is given the commit, and fetches nothing. */
  readonly isPushed?: boolean
  readonly setUp?: (site: Site) => void
  readonly deploy: (target: Target) => Command
  readonly rollback?: (target: Target) => Command
  /** Where the files are served from. */
  readonly live: (target: Target) => string
}

const pushlive = (settings: Record<string, string>): Peer => {
  const program = (args: readonly string[]) => (target: Target) => {
    const KNOWN_DEPLOYMENT_HOSTS = readFileSync(target.knownHosts, 'utf8')
    const env = { ...target.site.deployEnvironment, STAGING_REMOTE_REPO: urlOf(target), KNOWN_DEPLOYMENT_HOSTS }
    return { command: join(binaries, 'deploy'), args, cwd: target.site.clone, env }
  }
  return {
    version: () => versionIn(read(join(binaries, 'deploy'), '--version')),
    isPushed: true,
    setUp: site => {
      site.configure(settings)
      cpSync(join(binaries, 'post-receive'), join(site.repository, 'hooks/post-receive'))
    },
    deploy: program([]),
    rollback: program(['rollback']),
    live: ({ site }) => site.workTree,
  }
}

const urlOf = ({ site, port }: Target) => site.url.replace(/:\d+\//, `:${port}/`)
const fetching = ({ site, port, key, knownHosts, forge, folder }: Target) => ({
  ...site.deployEnvironment,
  FORGE: forge,
  DEPLOY_TO: folder,
  SSH_USER: new URL(site.url).username,
  SSH_PORT: `${port}`,
  SSH_KEY: key,
  SSH_KNOWN_HOSTS: knownHosts,
})
const inFolder = ({ folder }: Target) => folder

/** Each as its own documentation sets it up, with the same four steps: code, install-deps, upgrade-db, touch. */
const peers: Record<string, Peer> = {
  'plain bash': {
    version: () => versionIn(read('bash', '--version')),
    isPushed: true,
    setUp: site => {
      rmSync(join(site.repository, 'hooks/update'))
      cpSync(join(here, '../bash/post-receive'), join(site.repository, 'hooks/post-receive'))
      mkdirSync(site.workTree)
    },
    deploy: target => {
      const options = ['-i', target.key, '-o', `UserKnownHostsFile=${target.knownHosts}`, '-o', 'IdentitiesOnly=yes']
      const GIT_SSH_COMMAND = ['ssh', ...options].join(' ')
      const env = { ...target.site.deployEnvironment, GIT_SSH_COMMAND, STAGING_REMOTE_REPO: urlOf(target) }
      return { command: join(here, '../bash/DEPLOY.sh'), cwd: target.site.clone, env }
    },
    live: ({ site }) => site.workTree,
  },
  pushlive: pushlive({}),
  'pushlive, RELEASES=3': pushlive({ RELEASES: '3', SMOKE_TEST: '' }),
  Capistrano: {
    version: () => versionIn(read('cap', '--version')),
    // It writes a log beside its configuration.
    setUp: site => cpSync(join(here, 'capistrano'), join(site.folder, 'capistrano'), { recursive: true }),
    deploy: target => ({
      command: 'cap',
      args: ['production', 'deploy'],
      cwd: join(target.site.folder, 'capistrano'),
      env: fetching(target),
    }),
    rollback: target => ({
      command: 'cap',
      args: ['production', 'deploy:rollback'],
      cwd: join(target.site.folder, 'capistrano'),
      env: fetching(target),
    }),
    live: ({ folder }) => join(folder, 'current'),
  },
  Ansible: {
    version: () => versionIn(read(join(venv, 'ansible'), '--version')),
    deploy: target => {
      const { site, key, knownHosts, port, folder } = target
      const options = `-o UserKnownHostsFile=${knownHosts} -o IdentitiesOnly=yes -o ControlMaster=auto -o ControlPersist=60s`
      const env = {
        ...fetching(target),
        LC_ALL: 'C.UTF-8',
        ANSIBLE_PIPELINING: '1',
        ANSIBLE_SSH_ARGS: options,
        // A job of a CI finds no connection of the one before.
        ANSIBLE_SSH_CONTROL_PATH_DIR: join(folder, `../cp-${performance.now()}`),
        ANSIBLE_PYTHON_INTERPRETER: '/usr/bin/python3',
      }
      const host = ['--inventory', '127.0.0.1,', '--user', new URL(site.url).username]
      const args = [...host, '--key-file', key, '-e', `ansible_port=${port}`, join(here, 'playbook.yml')]
      return { command: join(venv, 'ansible-playbook'), args, env }
    },
    live: inFolder,
  },
  Fabric: {
    version: () => versionIn(read(join(venv, 'fab'), '--version')),
    deploy: target => ({ command: join(venv, 'fab'), args: ['deploy'], cwd: here, env: fetching(target) }),
    live: inFolder,
  },
  pyinfra: {
    version: () => versionIn(read(join(venv, 'pyinfra'), '--version')),
    deploy: target => ({
      command: join(venv, 'pyinfra'),
      args: ['-y', 'inventory.py', 'deploy.py'],
      cwd: here,
      env: fetching(target),
    }),
    live: inFolder,
  },
}

/** What a deployment prints of itself, and what a recipe is told by the commit: how long it takes, and what fails. */
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

    start(action: 'deploy' | 'rollback' = 'deploy', port = server.sshd.port) {
      // For the port that the link has.
      writeFileSync(knownHosts, server.sshd.knownHosts.replaceAll(`:${server.sshd.port} `, `:${port} `))
      const { command, args = [], cwd, env } = (peer[action] as Peer['deploy'])({ ...target, port })
      const started = performance.now()
      const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
      const said: Buffer[] = []
      for (const output of [child.stdout, child.stderr]) output.on('data', chunk => said.push(chunk))
      const ended = new Promise<Ended>(resolve => {
        child.on('close', code =>
          resolve({ code, seconds: (performance.now() - started) / 1000, output: `${Buffer.concat(said)}` }),
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

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN
const ratio = (some: readonly number[], others: readonly number[]) =>
  median(some.map((each, index) => each / (others[index] ?? Number.NaN))).toFixed(2)

/** Seconds of each run, of all peers in turn. */
type Times = Record<string, number[]>

async function measure(all: Record<string, Deployed>, action: 'deploy' | 'rollback', port: number): Promise<Times> {
  const times: Times = {}
  for (let run = 0; run <= runs; run++) {
    for (const [name, peer] of Object.entries(all)) {
      if (action === 'rollback' && !peers[name]?.rollback) continue
      await peer.commit()
      // pushlive never checks out twice within one second, and Capistrano's releases are named by it.
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

/** The processes of a command's, whichever session they have gone into. */
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

/** What it does, as seen from outside: the exit code of the command, and the files that are served. */
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
  const versions = names.map(name => `${name} ${peers[name]?.version()}`)
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
    columns['deploy, 50 ms round trip'] = await measure(all, 'deploy', await slow(server.sshd))
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
  writeFileSync(join(here, '../peers.md'), report)
  const readme = join(here, '../../README.md')
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
