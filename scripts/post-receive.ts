import { fstatSync, readFileSync, realpathSync, statSync, utimesSync, writeSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findAnswer, verdictOn } from './lib/hook/answered.ts'
import { Deployment } from './lib/hook/deployment.ts'
import { enterEnvironment } from './lib/hook/environment.ts'
import { waitForNextSecond, withTimeKept } from './lib/hook/file-time.ts'
import { verifyHealthy } from './lib/hook/health.ts'
import { isSettled, Journal, type JournalEntry } from './lib/hook/journal.ts'
import { DeploymentLog } from './lib/hook/log.ts'
import { identifySettings, type Plan, planDeployment } from './lib/hook/plan.ts'
import { identifyProcess } from './lib/hook/processes.ts'
import { branchIn, findAsk, removeAsks } from './lib/hook/pushed-refs.ts'
import type { Relay } from './lib/hook/relay.ts'
import type { Refs, Repository } from './lib/hook/repository.ts'
import { type HookSettings, readHookSettings } from './lib/hook/settings.ts'
import { takeTurn } from './lib/hook/turn.ts'
import type { WorkTree } from './lib/hook/work-tree.ts'
import type { Ask } from './lib/protocol/asks.ts'
import { endOfChecks, formatCheck } from './lib/protocol/checks.ts'
import { formatGreeting, formatVerdict, type Verdict } from './lib/protocol/verdict.ts'
import { readArguments } from './lib/shared/arguments.ts'
import { describe, exitCode, Failure, run, version } from './lib/shared/program.ts'

const help = `Usage: post-receive install REPOSITORY ...   puts it into a bare repository; --help says more
       in hooks/post-receive there, git runs it after each push

Puts the pushed commit of BRANCH_NAME into PATH_TO_GIT_WORK_TREE, installs its dependencies,
upgrades the database and restarts the application. Settings come from .env in the repository.`

/** How long a server may take to see that its WSGI file was touched: until then it is the old code that answers. */
const noticeMilliseconds = 2_000

// git gives its hook no arguments: to the pusher the relay alone writes, and nothing may wait for that one without an end.
run(main, process.argv.length > 2 ? undefined : () => [])

async function main(): Promise<number> {
  if (process.argv[2] === 'install') return (await import('./lib/hook/install.ts')).install(process.argv.slice(3))
  const given = readArguments('post-receive', help, {})
  if (given === undefined) return 0
  // Not process.stdin, which loads all of node:net for a push that deploys nothing.
  if (fstatSync(0).isCharacterDevice() || given.positionals.length > 0) {
    throw new Failure(exitCode.usage, 'This is a git hook.', { fix: 'post-receive --help says what it is for' })
  }
  const input = readFileSync(0, 'utf8')
  const gitDir = realpathSync(process.env.GIT_DIR ?? '.')
  removeAsks(input, gitDir)
  const isFromStep = process.env.DEPLOY_COMMIT !== undefined && process.env.DEPLOY_BRANCH !== undefined
  const problem = findProblem(enterEnvironment)
  const BRANCH_NAME = problem ? branchIn(input) : process.env.BRANCH_NAME || 'main'
  const { ask, refusals, isAsked } = findAsk(input, BRANCH_NAME)
  if (!isAsked) {
    // Not console.log: most pushes to other branches end here, and it takes 2 ms to load.
    writeSync(1, `${refusals.join('\n')}\n`)
    return 0
  }

  // The server finishes what a push began: a Ctrl-C or a hangup at the pusher's end is not for us.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  const { Relay } = await import('./lib/hook/relay.ts')
  const relay = new Relay()
  relay.say(formatGreeting(version))
  for (const refusal of refusals) relay.say(refusal)
  let isLive = false
  if (ask?.verb === 'check' && !problem) isLive = await reportChecks(gitDir, relay)
  else if (ask) {
    const loop = new Failure(exitCode.failed, "A deployment's own step has pushed this, and would wait for itself.")
    const verdict = await answer(ask, BRANCH_NAME, gitDir, relay, problem ?? (isFromStep ? loop : undefined)).catch(
      error => {
        relay.say(describe(error))
        const explanation = error instanceof Failure ? error.message : String(error)
        return { commit: ask.commit ?? 'previous', live: false, explanation }
      },
    )
    relay.say(formatVerdict(verdict))
    isLive = verdict.live
  }
  await relay.end()
  return isLive ? exitCode.live : exitCode.failed
}

/** Says what a deployment would meet here, and deploys nothing. */
async function reportChecks(gitDir: string, relay: Relay): Promise<true> {
  const { lookAround } = await import('./lib/hook/look-around.ts')
  for await (const check of lookAround(gitDir)) relay.say(formatCheck(check))
  relay.say(endOfChecks)
  return true
}

/** Waits for its turn; then deploys what is the newest, unless what is there by then answers already. */
async function answer(ask: Ask, branch: string, gitDir: string, relay: Relay, problem?: unknown): Promise<Verdict> {
  if (problem) throw problem
  const settings = readHookSettings(gitDir)
  const ownFolder = join(gitDir, 'pushlive')
  const journal = new Journal(join(ownFolder, 'journal'))
  const arrival = journal.arrival()
  const takingTurn = takeTurn([ownFolder, settings.PATH_TO_GIT_WORK_TREE], ask, journal, relay)
  // flock runs while zx is loaded.
  const [endTurn, git] = await Promise.all([takingTurn, import('./lib/hook/repository.ts')])
  try {
    const { WorkTree } = await import('./lib/hook/work-tree.ts')
    const repository = new git.Repository(gitDir)
    const workTree = new WorkTree(settings.PATH_TO_GIT_WORK_TREE, gitDir)
    repository.cleanUp(branch)
    const refs = await repository.refs(branch)
    await repository.removeAsks(refs.asks)

    const last = journal.read()
    const found = await findAnswer({ ask, branch, arrival, last, refs, repository, workTree })
    if ('verdict' in found) return found.verdict
    const deployment = await begin(found.deploy, ask, last, refs.live, ownFolder, journal, relay)
    const site = { settings, branch, refs, last, repository, workTree }
    await deploy(deployment, site)
    return await verdictOn(ask, deployment.entry, repository, workTree)
  } finally {
    endTurn()
  }
}

async function begin(
  commit: string,
  ask: Ask,
  last: JournalEntry | undefined,
  previous: string | undefined,
  ownFolder: string,
  journal: Journal,
  relay: Relay,
): Promise<Deployment> {
  const started = Date.now()
  const log = new DeploymentLog(join(ownFolder, 'log'), new Date(started), commit, relay)
  if (ask.verb === 'rollback') {
    const why = ask.commit === undefined ? `, which was live before ${previous}` : ''
    log.say(`GOING BACK TO ${commit}${why} ...`)
  }
  const shutdown = new AbortController()
  process.on('SIGTERM', () => shutdown.abort())
  // Where nothing is known of the last deployment, anything may have been changed since the live one.
  const unknown = previous === undefined ? {} : { code: true, dependencies: true, application: true }
  const entry = {
    number: (last?.number ?? 0) + 1,
    commit,
    previous,
    verb: ask.verb,
    isToPrevious: ask.verb === 'rollback' && ask.commit === undefined,
    who: whoPushed(),
    log: log.file,
    started,
    settingsFile: identifySettings(),
    hook: identifyProcess(process.pid),
    steps: [],
    touched: last ? { ...last.touched } : unknown,
  }
  return new Deployment(entry, journal, log, shutdown.signal)
}

interface Site {
  readonly settings: HookSettings
  readonly branch: string
  readonly refs: Refs
  readonly last: JournalEntry | undefined
  readonly repository: Repository
  readonly workTree: WorkTree
}

/** Puts the commit live or, when a step fails, the previous one back; and records which of the two it was. */
async function deploy(deployment: Deployment, site: Site): Promise<void> {
  const { entry, log } = deployment
  const { settings, branch, refs, last, repository } = site
  const record = (live: boolean) => repository.record(deployment.toRecord(live), branch, refs, deployment.start)
  try {
    const plan = await planDeployment(deployment, last, settings, repository)
    await goLive(entry.commit, plan, deployment, site)
    await deployment.announce('RECORDING THE DEPLOYMENT', () => record(true))
    entry.touched = {}
    entry.explanation = `in ${deployment.seconds} s`
    await tell(log, () => deployment.end('live'))
  } catch (error) {
    const step = deployment.stepName
    log.say(`${step} failed: ${describe(error)}`)
    const how = error instanceof Failure ? error.message : String(error)
    entry.explanation = `${step} failed: ${how} ${await restore(deployment, site)}`
    await tell(log, () => record(false))
    await tell(log, () => deployment.end('failed'))
  }
}

/** The bash hook. Each step is written down before it begins; the first that fails ends it. */
async function goLive(commit: string, plan: Plan, deployment: Deployment, site: Site): Promise<void> {
  const { settings, workTree, branch, refs, last } = site
  const { PATH_TO_GIT_WORK_TREE, ACTIVATE_VENV, INSTALL_DEPS, UPGRADE_DB, PATH_TO_WSGI, RESTART, HEALTH_CHECK_URL } =
    settings
  const { entry, log, start, shutdown } = deployment

  await deployment.step(`CHECKING OUT CODE TO GIT WORK TREE (${PATH_TO_GIT_WORK_TREE})`, async () => {
    const known = [refs.live, last?.commit, last?.previous, refs.failed].filter(each => each !== undefined)
    const checkOut = () => workTree.checkOut(commit, known, start, () => deployment.touch('code'))
    for (const note of await withTimeKept(PATH_TO_WSGI, checkOut)) log.say(note)
  })
  if (!plan.dependencies && !plan.database && !plan.application) return

  const { StepsShell } = await import('./lib/hook/steps-shell.ts')
  const variables = { DEPLOY_BRANCH: branch, DEPLOY_COMMIT: commit, DEPLOY_PREVIOUS_COMMIT: entry.previous ?? '' }
  const shell = new StepsShell({ ...process.env, ...variables }, { settings, log, start, signal: shutdown })
  if (ACTIVATE_VENV) await deployment.step('ACTIVATING VIRTUAL ENVIRONMENT', () => shell.activate(ACTIVATE_VENV))
  if (plan.dependencies && INSTALL_DEPS) {
    await deployment.step('INSTALLING DEPENDENCIES', () => shell.run(INSTALL_DEPS), 'dependencies')
  }
  if (plan.database && UPGRADE_DB) {
    await deployment.step('UPGRADING DATABASE STRUCTURE', () => shell.run(UPGRADE_DB), 'database')
  }
  verifyUnmoved(workTree, commit)
  if (plan.application && RESTART !== '') {
    await deployment.step('RESTARTING APPLICATION', () => restart(shell), 'application')
  }
  if (plan.application && HEALTH_CHECK_URL) {
    await deployment.step(`CHECKING HEALTH (${HEALTH_CHECK_URL})`, async () => {
      if (RESTART === undefined) await sleep(noticeMilliseconds)
      await verifyHealthy(HEALTH_CHECK_URL, settings.HEALTH_CHECK_TIMEOUT)
    })
  }
  verifyUnmoved(workTree, commit)

  async function restart(shell: { run(command: string): Promise<void> }) {
    if (RESTART !== undefined) return shell.run(RESTART)
    const wsgi = PATH_TO_WSGI as string
    if (!statSync(wsgi, { throwIfNoEntry: false })?.isFile()) {
      throw new Failure(exitCode.failed, `PATH_TO_WSGI (${wsgi}) is no file: touching it would restart nothing.`)
    }
    // Of two touches in one second uWSGI may see the first only.
    await waitForNextSecond(wsgi)
    try {
      utimesSync(wsgi, new Date(), new Date())
    } catch {
      // Who may write a file but does not own it may only set its time to now, for which Node has no call.
      await shell.run('touch -- "$PATH_TO_WSGI"')
    }
  }
}

/** @throws Failure where a step has checked out or committed something else */
function verifyUnmoved(workTree: WorkTree, commit: string): void {
  if (workTree.isAt(commit)) return
  throw new Failure(exitCode.failed, `${workTree.path} is not at ${commit} any more: a step has moved it.`)
}

/**
 * Puts the previous code back, with all that had begun to change, except for the database.
 *
 * @returns what serves now, in a sentence; never throws, because the first error must stay the one that is reported
 */
async function restore(deployment: Deployment, site: Site): Promise<string> {
  const { entry, log, stepName } = deployment
  const { dependencies = false, application = false, database } = entry.touched
  const { previous, commit } = entry
  const state = stepName === 'RECORDING THE DEPLOYMENT' ? `: ${commit} runs, but is not recorded` : ''
  if (isSettled(entry.touched) && !database) {
    return previous ? `${previous} is live as before: nothing was changed.` : 'Nothing was changed.'
  }
  if (previous === undefined) {
    return `There was no previous version to restore${state}.`
  }
  try {
    deployment.shutdown = undefined
    log.say(`PUTTING BACK THE PREVIOUS CODE (${previous}) ...`)
    await goLive(previous, { dependencies, application, database: false }, deployment, site)
    entry.touched = database ? { database } : {}
  } catch (error) {
    log.say(describe(error))
    return `AND THE PREVIOUS CODE (${previous}) IS NOT BACK IN PLACE${state}.`
  }
  const back = `The previous code (${previous}) is back in place.`
  if (!database) return back
  const migrations = await site.repository.addedFiles(previous, commit, site.settings.UPGRADE_DB_IF_CHANGED)
  const between = migrations.length > 0 ? ` by ${migrations.join(', ')}` : ''
  return `${back} The database was left as it is: it may be ahead of the code${between}.`
}

/** Does what must not change the verdict any more, and says it when it fails. */
async function tell(log: DeploymentLog, action: () => void | Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    log.say(`The result of the deployment could not be recorded: ${describe(error)}`)
  }
}

function findProblem(action: () => void): unknown {
  try {
    action()
    return undefined
  } catch (error) {
    return error
  }
}

/** sshd says where a login came from; who it was, it does not know. */
function whoPushed(): string {
  const [address] = process.env.SSH_CONNECTION?.split(' ') ?? []
  return `${process.env.USER ?? userInfo().username}${address ? ` from ${address}` : ''}`
}
