import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { $ as zx } from 'zx/core'
import { removeDamaged } from '../../scripts/lib/hook/install/damage.ts'
import { kill, type Process, processes } from '../lib/processes.ts'
import { program } from '../lib/programs.ts'
import { environmentOf } from '../lib/site.ts'
import type { Sshd } from '../lib/sshd.ts'
import { newHandWork } from './by-hand.ts'
import { type Commit, newCommits, shared } from './commits.ts'
import { newFaults } from './faults.ts'
import { contentOf, filesIn } from './files.ts'
import type { History, Trouble } from './history.ts'
import { newLooks } from './look.ts'

const isRoot = userInfo().uid === 0
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'

/** A deployment takes a second or two. One that takes longer than this hangs. */
const patienceMilliseconds = 45_000

export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | string
  readonly output: string
}

export type Server = Awaited<ReturnType<typeof newServer>>

interface Setup extends Partial<Omit<History, 'live' | 'actions'>> {
  /** How many clones there are. */
  readonly pushers?: number
}

/**
 * A bare repository with the hook, a work tree, an application that serves it, and clones whose commits are known here
 * file by file, so that git need not be asked what has to be there. With releases only the shared path keeps what is put
 * there by hand.
 */
export async function newServer(sshd: Sshd, key: string, setup: Setup = {}) {
  const { ifChanged = false, releases = false, any = false, health = 'is checked', twoHeads, pushers = 3 } = setup
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
  const emptyFiles = ['steps', 'overlaps', 'busy', 'clock', 'database', ...(twoHeads ? ['two-heads'] : [])]
  for (const file of emptyFiles) writeFileSync(join(folder, file), '')
  writeFileSync(join(folder, 'daemon'), daemonSeconds)

  const app = spawn('setpriv', [
    ...['--pdeathsig', 'KILL', python, '-S', '-E', join(import.meta.dirname, 'app.py')],
    ...[folder, workTree, ...(health === 'names the commit' ? ['names'] : [])],
  ])
  const printed = await new Promise<string>(resolve => createInterface({ input: app.stdout }).once('line', resolve))
  const [application = '', manager = ''] = printed.split(' ')
  const ports = { application, manager }
  writeFileSync(join(folder, 'manager'), manager)

  cpSync(await installed(), repository, { recursive: true })
  if (any) await $`git --git-dir=${repository} config receive.denyNonFastForwards false`
  await $`git init --quiet --bare --initial-branch=main ${origin}`
  for (const clone of clones) {
    await $`git init --quiet --initial-branch=main ${clone}`
    writeFileSync(join(clone, '.git/objects/info/alternates'), `${origin}/objects\n`)
  }
  const step = (name: string) => `bash '${join(import.meta.dirname, 'step.sh')}' '${folder}' ${name}`
  const commits = newCommits({ folder, origin, clones, env })
  const settings = () => ({
    BRANCH_NAME: commits.branch(),
    ACCEPT: any ? 'any' : 'forward',
    PATH_TO_GIT_WORK_TREE: workTree,
    INSTALL_DEPS: step('install'),
    UPGRADE_DB: step('upgrade'),
    DB_REVISION: step('revision'),
    DOWNGRADE_DB: step('downgrade'),
    RESTART: step('restart'),
    HEALTH_CHECK_URL: health === 'is not checked' ? '' : `http://127.0.0.1:${application}/health`,
    HEALTH_CHECK_TIMEOUT: '1',
    ...(releases && { RELEASES: '3', SHARED_PATHS: `${dirname(shared.untracked)} .env` }),
    ...(ifChanged && { INSTALL_DEPS_IF_CHANGED: 'deps.txt', UPGRADE_DB_IF_CHANGED: 'migrations' }),
  })
  const settingsFile = join(repository, '.env')
  const hook = join(repository, 'hooks/post-receive')
  mkdirSync(dirname(hook), { recursive: true })
  place()

  /** Puts the hook and its settings there, in place of what is. */
  function place() {
    // Not the binary itself, because it would be a hundred megabytes for each history.
    const lines = ['#!/bin/sh', `. '${clock}'`, `exec '${program('post-receive').join("' '")}' "$@"`, '']
    replace(hook, lines.join('\n'), 0o755)
    const texts = Object.entries(settings()).map(([name, value]) => `${name}="${value}"\n`)
    replace(settingsFile, texts.join(''), 0o600)
  }

  function replace(file: string, content: string, mode: number) {
    rmSync(file, { recursive: true, force: true })
    writeFileSync(`${file}.new`, content, { mode })
    renameSync(`${file}.new`, file)
  }

  const running = new Set<number>()

  /** @param onLine is told each line as it comes */
  function startDeploy(clone: number, args: readonly string[], onLine: (line: string) => void): Promise<Ended> {
    const [command = '', ...first] = program('deploy')
    const deployEnv = {
      ...env,
      STAGING_REMOTE_REPO: `ssh://${sshd.user}@${sshd.host}:${sshd.port}${repository}`,
      BRANCH_NAME: commits.branch(),
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

  const isDaemon = ({ command }: Process) => command === `sleep ${daemonSeconds}`
  // A killed deploy's shared connection ends itself, a minute later.
  const isAbandoned = ({ command }: Process) => faults.isDeployKilled() && command.includes('ControlPersist=60')

  /** All but the application and its manager. */
  const own = () =>
    processes().filter(
      ({ pid, parent, cwd, command }) =>
        pid !== app.pid && parent !== app.pid && (cwd.startsWith(`${folder}/`) || command.includes(folder)),
    )

  const describeProcesses = (list: readonly Process[]) =>
    list.map(({ pid, command }) => `${pid} ${command.slice(0, 200)}`).join('\n')

  /** Waits until the processes that a vanished client has left end. */
  async function untilIdle() {
    const end = Date.now() + patienceMilliseconds
    for (;;) {
      const left = own().filter(each => !isDaemon(each) && !isAbandoned(each))
      if (left.length === 0) return
      if (Date.now() > end) throw new Error(`left running:\n${describeProcesses(left)}`)
      await sleep(20)
    }
  }

  async function read(ref: string): Promise<string | undefined> {
    const found = await $`git --git-dir=${repository} rev-parse --quiet --verify ${ref}`.nothrow()
    return found.ok ? found.stdout.trim() : undefined
  }

  /** As `post-receive install` does it, which would copy the binary, too. */
  async function renameBranch() {
    await commits.renameBranch()
    const update = join(repository, 'hooks/update')
    if (existsSync(update))
      writeFileSync(update, readFileSync(update, 'utf8').replace(/^branch=.*/m, `branch=${branch()}`))
    place()
  }
  const { branch } = commits
  const byHand = newHandWork({ repository, workTree, clock, ports, releases, env, read, branch, renameBranch })
  const faults = newFaults({
    disks,
    repository,
    workTree,
    settingsFile,
    hook,
    releases,
    sshd,
    env,
    running,
    own,
    place,
  })
  const looks = newLooks({
    ...{ disks, workTree, ports, releases, ifChanged },
    ...byHand,
    commits: commits.commits,
  })

  function setTrouble(trouble: Trouble | undefined) {
    const files: Record<Trouble, string> = {
      'the server does not follow': 'stays',
      'a dependency has broken': 'broken',
      'a migration cannot be undone': 'irreversible',
    }
    for (const file of Object.values(files)) rmSync(join(folder, file), { force: true })
    if (trouble) writeFileSync(join(folder, files[trouble]), '')
  }

  const config = readFileSync(join(repository, 'config'), 'utf8')

  /** The first of what only the administrator may change in the repository, and has been changed. */
  const findSpoiled = () => {
    if (!existsSync(join(repository, 'hooks/update'))) return 'hooks/update is gone'
    const now = contentOf(join(repository, 'config'))
    return now === config ? undefined : `its configuration is now ${now}`
  }

  /** What `post-receive install` does to refs. It would copy the binary, too. */
  const install = () => removeDamaged(repository, branch())

  /** What the seed's bash hook does. */
  async function deployByBash(commit: Commit) {
    const git = zx({ env: { ...env, GIT_DIR: repository, GIT_WORK_TREE: workTree }, quiet: true })
    mkdirSync(workTree)
    const ref = `refs/heads/c${commits.commits.indexOf(commit) + 1}:refs/heads/${branch()}`
    await $`git --git-dir=${repository} fetch --quiet ${origin} ${ref}`
    await git`git checkout --quiet --force ${branch()}`
    const inWorkTree = zx({ env: { ...env, DEPLOY_COMMIT: commit.id }, cwd: workTree, quiet: true })
    for (const name of ['install', 'upgrade', 'restart']) await inWorkTree`bash -c ${step(name)}`
  }

  const lines = (name: string) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean)

  return {
    ...commits,
    ...byHand,
    ...looks,
    strike: faults.strike,
    heal: faults.heal,
    damage: faults.damage,
    startDeploy,
    untilIdle,
    /** The steps that have begun so far. */
    steps: () => lines('steps'),
    overlaps: () => lines('overlaps'),
    tip: () => read(`refs/heads/${branch()}`),
    setTrouble,
    findSpoiled,
    install,
    deployByBash,
    isChecked: health !== 'is not checked',
    namesCommit: health === 'names the commit',
    hasReleases: releases,
    acceptsAny: any,
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
      await faults.heal().catch(() => {})
      if (isRoot) for (const path of Object.values(disks)) await $`umount --lazy ${path}`.nothrow()
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

let made: Promise<string> | undefined

/** A repository as the installer creates it; the servers of this process are copies of it. */
function installed(): Promise<string> {
  made ??= installOnce()
  return made
}

async function installOnce(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'installed-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const settings = join(folder, 'server.env')
  const repository = join(folder, 'app.git')
  writeFileSync(settings, `PATH_TO_GIT_WORK_TREE=${join(folder, 'www')}\nRESTART=\n`)
  const $ = zx({ env: { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1' }, quiet: true })
  const hook = program('post-receive')
  // 0.1.0 had no installer of its own: a script of its release installed it.
  const hasInstaller = (await $`${hook} --help`).stdout.includes('post-receive install')
  if (hasInstaller) await $`${hook} install ${repository} --settings ${settings}`
  else await $`git init --quiet --bare --initial-branch=main ${repository}`
  // git's own housekeeping would run in the background.
  await $`git --git-dir=${repository} config gc.auto 0`
  rmSync(join(repository, 'hooks/post-receive'), { force: true })
  return repository
}
