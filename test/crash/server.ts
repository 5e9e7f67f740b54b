import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { type Ask, askRef, isRollback } from '../../scripts/lib/protocol/asks.ts'
import { type DeploymentRecord, deployRefs, parseRecords } from '../../scripts/lib/protocol/record.ts'
import { parseVerdict, type Verdict } from '../../scripts/lib/protocol/verdict.ts'
import { knows } from '../lib/database-file.ts'
import { program } from '../lib/programs.ts'
import { environmentOf, quoteSetting } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'

const tracer = join(import.meta.dirname, 'tracer.py')
export const source = [process.execPath, '--', join(import.meta.dirname, '../../scripts/post-receive.ts')]
const compileCache = join(import.meta.dirname, '../../node_modules/.cache/node')
/** Seconds: a traced push takes minutes on a busy machine. */
const patience = 300

/** A user's file. */
export const upload = 'uploads/mine.txt'

/** The files of a commit, by their paths. */
export type Files = Readonly<Record<string, string>>

/** A commit with what the tests need to know of it. */
export interface Commit {
  readonly id: string
  readonly files: Files
  /** The last of its migrations. */
  readonly revision: string
}

/** How the tracer runs a program: to copy the server at each instant, or to kill the program at one of them. */
export type Tracing = readonly ['copy' | 'kill', every: number, offset: number]

export interface Instant {
  /** Whether all is killed there, and what is left is a copy; or the hook alone. */
  readonly kind: 'copy' | 'kill'
  readonly number: number
  /** The system call before which it is, and whose it is. */
  readonly line: string
}

/** The steps of all commits. A recipe says which of them fails. What they leave behind is there whole or not at all. */
const settings = {
  HEALTH_CHECK_URL: '',
  INSTALL_DEPS: 'echo half-way > installed; echo "$DEPLOY_COMMIT" > installed',
  UPGRADE_DB: `${knows}; tail -n 1 migrations > "$STEPS.new"; mv "$STEPS.new" "$STEPS.database"`,
  DB_REVISION: `${knows}; cat "$STEPS.database"`,
  DOWNGRADE_DB: `${knows}; echo "$DEPLOY_DB_REVISION" > "$STEPS.new"; mv "$STEPS.new" "$STEPS.database"`,
  SMOKE_TEST: 'test -s page.txt',
  RESTART:
    'if grep -q restart recipe; then exit 1; fi; echo "$DEPLOY_COMMIT" > "$STEPS.new"; mv "$STEPS.new" "$STEPS.loaded"',
}

export interface Said {
  readonly verdict: Verdict | undefined
  readonly output: string
}

export type Server = Awaited<ReturnType<typeof newServer>>

/**
 * A server in one folder, which can be copied and put back, and a clone beside it. The clone pushes to its path: it is the
 * hook that is tested, and no connection.
 */
export async function newServer(t: CleansUp) {
  const folder = mkdtempSync(join(tmpdir(), 'crash-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const server = join(folder, 'server')
  const start = join(folder, 'start')
  const points = join(folder, 'points')
  const clone = join(folder, 'clone')
  const repository = join(server, 'app.git')
  const workTree = join(server, 'www')
  const steps = join(server, 'steps')
  const hook = join(folder, 'hook')
  const settingsFile = join(folder, 'server.env')
  // The hook of an installation is a link to a file below HOME.
  const env = { ...environmentOf(server), UV_USE_IO_URING: '0', NODE_COMPILE_CACHE: compileCache }
  const $ = zx({ env, quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const must = $({ nothrow: false })
  const git = must({ cwd: clone })
  let asks = 0

  /** Runs a program of the server's, traced or not, by a script. */
  function setHook(command: readonly string[], tracing?: Tracing) {
    const traced = tracing ? ['/usr/bin/python3', tracer, server, points, ...tracing.map(String), '--'] : []
    const words = [...traced, ...command].map(word => `'${word}'`)
    writeFileSync(hook, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 })
    if (tracing?.[0] === 'copy') rmSync(points, { recursive: true, force: true })
    mkdirSync(points, { recursive: true })
  }

  for (const each of [server, clone]) mkdirSync(each)
  await git`git init --quiet --initial-branch=main`

  return {
    server,
    repository,
    workTree,
    serverGit: must({ cwd: repository }),

    /** Where the database is. */
    get revision() {
      return readFileSync(join(server, 'steps.database'), 'utf8').trim()
    },
    /** The commit that the application was told to load. */
    get loaded() {
      return readFileSync(join(server, 'steps.loaded'), 'utf8').trim()
    },

    /** Writes the settings for installations. */
    writeSettings(changes: Readonly<Record<string, string>>) {
      const all = { PATH_TO_GIT_WORK_TREE: workTree, STEPS: steps, ...settings, ...changes }
      writeFileSync(settingsFile, formatSettings(all))
    },

    /** Makes the database, and the folder with a user's file. */
    makeData() {
      writeFileSync(`${steps}.database`, 'r0\n')
      mkdirSync(join(workTree, 'uploads'), { recursive: true })
      writeFileSync(join(workTree, upload), 'mine')
    },

    /** Makes the repository, whose hook is one that can be traced. Not by the binary: each copy of the server would have it. */
    async setUp() {
      await must`${source} install ${repository} --settings ${settingsFile}`
      await must`rm -r ${join(repository, 'hooks')} && mkdir ${join(repository, 'hooks')}`
      await must`git --git-dir=${repository} config gc.auto 0`
      writeFileSync(join(repository, 'hooks/post-receive'), `#!/bin/sh\nexec '${hook}' "$@"\n`, { mode: 0o755 })
    },

    makeBare: () => must`git init --quiet --bare --initial-branch=main ${repository}`,

    configure: (changes: Readonly<Record<string, string>>) =>
      writeFileSync(join(repository, '.env'), `${readFileSync(settingsFile, 'utf8')}${formatSettings(changes)}`),

    /** Commits exactly these files. */
    async commit(files: Files): Promise<Commit> {
      await git`git rm -r --quiet --force --ignore-unmatch .`
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(join(clone, path, '..'), { recursive: true })
        writeFileSync(join(clone, path), content)
      }
      await git`git add --all && git commit --quiet --message ${'A change'}`
      const id = (await git`git rev-parse HEAD`).stdout.trim()
      return { id, files, revision: files.migrations?.trim().split('\n').at(-1) ?? '' }
    },

    /** Keeps the server as it is now. */
    keep: () => must`rm -rf ${start} && cp -a --reflink=auto ${server} ${start}`,
    /** Makes the server what was kept, or what it was at an instant. */
    async goTo(instant?: number) {
      if (instant === undefined) await must`rm -rf ${server} && cp -a --reflink=auto ${start} ${server}`
      else await must`rm -rf ${server} && cp -a --reflink=auto ${join(points, String(instant))} ${server}`
    },

    /** Runs `post-receive install`, from its source, as `setUp` does. */
    async install(tracing?: Tracing) {
      setHook(source, tracing)
      const { exitCode, stdout, stderr } = await $`${hook} install ${repository} --settings ${settingsFile}`
      return { exitCode, output: stdout + stderr }
    },

    /** Pushes an ask, as deploy does, and all that it needs. */
    async push(ask: Ask, tracing?: Tracing): Promise<Said> {
      asks++
      setHook(program('post-receive'), tracing)
      const refs = isRollback(ask.verb) ? [] : [`${ask.commit}:refs/heads/main`]
      const asked = `${ask.commit ?? 'HEAD'}:${askRef('main', ask, `crash${String(asks).padStart(8, '0')}`)}`
      const pushed = await $({ cwd: clone, timeout: `${patience}s` })`git push --quiet ${repository} ${refs} ${asked}`
      const said = pushed.stderr.replaceAll(/^remote: (.*?) *$/gm, '$1')
      const verdict = said.split('\n').flatMap(line => parseVerdict(line) ?? [])
      if (pushed.signal) throw new Error(`The push did not end within ${patience} s:\n${said}`)
      const how = pushed.ok ? '' : `\ngit push: ${pushed.exitCode}`
      return { verdict: verdict.at(-1), output: said + how }
    },

    /** What the tracer has found. There are no totals where it has killed the program. */
    found(): { instants: Instant[]; totals: Record<Instant['kind'], number> } {
      const lines = readFileSync(join(points, 'list'), 'utf8').split('\n').filter(Boolean)
      const read: (Instant | { totals: Record<Instant['kind'], number> })[] = lines.map(line => JSON.parse(line))
      const totals = read.flatMap(each => ('totals' in each ? each.totals : []))
      return { instants: read.filter(each => 'line' in each), totals: totals[0] ?? { copy: 0, kill: 0 } }
    },

    /** What the hook has recorded: the newest first. */
    async records(): Promise<DeploymentRecord[]> {
      const { history } = deployRefs('main')
      return parseRecords((await $`git --git-dir=${repository} log -z --format=%b ${history} --`).stdout)
    },
    async live() {
      return (await $`git --git-dir=${repository} rev-parse ${deployRefs('main').live}`).stdout.trim()
    },
  }
}

const formatSettings = (settings: Readonly<Record<string, string>>) =>
  Object.entries(settings)
    .map(([name, value]) => `${name}=${quoteSetting(value)}\n`)
    .join('')
