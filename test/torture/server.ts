import { spawn } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { $ as zx } from 'zx/core'
import { kill, type Process, processes } from '../lib/processes.ts'
import { program } from '../lib/programs.ts'
import { environmentOf } from '../lib/site.ts'
import type { Sshd } from '../lib/sshd.ts'
import type { CommitOptions, Damage, Fault, Housekeeping, Work } from './history.ts'

/** What is to be told about a file of a commit: that a link leads there, or the content. */
interface File {
  readonly mode: '100644' | '100755' | '120000'
  readonly content: string
}

export interface Commit {
  readonly id: string
  readonly parent: Commit | undefined
  readonly kind: CommitOptions['kind']
  readonly files: ReadonlyMap<string, File>
}

/** Where the server's own files are that git does not know; and where a commit puts a file that cannot lie beside it. */
const places = [
  { untracked: 'local.cfg', tracked: 'local.cfg' },
  { untracked: 'data/db', tracked: 'data' },
  { untracked: 'cache', tracked: 'cache/x' },
  { untracked: 'instance/app.db', tracked: 'instance/app.db' },
  { untracked: 'odd\u001b[31m\rname', tracked: 'odd\u001b[31m\rname' },
] as const

/** The one of them that outlives releases. */
const shared = places[3]

const isRoot = userInfo().uid === 0
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'
const libfaketime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'

/** A whole deployment goes through in a second or two; what lasts longer than this hangs. */
const patienceMilliseconds = 45_000

export interface Ended {
  /** Or the signal that ended it. */
  readonly code: number | string
  readonly output: string
}

/** What the application said when it loaded. */
interface Load {
  readonly version: string | null
  readonly installed: string | null
}

export interface Look {
  readonly loads: readonly Load[]
  /** The commit that the application answers with. */
  readonly served: Commit | undefined
  /** What else lies there, or was installed, than what this commit wants. */
  readonly problems: readonly string[]
}

export type Server = Awaited<ReturnType<typeof newServer>>

/**
 * A bare repository with the hook, a work tree, an application that serves it, and clones whose commits are known here
 * file by file, so that nobody has to ask git what ought to be there.
 *
 * @param ifChanged whether INSTALL_DEPS_IF_CHANGED and UPGRADE_DB_IF_CHANGED are set
 * @param releases whether they lie side by side; of what is put there by hand only the shared path outlives them
 */
export async function newServer(sshd: Sshd, key: string, { ifChanged = false, releases = false, pushers = 3 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'torture-'))
  const disks = { repository: join(folder, 'repository'), workTree: join(folder, 'tree') }
  const repository = join(disks.repository, 'app.git')
  const workTree = join(disks.workTree, 'www')
  const origin = join(folder, 'origin.git')
  const clones = Array.from({ length: pushers }, (_, number) => join(folder, 'clones', String(number)))
  const home = join(folder, 'home')
  const temporary = join(folder, 'tmp')
  const clock = join(folder, 'clock')
  const daemonSeconds = `1000.${Math.random().toString().slice(2, 9)}`
  const env = { ...environmentOf(home), TMPDIR: temporary }
  const $ = zx({ env, quiet: true })
  for (const path of [...Object.values(disks), home, temporary, ...clones]) mkdirSync(path, { recursive: true })
  if (isRoot) for (const path of Object.values(disks)) await $`mount -t tmpfs -o size=32m torture ${path}`
  for (const file of ['steps', 'overlaps', 'busy', 'clock']) writeFileSync(join(folder, file), '')
  writeFileSync(join(folder, 'daemon'), daemonSeconds)
  writeFileSync(join(folder, 'database'), 'empty\n')

  const app = spawn('setpriv', [
    ...['--pdeathsig', 'KILL', python, '-S', '-E', join(import.meta.dirname, 'app.py')],
    ...[folder, workTree],
  ])
  const port = await new Promise<string>(resolve => createInterface({ input: app.stdout }).once('line', resolve))
  writeFileSync(join(folder, 'port'), port)

  cpSync(await installed(), repository, { recursive: true })
  await $`git init --quiet --bare --initial-branch=main ${origin}`
  for (const clone of clones) {
    await $`git init --quiet --initial-branch=main ${clone}`
    writeFileSync(join(clone, '.git/objects/info/alternates'), `${origin}/objects\n`)
  }
  const step = (name: string) => `bash '${join(import.meta.dirname, 'step.sh')}' '${folder}' ${name}`
  const settings = Object.entries({
    BRANCH_NAME: 'main',
    PATH_TO_GIT_WORK_TREE: workTree,
    INSTALL_DEPS: step('install'),
    UPGRADE_DB: step('upgrade'),
    DB_REVISION: `tail -n 1 '${join(folder, 'database')}'`,
    DOWNGRADE_DB: step('downgrade'),
    RESTART: step('restart'),
    HEALTH_CHECK_URL: `http://127.0.0.1:${port}/health`,
    HEALTH_CHECK_TIMEOUT: '1',
    ...(releases && { RELEASES: '3', SHARED_PATHS: dirname(shared.untracked) }),
    ...(ifChanged && { INSTALL_DEPS_IF_CHANGED: 'deps.txt', UPGRADE_DB_IF_CHANGED: 'migration.txt' }),
  })
  const settingsFile = join(repository, '.env')
  const hook = join(repository, 'hooks/post-receive')
  mkdirSync(dirname(hook), { recursive: true })
  placeHook()
  placeSettings()

  function placeHook() {
    // Not the binary itself, because it would be a hundred megabytes for each history.
    const lines = ['#!/bin/sh', `. '${clock}'`, `exec '${program('post-receive').join("' '")}' "$@"`, '']
    replace(hook, lines.join('\n'), 0o755)
  }

  function placeSettings() {
    replace(settingsFile, settings.map(([name, value]) => `${name}="${value}"\n`).join(''), 0o600)
  }

  function replace(file: string, content: string, mode: number) {
    rmSync(file, { recursive: true, force: true })
    writeFileSync(`${file}.new`, content, { mode })
    renameSync(`${file}.new`, file)
  }

  // ---- commits

  const commits: Commit[] = []
  const heads: (Commit | undefined)[] = clones.map(() => undefined)
  let trunk: Commit | undefined

  /** Makes a commit and gives it to a clone. */
  async function commit(clone: number, options: CommitOptions): Promise<Commit> {
    const parent = options.apart ? heads[clone] : trunk
    const number = commits.length + 1
    const files = new Map<string, File>()
    const text = (content: string): File => ({ mode: '100644', content })
    files.set('version.txt', text(`${number} of ${folder}\n`))
    const inherited = (name: string) => (options.newDependencies ? undefined : parent?.files.get(name))
    files.set('deps.txt', inherited('deps.txt') ?? text(`dependencies of ${number}\n`))
    files.set('migration.txt', inherited('migration.txt') ?? text(`migration-${number}\n`))
    const [, failing = ''] = /^fails (.*)$/.exec(options.kind) ?? []
    const { slow = '', daemon = '', noise } = options
    files.set('recipe', text(`fail=${failing}\nslow=${slow}\ndaemon=${daemon}\nnoise=${noise ? 'yes' : ''}\n`))
    files.set('docs/a.txt', text('the same in all commits\n'))
    files.set('bin/tool', { mode: '100755', content: `#!/bin/sh\necho ${number}\n` })
    files.set('link', { mode: '120000', content: number % 2 ? 'docs' : 'bin/tool' })
    files.set(`gen/${number % 3}`, text(`${number}\n`))
    // A file here, a folder there.
    files.set(number % 2 ? 'either' : 'either/or', text(`${number}\n`))
    if (options.kind === 'collides') {
      files.set((places[options.place] ?? places[0]).tracked, text(`tracked, of ${number}\n`))
    }

    const ref = `refs/heads/c${number}`
    const data = (content: string) => `data ${Buffer.byteLength(content)}\n${content}\n`
    const quoted = (path: string) => `"${path.replaceAll('\u001b', '\\033').replaceAll('\r', '\\015')}"`
    const stream = [
      `commit ${ref}\nmark :1\ncommitter Ada <ada@example.org> ${1_700_000_000 + number} +0000\n${data(options.kind)}`,
      parent ? `from ${parent.id}\n` : '',
      'deleteall\n',
      ...[...files].map(([path, { mode, content }]) => `M ${mode} inline ${quoted(path)}\n${data(content)}`),
      'get-mark :1\n',
    ]
    const inOrigin = zx({ env: { ...env, GIT_DIR: origin }, quiet: true, input: stream.join('') })
    let id = (await inOrigin`git fast-import --quiet`).stdout.trim()
    if (options.kind === 'has .git') {
      const put = await zx({ env: { ...env, GIT_DIR: origin }, quiet: true })`
        blob=$(echo evil | git hash-object -w --stdin)
        tree=$({ git ls-tree ${id}; printf '100644 blob %s\t.git\n' "$blob"; } | git mktree)
        git commit-tree -m 'has .git' ${parent ? ['-p', parent.id] : []} "$tree"`
      id = put.stdout.trim()
    }
    const made: Commit = { id, parent, kind: options.kind, files }
    await give(clone, made)
    commits.push(made)
    if (!options.apart || trunk === parent) trunk = made
    return made
  }

  async function give(clone: number, commit: Commit) {
    await $`git --git-dir=${clones[clone]}/.git update-ref refs/heads/main ${commit.id}`
    heads[clone] = commit
  }

  // ---- deploy

  const running = new Set<number>()

  /** @param onLine is told each line as it comes */
  function startDeploy(clone: number, args: readonly string[], onLine: (line: string) => void): Promise<Ended> {
    const [command = '', ...first] = program('deploy')
    const deployEnv = {
      ...env,
      STAGING_REMOTE_REPO: `ssh://${sshd.user}@${sshd.host}:${sshd.port}${repository}`,
      BRANCH_NAME: 'main',
      SSH_DEPLOYMENT_KEY: key,
      KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts,
    }
    const deploying = spawn(command, [...first, ...args], { cwd: clones[clone], env: deployEnv })
    const pid = deploying.pid as number
    running.add(pid)
    let output = ''
    for (const stream of [deploying.stdout, deploying.stderr]) {
      stream.setEncoding('utf8')
      stream.on('data', text => {
        output += text
        for (const line of String(text).split('\n')) onLine(line)
      })
    }
    const ended = new Promise<Ended>((resolve, reject) => {
      deploying.on('error', reject)
      deploying.on('close', (code, signal) => {
        running.delete(pid)
        resolve({ code: code ?? signal ?? '', output })
      })
    })
    const hang = sleep(patienceMilliseconds, undefined, { ref: false }).then(() => {
      throw new Error(`hangs: deploy ${args.join(' ')} does not end\n${output}\n${describeProcesses(own())}`)
    })
    return Promise.race([ended, hang])
  }

  // ---- what runs here

  const isDaemon = ({ command }: Process) => command === `sleep ${daemonSeconds}`
  // A killed deploy's shared connection ends itself, a minute later.
  let isDeployKilled = false
  const isAbandoned = ({ command }: Process) => isDeployKilled && command.includes('ControlPersist=60')

  /** All but the application. */
  const own = () =>
    processes().filter(
      ({ pid, cwd, command }) => pid !== app.pid && (cwd.startsWith(`${folder}/`) || command.includes(folder)),
    )
  const isOnServer = ({ cwd }: Process) => Object.values(disks).some(disk => cwd.startsWith(disk))

  const describeProcesses = (list: readonly Process[]) =>
    list.map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`).join('\n')

  /** Waits for what a vanished client has left. */
  async function untilIdle() {
    const end = Date.now() + patienceMilliseconds
    for (;;) {
      const left = own().filter(each => !isDaemon(each) && !isAbandoned(each))
      if (left.length === 0) return
      if (Date.now() > end) throw new Error(`left running:\n${describeProcesses(left)}`)
      await sleep(20)
    }
  }

  // ---- faults

  const victims: Record<string, (process: Process) => boolean> = {
    hook: each => isOnServer(each) && each.command.includes('post-receive'),
    git: each => /^(\S*\/)?git[ -]/.test(each.command),
    ssh: each => /^(\S*\/)?ssh /.test(each.command),
    deploy: ({ pid }) => running.has(pid),
    server: isOnServer,
    everything: () => true,
  }

  const filler = (disk: string) => join(disk, 'filler')
  const readOnly: string[] = []

  /** Lets a fault happen. */
  async function strike({ kind, left }: Fault) {
    const whom = victims[kind.replace('kill ', '')]
    isDeployKilled ||= kind === 'kill deploy' || kind === 'kill everything'
    if (whom) {
      for (const each of own().filter(whom)) kill(each.pid)
    } else if (kind === 'cut connection') sshd.dropConnections()
    else if (kind === 'no x bit') chmodSync(hook, 0o644)
    else if (kind === 'no hook') rmSync(hook)
    else if (kind === 'cut hook') writeFileSync(hook, '#!/bin/sh\nexec "/usr')
    else if (kind === 'no .env') rmSync(settingsFile)
    else if (kind === '.env is a folder') {
      rmSync(settingsFile)
      mkdirSync(settingsFile)
    } else if (isRoot) {
      if (kind === 'full repository') fill(disks.repository, left)
      if (kind === 'full work tree') fill(disks.workTree, left)
      if (kind === 'read-only repository') await makeReadOnly(repository)
      if (kind === 'read-only state') {
        for (const name of ['pushlive', 'worktrees']) await makeReadOnly(join(repository, name))
      }
      if (kind === 'read-only work tree') await makeReadOnly(releases ? `${workTree}.releases` : workTree)
    }
  }

  function fill(disk: string, left: number) {
    const { bavail, bsize } = statfsSync(disk)
    try {
      appendFileSync(filler(disk), Buffer.alloc(Math.max(0, bavail * bsize - left * 1024)))
    } catch {
      // Somebody else was faster: it is full.
    }
  }

  async function makeReadOnly(path: string) {
    if (!existsSync(path)) return
    if ((await $`mount --bind ${path} ${path} && mount -o remount,bind,ro ${path}`.nothrow()).ok) readOnly.push(path)
  }

  /** Takes a fault away, but for what it has done. */
  async function heal() {
    for (const path of readOnly.splice(0).reverse()) await $`umount --lazy ${path}`
    for (const disk of Object.values(disks)) rmSync(filler(disk), { force: true })
    placeHook()
    placeSettings()
  }

  /** What a power cut leaves of files that were being written. */
  function damage(how: Damage, number: number): string | undefined {
    const files = [
      ...filesIn(join(repository, 'worktrees')),
      ...filesIn(join(repository, 'pushlive')).filter(path => !path.includes('/log/')),
      ...filesIn(join(repository, 'refs/deploy')),
      join(workTree, '.git'),
    ].filter(path => existsSync(path))
    const file = files[number % files.length]
    if (file === undefined || !lstatSync(file).isFile()) return undefined
    const content = readFileSync(file)
    // With a ref that names what is not there git itself refuses every push, before a hook is asked.
    if (file.includes('/refs/') && how !== 'delete') return undefined
    if (how === 'delete') rmSync(file)
    else if (how === 'empty') writeFileSync(file, '')
    else if (how === 'cut') writeFileSync(file, content.subarray(0, content.length / 2))
    else writeFileSync(file, Buffer.alloc(content.length, '\u0000\u00ff{x'))
    return file
  }

  // ---- what people do there

  const untracked = new Map<string, string>()
  const edited = new Map<string, string>()

  async function workByHand(work: Work, place: number) {
    const isThere = existsSync(workTree) && statSync(workTree).isDirectory()
    const mine = releases ? shared : (places[place] ?? places[0])
    const isKept = !releases || existsSync(join(workTree, dirname(shared.untracked)))
    if (work === 'untracked file' && isThere && isKept) return makeUntracked(mine.untracked)
    if (work === 'edit a tracked file' && isThere) edit('docs/a.txt', `edited by hand ${Math.random()}\n`)
    if (work === 'edit what tells the version') edit('version.txt', `edited by hand ${Math.random()}\n`)
    if (work === 'delete a tracked file' && isThere) {
      edited.delete('docs/a.txt')
      rmSync(join(workTree, 'docs/a.txt'), { force: true })
    }
    if (work === 'delete the work tree' || work === 'a file in place of the work tree') {
      forgetWorkTree()
      rmSync(workTree, { recursive: true, force: true })
      // It is the user's own as well, and nobody else may take it away.
      if (work === 'a file in place of the work tree') makeUntracked('')
    }
    if (work === 'empty the work tree' && isThere) {
      forgetWorkTree()
      for (const name of readdirSync(workTree)) rmSync(join(workTree, name), { recursive: true })
    }
    if (work === 'the application stops to serve') {
      await fetch(`http://127.0.0.1:${port}/ill`, { method: 'POST' })
      return
    }
    if (!isThere) return
    const git = zx({ env, cwd: workTree, quiet: true, nothrow: true })
    if (work === 'check out an older commit' || work === 'check out the branch') {
      edited.clear()
      await (work === 'check out the branch'
        ? git`git checkout --force main`
        : git`git checkout --force --detach HEAD~1`)
    }
    if (work === 'stage a change') {
      edit('docs/a.txt', `staged by hand ${Math.random()}\n`)
      await git`git add docs/a.txt`
    }
  }

  /** Somebody takes away what no deployment may: a file of theirs where the folder has to be. */
  function makeRoom() {
    if (!untracked.delete('')) return
    rmSync(workTree)
  }

  function forgetWorkTree() {
    untracked.clear()
    edited.clear()
  }

  function makeUntracked(path: string) {
    if (!untracked.has(path) && existsSync(join(workTree, path))) return
    const content = `the user's own ${Math.random()}\n`
    try {
      mkdirSync(dirname(join(workTree, path)), { recursive: true })
      writeFileSync(join(workTree, path), content)
    } catch {
      return // something tracked lies in the way
    }
    untracked.set(path, content)
  }

  function edit(path: string, content: string) {
    if (!existsSync(join(workTree, path))) return
    writeFileSync(join(workTree, path), content)
    edited.set(path, content)
  }

  async function keepHouse(what: Housekeeping) {
    const git = zx({ env, cwd: repository, quiet: true, nothrow: true })
    if (what === 'a stale ask') {
      const tip = await read('refs/heads/main')
      // The other one is that of 0.1.0.
      for (const ref of [`refs/deploy-ask/main/deploy-${tip}-00000000`, 'refs/deploy-request/main']) {
        if (tip) await git`git update-ref ${ref} ${tip}`
      }
    } else if (what === 'stale locks of the work tree') {
      for (const name of filesIn(join(repository, 'pushlive'))) {
        if (/\/(HEAD|index)$/.test(name)) writeFileSync(`${name}.lock`, '')
      }
    } else if (what === 'stale locks of refs') {
      writeFileSync(join(repository, 'packed-refs.lock'), '')
      for (const name of filesIn(join(repository, 'refs/deploy'))) writeFileSync(`${name}.lock`, '')
    } else await git`git ${what.split(' ')}`
  }

  function setClock(hours: number) {
    const offset = `${hours < 0 ? '' : '+'}${hours}h`
    const faked = `export LD_PRELOAD=${libfaketime} FAKETIME=${offset} FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1\n`
    writeFileSync(clock, hours === 0 || !existsSync(libfaketime) ? '' : faked)
  }

  // ---- looking

  async function read(ref: string): Promise<string | undefined> {
    const found = await $`git --git-dir=${repository} rev-parse --quiet --verify ${ref}`.nothrow()
    return found.ok ? found.stdout.trim() : undefined
  }

  async function look(): Promise<Look> {
    const loads = (await (await fetch(`http://127.0.0.1:${port}/`)).json()) as Load[]
    const last = loads.at(-1)
    const served = commits.find(({ files }) => last && files.get('version.txt')?.content === last.version)
    if (served === undefined) return { loads, served, problems: last ? [`it has loaded ${last.version}`] : [] }
    const wanted = served.files.get('deps.txt')?.content
    const problems = [...differences(served)]
    if (last?.installed !== wanted) problems.push(`runs with ${last?.installed} and not ${wanted}`)
    const installed = contentOf(join(workTree, '.installed'))
    if (installed !== wanted) problems.push(`installed is ${installed} and not ${wanted}`)
    // Also where a newer one was: a rollback leaves the database where it is.
    const database = contentOf(join(folder, 'database'))
    const isRun = (commit: Commit) => database?.includes(commit.files.get('migration.txt')?.content ?? '')
    if (!commits.some(commit => contains(commit, served) && isRun(commit))) problems.push('its migration was not run')
    return { loads, served, problems }
  }

  /** How the work tree differs from a commit. */
  function* differences({ files }: Commit) {
    for (const [path, { mode, content }] of files) {
      const found = describeFile(join(workTree, path))
      if (found !== `${mode} ${content}`)
        yield `${path} is ${JSON.stringify(found)}, not ${mode} ${JSON.stringify(content)}`
    }
    for (const path of new Set(commits.flatMap(each => [...each.files.keys()]))) {
      const isOthers = [...files.keys(), ...untracked.keys()].some(each => each === path || each.startsWith(`${path}/`))
      if (!isOthers && describeFile(join(workTree, path)) !== undefined) yield `${path} is still there`
    }
  }

  /** The untracked files that are not there any more. */
  const lost = () => [...untracked].filter(([path, content]) => contentOf(join(workTree, path)) !== content)

  /** Whether a content lies anywhere on the server. */
  const isKept = (content: string) =>
    Object.values(disks).some(disk => filesIn(disk).some(file => contentOf(file) === content))

  /** The untracked files that a commit's would overwrite, or stand in the way of; and what SHARED_PATHS keeps for them. */
  const collisions = ({ files }: Commit) =>
    [...untracked.keys(), ...(releases ? [shared.untracked] : [])].filter(
      mine =>
        mine === '' ||
        [...files.keys()].some(path => mine === path || mine.startsWith(`${path}/`) || path.startsWith(`${mine}/`)),
    )

  const lines = (name: string) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean)

  return {
    commits,
    heads,
    trunk: () => trunk,
    commit,
    give,
    startDeploy,
    untilIdle,
    strike,
    heal,
    damage,
    workByHand,
    makeRoom,
    keepHouse,
    setClock,
    look,
    differences,
    lost,
    isKept,
    collisions,
    untracked,
    /** Edits of tracked files that are still there. */
    editsThere: () => [...edited].flatMap(([path, text]) => (contentOf(join(workTree, path)) === text ? [path] : [])),
    edited,
    /** Begun so far. */
    steps: () => lines('steps'),
    overlaps: () => lines('overlaps'),
    /** The migration that the database is at. */
    database: () => lines('database').at(-1),
    branch: () => read('refs/heads/main'),
    async asksLeft() {
      const asks = await $`git --git-dir=${repository} for-each-ref --format='%(refname)' 'refs/deploy-*'`
      return asks.stdout.split('\n').filter(Boolean)
    },
    temporaryLeft: () => readdirSync(temporary),
    serverLogs: () =>
      filesIn(join(repository, 'pushlive/log'))
        .map(file => contentOf(file) ?? '')
        .join(''),
    async destroy() {
      for (const { pid } of own()) kill(pid)
      app.kill('SIGKILL')
      await heal().catch(() => {})
      if (isRoot) for (const path of Object.values(disks)) await $`umount --lazy ${path}`.nothrow()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

/** Whether a commit is another one, or contains it. */
export function contains(commit: Commit | undefined, other: Commit): boolean {
  for (let each = commit; each; each = each.parent) if (each === other) return true
  return false
}

let made: Promise<string> | undefined

/** What the installer makes of nothing; the servers of this process are copies of it. */
function installed(): Promise<string> {
  made ??= install()
  return made
}

async function install(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'installed-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const settings = join(folder, 'server.env')
  const repository = join(folder, 'app.git')
  writeFileSync(settings, `PATH_TO_GIT_WORK_TREE=${join(folder, 'www')}\n`)
  const $ = zx({ env: { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1' }, quiet: true })
  const hook = program('post-receive')
  // 0.1.0 was installed by a script that only its own release has.
  const hasInstaller = (await $`${hook} --help`).stdout.includes('post-receive install')
  if (hasInstaller) await $`${hook} install ${repository} --settings ${settings}`
  else await $`git init --quiet --bare --initial-branch=main ${repository}`
  // git's own housekeeping would run in the background.
  await $`git --git-dir=${repository} config gc.auto 0`
  rmSync(join(repository, 'hooks/post-receive'), { force: true })
  return repository
}

function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

/** As in a commit: mode and content. */
function describeFile(path: string): string | undefined {
  try {
    const found = lstatSync(path)
    if (found.isSymbolicLink()) return `120000 ${readlinkSync(path)}`
    if (!found.isFile()) return 'a folder'
    return `${found.mode & 0o100 ? '100755' : '100644'} ${readFileSync(path, 'utf8')}`
  } catch {
    return undefined
  }
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .sort()
  } catch {
    return []
  }
}
