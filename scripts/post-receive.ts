import { existsSync, fstatSync, readFileSync, realpathSync, statSync, writeSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { DeploymentLog } from './lib/deployment-log.ts'
import { waitUntilHealthy } from './lib/health.ts'
import { type HookSettings, readHookSettings } from './lib/hook-settings.ts'
import { type Deployment, Journal, type StepRecord } from './lib/journal.ts'
import { describe, exit, Failure, run, version } from './lib/program.ts'
import { findPush, type Push } from './lib/push.ts'
import type { Relay } from './lib/relay.ts'
import { Repository } from './lib/repository.ts'
import { checkServer } from './lib/server-check.ts'
import { loadEnvFile } from './lib/settings.ts'
import { activate, runStep, stepEnvironment, withVirtualEnvironment } from './lib/step.ts'
import { endOfChecks, formatCheck, formatVerdict, greeting, type Verdict } from './lib/verdict.ts'
import { WorkTree, waitForNextSecond, withTimeKept } from './lib/work-tree.ts'

const help = `Usage: copied to hooks/post-receive of a bare repository, git runs it after each push.

Puts the pushed commit of BRANCH_NAME into PATH_TO_GIT_WORK_TREE, installs its dependencies,
upgrades the database and restarts the application. Settings come from .env in the repository.`

/** How long a server may take to see that its WSGI file was touched: until then it is the old code that answers. */
const noticeMilliseconds = 2_000

run(main)

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { help: { type: 'boolean' }, version: { type: 'boolean' } } })
  if (values.help || values.version) {
    console.log(values.help ? help : `pushlive post-receive ${version}`)
    return 0
  }
  // Not process.stdin, which loads all of node:net for a push that deploys nothing.
  if (fstatSync(0).isCharacterDevice()) throw new Failure(exit.usage, 'This is a git hook.', { fix: help })

  const arrived = Date.now()
  loadEnvFile()
  const BRANCH_NAME = process.env.BRANCH_NAME || 'main'
  const push = findPush(readFileSync(0, 'utf8'), BRANCH_NAME)
  if (typeof push === 'string') {
    // Not console.log: most pushes to other branches end here, and it takes 2 ms to load.
    writeSync(1, `${push}\n`)
    return 0
  }
  // The server finishes what a push began: a Ctrl-C or a hangup at the pusher's end is not for us.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  const { Relay } = await import('./lib/relay.ts')
  const relay = new Relay()
  relay.say(`${greeting} ${version}`)
  if (push.request === 'check') return reportChecks(BRANCH_NAME, relay)
  let verdict: Verdict
  try {
    verdict = await answer(push, BRANCH_NAME, arrived, relay)
  } catch (error) {
    relay.say(describe(error))
    verdict = {
      commit: push.commit,
      live: false,
      explanation: error instanceof Failure ? error.message : String(error),
    }
  }
  relay.say(formatVerdict(verdict))
  await relay.end()
  return verdict.live ? exit.live : exit.failed
}

/** Says what a deployment would meet here, and deploys nothing. */
async function reportChecks(branch: string, relay: Relay): Promise<number> {
  const repository = new Repository(realpathSync(process.env.GIT_DIR ?? '.'))
  await repository.deleteRequest('check', branch)
  for await (const check of checkServer(repository.gitDir)) relay.say(formatCheck(check))
  relay.say(endOfChecks)
  await relay.end()
  return exit.live
}

/** Waits for its turn; then deploys what is the newest, unless what happened meanwhile answers the push already. */
async function answer(push: Push, branch: string, arrived: number, relay: Relay): Promise<Verdict> {
  const repository = new Repository(realpathSync(process.env.GIT_DIR ?? '.'))
  if (push.request) await repository.deleteRequest(push.request, branch)
  const settings = readHookSettings()
  const ownFolder = join(repository.gitDir, 'pushlive')
  const journal = new Journal(join(ownFolder, 'journal'))
  const workTree = new WorkTree(settings.PATH_TO_GIT_WORK_TREE, repository.gitDir)
  const { takeTurn } = await import('./lib/turn.ts')
  const takingTurn = takeTurn([ownFolder, settings.PATH_TO_GIT_WORK_TREE], push, journal, relay)
  // flock runs while zx is loaded.
  const [turn] = await Promise.all([takingTurn, import('zx/core')])
  try {
    repository.removeStaleLocks(branch)
    const [refs, gitsOwnNames] = await Promise.all([repository.refs(branch), repository.localEnvironmentNames()])
    const { tip, live } = refs
    const commit = push.request === 'rollback' ? push.commit : tip
    if (commit === undefined)
      return { commit: push.commit, live: false, explanation: `${branch} was deleted meanwhile` }

    const last = journal.read()
    const again = push.request === 'again' || push.request === 'rollback'
    if (!push.request && last?.request === 'rollback' && last.arrived > arrived) {
      return await verdictOn(push, last, repository)
    }
    if (last?.ended !== undefined && last.commit === commit && (again ? last.started : last.ended) >= arrived) {
      return await verdictOn(push, last, repository)
    }
    if (commit === live && push.request !== 'again' && workTree.holds(live) && isSettled(last)) {
      return await verdictOn(push, { commit, outcome: 'live', explanation: 'it was already' }, repository)
    }
    const started = Date.now()
    const log = new DeploymentLog(join(ownFolder, 'log'), new Date(started), commit, relay)
    const deployment: Deployment = {
      commit,
      previous: live,
      request: push.request,
      who: whoPushed(),
      log: log.file,
      arrived,
      started,
      settingsFile: identifySettings(),
      steps: [],
      unsettled: last?.unsettled ?? {},
    }
    const tools = { repository, workTree, journal, log }
    await deploy(deployment, last, { ...tools, settings, branch, refs, gitsOwnNames, lockFd: turn.fd })
    return await verdictOn(push, deployment, repository)
  } finally {
    turn.release()
  }
}

interface Context {
  readonly settings: HookSettings
  readonly branch: string
  readonly refs: Awaited<ReturnType<Repository['refs']>>
  readonly gitsOwnNames: readonly string[]
  readonly repository: Repository
  readonly workTree: WorkTree
  readonly journal: Journal
  readonly log: DeploymentLog
  readonly lockFd: number
}

/** Puts the commit live or, when a step fails, the previous one back; and records which of the two it was. */
async function deploy(deployment: Deployment, last: Deployment | undefined, context: Context): Promise<void> {
  const { commit, previous } = deployment
  const { log, branch, refs, repository, journal } = context
  const shutdown = new AbortController()
  process.on('SIGTERM', () => shutdown.abort())
  try {
    const parts = await findParts(deployment, last, context)
    await goLive(commit, parts, deployment, context, shutdown.signal)
    await repository.record({ ...deployment, ended: Date.now() }, branch, refs, true)
    deployment.unsettled = {}
    deployment.outcome = 'live'
    deployment.explanation = `in ${(Date.now() - deployment.started) / 1000} s`
  } catch (error) {
    const step = shortName(deployment.steps.at(-1)?.name ?? 'THE BEGINNING')
    log.say(`${step} failed: ${describe(error)}`)
    const how = error instanceof Failure ? error.message : String(error)
    deployment.outcome = 'failed'
    deployment.explanation = `${step} failed: ${how} ${await restore(previous, deployment, context)}`
    await tell(log, () => repository.record({ ...deployment, ended: Date.now() }, branch, refs, false))
  }
  deployment.ended = Date.now()
  // Where this fails, the next push takes the deployment for one that was killed, and does everything again.
  await tell(log, async () => journal.write(deployment))
}

/** Does what must not change the verdict any more, and says it when it fails. */
async function tell(log: DeploymentLog, action: () => Promise<void>): Promise<void> {
  try {
    await action()
  } catch (error) {
    log.say(`What became of the deployment could not be written down: ${describe(error)}`)
  }
}

/** What of a deployment is to be done. */
interface Parts {
  readonly dependencies: boolean
  readonly database: boolean
  readonly application: boolean
}

/**
 * Steps that are told on which files they depend are left out when none of these differs from what went live last; in
 * any doubt whether that is what is installed, they run.
 */
async function findParts(deployment: Deployment, last: Deployment | undefined, context: Context): Promise<Parts> {
  const { commit, previous, request, settingsFile } = deployment
  const { settings, repository, log } = context
  const { PATH_TO_GIT_WORK_TREE, PATH_TO_VENV } = settings
  const isCertain =
    last?.outcome === 'live' &&
    last.commit === previous &&
    last.request !== 'rollback' &&
    last.settingsFile === settingsFile &&
    request !== 'again' &&
    request !== 'rollback' &&
    (!PATH_TO_VENV || existsSync(resolve(PATH_TO_GIT_WORK_TREE, PATH_TO_VENV, 'bin')))

  async function isNeeded(name: string, pathspecs: string | undefined): Promise<boolean> {
    const paths = pathspecs?.split(/\s+/).filter(Boolean) ?? []
    if (!isCertain || previous === undefined || paths.length === 0) return true
    if (await repository.differs(previous, commit, paths)) return true
    log.say(`NOT ${name}: nothing under ${paths.join(' ')} differs from ${previous}, which is live.`)
    return false
  }
  return {
    dependencies: await isNeeded('INSTALLING DEPENDENCIES', settings.INSTALL_DEPS_IF_CHANGED),
    database: await isNeeded('UPGRADING DATABASE STRUCTURE', settings.UPGRADE_DB_IF_CHANGED),
    application: true,
  }
}

/** The bash hook. Each step is written down before it begins; the first that fails ends it. */
async function goLive(commit: string, parts: Parts, deployment: Deployment, context: Context, signal?: AbortSignal) {
  const { settings, workTree, log, lockFd, journal } = context
  const { PATH_TO_GIT_WORK_TREE, PATH_TO_WSGI = '', HEALTH_CHECK_URL, STEP_TIMEOUT } = settings
  const {
    INSTALL_DEPS = 'make install-deps',
    UPGRADE_DB = 'make upgrade-db',
    RESTART = 'touch -- "$PATH_TO_WSGI"',
  } = settings

  const wsgi = resolve(PATH_TO_GIT_WORK_TREE, PATH_TO_WSGI)

  async function step(name: string, part: keyof Parts | undefined, action: () => Promise<unknown>) {
    if (signal?.aborted) throw new Failure(exit.failed, `${name} was not begun, because the hook was told to end.`)
    const record: StepRecord = { name }
    deployment.steps.push(record)
    if (part) deployment.unsettled[part] = true
    journal.write(deployment)
    log.say(`${name} ...`)
    const started = process.uptime()
    await action()
    record.seconds = secondsSince(started)
  }

  await step(`CHECKING OUT CODE TO GIT WORK TREE (${PATH_TO_GIT_WORK_TREE})`, undefined, () =>
    withTimeKept(wsgi, () => workTree.checkOut(commit, wsgi, lockFd)),
  )
  if (!parts.dependencies && !parts.database && !parts.application) return

  const cwd = PATH_TO_GIT_WORK_TREE
  let env = environmentOfSteps(commit, deployment, context)
  if (settings.ACTIVATE_VENV) {
    await step('ACTIVATING VIRTUAL ENVIRONMENT', undefined, async () => {
      env = await activate(settings.ACTIVATE_VENV as string, cwd, env)
    })
  }
  env = { ...withVirtualEnvironment(settings.PATH_TO_VENV, cwd, env), PATH_TO_WSGI: wsgi }
  const run = (command: string, fd?: number) => () =>
    runStep(command, { cwd, env, log, lockFd: fd, timeout: STEP_TIMEOUT ? Number(STEP_TIMEOUT) : undefined, signal })

  if (parts.dependencies && INSTALL_DEPS) {
    await step('INSTALLING DEPENDENCIES', 'dependencies', run(INSTALL_DEPS, lockFd))
  }
  if (parts.database && UPGRADE_DB) {
    await step('UPGRADING DATABASE STRUCTURE', 'database', run(UPGRADE_DB, lockFd))
  }
  if (parts.application && RESTART) {
    // Without the lock: what this starts may stay, and would keep it.
    await step('RESTARTING APPLICATION', 'application', async () => {
      // Of two touches in one second uWSGI may see the first only.
      if (settings.RESTART === undefined) await waitForNextSecond(wsgi)
      await run(RESTART)()
    })
  }
  if (parts.application && HEALTH_CHECK_URL) {
    await step(`CHECKING HEALTH (${HEALTH_CHECK_URL})`, 'application', async () => {
      if (settings.RESTART === undefined) await sleep(noticeMilliseconds)
      await verifyHealthy(settings)
    })
  }
}

/**
 * Puts the previous code back, with all that had begun to change, except for the database.
 *
 * @returns what became of it, in a sentence; never throws, because the first error must stay the one that is reported
 */
async function restore(previous: string | undefined, deployment: Deployment, context: Context): Promise<string> {
  const { unsettled, commit } = deployment
  const { log, settings, repository } = context
  if (previous === undefined) return 'Nothing was live before.'
  const { dependencies = false, application = false, database = false } = unsettled
  const record: StepRecord = { name: `PUTTING BACK THE PREVIOUS CODE (${previous})` }
  const started = process.uptime()
  try {
    deployment.steps.push(record)
    log.say(`${record.name} ...`)
    await goLive(previous, { dependencies, application, database: false }, deployment, context)
    record.seconds = secondsSince(started)
    deployment.unsettled = database ? { database } : {}
  } catch (error) {
    log.say(describe(error))
    return `AND THE PREVIOUS CODE (${previous}) IS NOT BACK IN PLACE.`
  }
  const back = `The previous code (${previous}) is back in place.`
  if (!database) return back
  const migrations = await repository.addedFiles(
    previous,
    commit,
    settings.UPGRADE_DB_IF_CHANGED?.split(/\s+/).filter(Boolean),
  )
  const between = migrations.length > 0 ? ` by ${migrations.join(', ')}` : ''
  return `${back} The database was left as it is: it may be ahead of the code${between}.`
}

/** What a deployment says about a push, which may have been of another commit. */
async function verdictOn(
  { commit }: Push,
  deployed: Pick<Deployment, 'commit' | 'outcome' | 'explanation'>,
  repository: Repository,
): Promise<Verdict> {
  const live = deployed.outcome === 'live'
  const explanation = deployed.explanation ?? ''
  if (commit === deployed.commit) return { commit, live, explanation }
  if (!live) return { commit, live, explanation: `overtaken by ${deployed.commit}, which failed: ${explanation}` }
  return (await repository.contains(deployed.commit, commit))
    ? { commit, live, explanation: `as part of ${deployed.commit}, which was pushed meanwhile` }
    : { commit, live: false, explanation: `overtaken by ${deployed.commit}, which is live and does not contain it` }
}

/** Whether the last deployment left dependencies and application as the live commit wants them. */
function isSettled(last: Deployment | undefined): boolean {
  return last?.ended !== undefined && !last.unsettled.dependencies && !last.unsettled.application
}

async function verifyHealthy({ HEALTH_CHECK_URL = '', HEALTH_CHECK_TIMEOUT = '60' }: HookSettings) {
  const why = await waitUntilHealthy(HEALTH_CHECK_URL, Number(HEALTH_CHECK_TIMEOUT))
  if (why)
    throw new Failure(exit.failed, `The application did not answer 2xx within ${HEALTH_CHECK_TIMEOUT} s.`, { why })
}

function environmentOfSteps(commit: string, { previous = '' }: Deployment, { branch, gitsOwnNames }: Context) {
  const variables = { DEPLOY_BRANCH: branch, DEPLOY_COMMIT: commit, DEPLOY_PREVIOUS_COMMIT: previous }
  return stepEnvironment(gitsOwnNames, variables)
}

/** Tells whether `.env` is the one that it was: steps depend on what it holds, be it a setting of ours or not. */
function identifySettings(): string {
  const file = statSync('.env', { throwIfNoEntry: false, bigint: true })
  return file ? `${file.ino} ${file.ctimeNs}` : ''
}

// Not performance.now(), whose module takes 2 ms to load.
const secondsSince = (started: number) => Math.round((process.uptime() - started) * 1000) / 1000

/** A step's name without the path or URL behind it. */
const shortName = (name: string) => name.replace(/ \(.*/, '')

/** sshd says where a login came from; who it was, it does not know. */
function whoPushed(): string {
  const [address] = process.env.SSH_CONNECTION?.split(' ') ?? []
  return `${process.env.USER ?? userInfo().username}${address ? ` from ${address}` : ''}`
}
