import { fstatSync, readFileSync, realpathSync, writeSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Site } from './lib/hook/context.ts'
import { Deployment } from './lib/hook/deployment.ts'
import { enterEnvironment } from './lib/hook/environment.ts'
import { findAnswer, verdictOn } from './lib/hook/find-answer.ts'
import { isSettled, Journal, type JournalEntry, type Touched } from './lib/hook/journal.ts'
import { DeploymentLog } from './lib/hook/log.ts'
import { withTimeKept } from './lib/hook/mtime.ts'
import { notify } from './lib/hook/notify.ts'
import { identifySettings, type Plan, planDeployment, switchAndUpgrade } from './lib/hook/plan.ts'
import { identifyProcess } from './lib/hook/processes.ts'
import { branchIn, findAsk, removeAsks } from './lib/hook/pushed-refs.ts'
import type { Relay } from './lib/hook/relay.ts'
import type { Release } from './lib/hook/releases.ts'
import { inFolder, lockedFolder, readHookSettings } from './lib/hook/settings.ts'
import { verifyTakenOver } from './lib/hook/taking-over.ts'
import { takeTurn } from './lib/hook/turn.ts'
import { type Ask, isRollback } from './lib/protocol/asks.ts'
import { endOfChecks, formatCheck } from './lib/protocol/checks.ts'
import type { Origin } from './lib/protocol/origin.ts'
import { explainDeployed, formatGreeting, formatVerdict, type Verdict } from './lib/protocol/verdict.ts'
import { readArguments } from './lib/shared/arguments.ts'
import { flatten } from './lib/shared/foreign-text.ts'
import { describe, describeBriefly, exitCode, Failure, run, version } from './lib/shared/program.ts'

const help = `Usage: post-receive install REPOSITORY ...   puts it into a bare repository; --help says more
       in hooks/post-receive there, git runs it after each push

Puts the pushed commit of BRANCH_NAME into PATH_TO_GIT_WORK_TREE, installs its dependencies,
upgrades the database and restarts the application. Settings come from .env in the repository.`

/** How long a server may take to see that its WSGI file was touched: until then it is the old code that answers. */
const noticeMilliseconds = 2_000

// git gives its hook no arguments: to the pusher the relay alone writes, and nothing may wait for that one without an end.
run(main, process.argv.length > 2 ? undefined : () => [])

async function main(): Promise<number> {
  if (process.argv[2] === 'install')
    return (await import('./lib/hook/install/install.ts')).install(process.argv.slice(3))
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
  const { ask, object, refusals, isAsked } = findAsk(input, BRANCH_NAME)
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
  else if (ask?.verb === 'log' || ask?.verb === 'logs') {
    const { showLogs } = await import('./lib/hook/show-logs.ts')
    showLogs(join(gitDir, 'pushlive/log'), ask.verb, ask.commit, relay)
    isLive = true
  } else if (ask) {
    const loop = new Failure(exitCode.failed, "A deployment's own step has pushed this, and would wait for itself.")
    const answering =
      problem || isFromStep ? Promise.reject(problem ?? loop) : answer(ask, object, BRANCH_NAME, gitDir, relay)
    const verdict = await answering.catch(error => {
      relay.say(describe(error))
      return { commit: ask.commit ?? 'previous', live: false, explanation: describeBriefly(error) }
    })
    relay.say(formatVerdict(verdict))
    isLive = verdict.live
  }
  await relay.end()
  return isLive ? exitCode.live : exitCode.failed
}

/** Says what a deployment would meet here, and deploys nothing. */
async function reportChecks(gitDir: string, relay: Relay): Promise<true> {
  const { lookAround } = await import('./lib/hook/checks.ts')
  for await (const check of lookAround(gitDir)) relay.say(formatCheck(check))
  relay.say(endOfChecks)
  return true
}

/** Waits for its turn; then deploys what is the newest, unless what is there by then answers already. */
async function answer(
  ask: Ask,
  object: string | undefined,
  branch: string,
  gitDir: string,
  relay: Relay,
): Promise<Verdict> {
  const settings = readHookSettings(gitDir)
  const ownFolder = join(gitDir, 'pushlive')
  const journal = new Journal(join(ownFolder, 'journal'))
  const arrival = journal.arrival()
  const takingTurn = takeTurn([ownFolder, lockedFolder(settings)], ask, journal, relay)
  // flock runs while zx is loaded.
  const [endTurn, git] = await Promise.all([takingTurn, import('./lib/hook/repository.ts')])
  try {
    const { Releases } = await import('./lib/hook/releases.ts')
    const repository = new git.Repository(gitDir)
    const releases = new Releases(settings, gitDir)
    repository.cleanUp(branch)
    const refs = await repository.refs(branch)
    await repository.removeAsks(refs.asks)

    const last = journal.read()
    const site = { settings, branch, refs, last, repository, releases }
    const found = await findAnswer({ ...site, ask, arrival })
    if ('verdict' in found) return found.verdict
    const origin = await repository.origin(object)
    const deployment = await begin(found.deploy, ask, origin, last, refs.live, ownFolder, journal, relay)
    if (found.illness) {
      deployment.log.say(`${refs.live} IS IN PLACE, BUT THE APPLICATION DOES NOT ANSWER 2xx: ${flatten(found.illness)}`)
    }
    await deploy(deployment, site)
    if (settings.NOTIFY) notify(settings.NOTIFY, gitDir, deployment, branch)
    return await verdictOn(ask, deployment.entry, site)
  } finally {
    endTurn()
  }
}

async function begin(
  commit: string,
  ask: Ask,
  origin: Origin,
  last: JournalEntry | undefined,
  previous: string | undefined,
  ownFolder: string,
  journal: Journal,
  relay: Relay,
): Promise<Deployment> {
  const started = Date.now()
  const log = new DeploymentLog(join(ownFolder, 'log'), new Date(started), commit, relay)
  if (isRollback(ask.verb)) {
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
    isToPrevious: isRollback(ask.verb) && ask.commit === undefined,
    who: whoPushed(),
    ...origin,
    log: log.file,
    started,
    settingsFile: identifySettings(),
    hook: identifyProcess(process.pid),
    steps: [],
    touched: last ? { ...last.touched } : unknown,
  }
  return new Deployment(entry, journal, log, shutdown.signal)
}

/** Puts the commit live or, when a step fails, the previous one back; and records which of the two it was. */
async function deploy(deployment: Deployment, site: Site): Promise<void> {
  const { entry, log } = deployment
  const { settings, branch, refs, last, repository, releases } = site
  const record = (live: boolean) => {
    const kept = releases.kept().map(({ number, state: { complete = '', database } }) => {
      return { release: number, commit: complete, database }
    })
    return repository.record({ ...deployment.toRecord(live), kept }, branch, refs, deployment.start)
  }
  try {
    const steps = await import('./lib/hook/release-steps.ts')
    if (settings.VERIFY) await steps.verify(settings.VERIFY, deployment, site)
    await steps.settle(deployment, site)
    if (entry.verb === 'downgrade') await (await import('./lib/hook/database.ts')).takeDatabaseBack(deployment, site)
    const kept = isRollback(entry.verb) ? await releases.findWhole(entry.commit) : undefined
    const release = kept ?? releases.choose(refs.live)
    // Older code knows no way up from a newer database; a rollback may as well go forward again.
    const goesBack = isRollback(entry.verb) && refs.live && (await repository.contains(refs.live, entry.commit))
    const planned = kept ? switchAndUpgrade : await planDeployment(deployment, release, last, settings, repository)
    const plan = goesBack ? { ...planned, database: false } : planned
    await goLive(entry.commit, release, plan, deployment, site)
    releases.markLive(release, entry.number, entry.database, isRollback(entry.verb))
    await deployment.announce('RECORDING THE DEPLOYMENT', () => record(true))
    entry.touched = {}
    entry.explanation = explainDeployed(deployment.seconds)
    await tell(log, () => deployment.end('live'))
  } catch (error) {
    const step = deployment.stepName
    log.say(`${step} failed: ${describe(error)}`)
    entry.explanation = `${step} failed: ${describeBriefly(error)} ${await restore(deployment, site)}`
    await tell(log, () => record(false))
    await tell(log, () => deployment.end('failed'))
  }
}

/** The bash hook. Each step is written down before it begins; the first that fails ends it. */
async function goLive(commit: string, release: Release, plan: Plan, deployment: Deployment, site: Site): Promise<void> {
  const { releases } = site
  const settings = inFolder(site.settings, release.path)
  const { PATH_TO_VENV, INSTALL_DEPS, UPGRADE_DB, DB_REVISION, PATH_TO_WSGI, RESTART, HEALTH_CHECK_URL } = settings
  const { entry, log, start } = deployment
  const { isInPlace } = releases
  const steps = await import('./lib/hook/release-steps.ts')
  const ofServing = (part: keyof Touched) => (isInPlace ? part : undefined)

  if (plan.code) {
    await deployment.step(`CHECKING OUT CODE TO GIT WORK TREE (${release.path})`, async () => {
      const { complete } = release.state
      if (!isInPlace) release.remember({ complete: undefined, live: undefined, database: undefined })
      const onTouch = () => isInPlace && deployment.touch('code')
      const checkOut = () =>
        release.workTree.checkOut(commit, () => steps.findKnown(deployment, site, complete), start, onTouch)
      for (const note of await withTimeKept(PATH_TO_WSGI, checkOut)) log.say(note)
      if (!isInPlace) await steps.furnish(release, deployment, site)
    })
  }
  if (!plan.dependencies && !plan.database && !plan.application) return

  const shell = await steps.openShell(release, deployment, site, commit)
  if (plan.dependencies && PATH_TO_VENV && !isInPlace) {
    const venv = await import('./lib/hook/virtual-environment.ts')
    if (!venv.hasVirtualEnvironment(PATH_TO_VENV, release)) {
      await deployment.step('MAKING VIRTUAL ENVIRONMENT', () => venv.makeVirtualEnvironment(PATH_TO_VENV, shell))
    }
  }
  if (plan.dependencies && INSTALL_DEPS) {
    release.remember({ installed: undefined })
    await deployment.step('INSTALLING DEPENDENCIES', () => shell.run(INSTALL_DEPS), ofServing('dependencies'))
    release.remember({ installed: { commit, settingsFile: entry.settingsFile } })
  }
  if (plan.database && UPGRADE_DB) {
    await deployment.step('UPGRADING DATABASE STRUCTURE', () => shell.run(UPGRADE_DB), 'database')
  }
  // Behind a way back the database is where it was, which says nothing about this commit.
  const tellsRevision = commit === entry.commit && (plan.database || (plan.code && !isRollback(entry.verb)))
  if (DB_REVISION && tellsRevision) {
    const { findRevision } = await import('./lib/hook/database.ts')
    entry.database = await deployment.step('ASKING FOR DATABASE REVISION', () => findRevision(shell, DB_REVISION))
  }
  const smokeTest = settings.SMOKE_TEST ?? (isInPlace ? '' : steps.smokeTestOf(release, settings))
  if (plan.code && smokeTest) await deployment.step('TESTING RELEASE', () => shell.run(smokeTest, steps.loadWsgi))
  steps.verifyUnmoved(release, commit)
  if (!isInPlace) release.remember({ complete: commit }, true)
  const left = isInPlace ? undefined : await steps.switchTo(release, settings, shell, deployment, site)
  if (plan.application && RESTART !== '') {
    const hasSwitched = left !== undefined
    await deployment.step(
      'RESTARTING APPLICATION',
      () => steps.restart(release, settings, shell, hasSwitched),
      'application',
    )
  }
  if (plan.application && HEALTH_CHECK_URL) {
    const { verifyHealthy } = await import('./lib/hook/health.ts')
    const other = commit === entry.commit ? entry.previous : entry.commit
    // Without a password or a token that is in it.
    const { origin, pathname } = HEALTH_CHECK_URL
    await deployment.step(`CHECKING HEALTH (${origin}${pathname})`, async () => {
      if (RESTART === undefined) await sleep(noticeMilliseconds)
      await verifyHealthy(HEALTH_CHECK_URL, settings.HEALTH_CHECK_TIMEOUT, commit, other)
      if (left === undefined) return
      const remind = async () => {
        if (RESTART === undefined) await steps.restart(release, settings, shell, false)
      }
      const stayed = await verifyTakenOver(left.path, release.path, settings.HEALTH_CHECK_TIMEOUT, remind)
      if (stayed) log.say(`STILL RUNNING FROM RELEASE ${left.number}, WHICH RESTART DOES NOT REACH: ${stayed}`)
      // What answered before may have been the old one.
      await verifyHealthy(HEALTH_CHECK_URL, settings.HEALTH_CHECK_TIMEOUT, commit, other)
    })
  }
  steps.verifyUnmoved(release, commit)
}

/**
 * Puts the previous code back, with all that had begun to change, except for the database.
 *
 * @returns what serves now, in a sentence; never throws, because the first error must stay the one that is reported
 */
async function restore(deployment: Deployment, site: Site): Promise<string> {
  const { entry, log, stepName } = deployment
  const { releases } = site
  const { dependencies = false, application = false, database } = entry.touched
  const { previous, commit } = entry
  const state = stepName === 'RECORDING THE DEPLOYMENT' ? `: ${commit} runs, but is not recorded` : ''
  if (isSettled(entry.touched) && !database) {
    return previous ? `${previous} is live as before: nothing was changed.` : 'Nothing was changed.'
  }
  if (previous === undefined) {
    return `There was no previous version to restore${state}.`
  }
  let back = `${previous} is live as before.`
  // A database that was taken back goes forward again with the code.
  const isTakenBack = entry.verb === 'downgrade' && database === true && !stepName.startsWith('TAKING')
  if (!isSettled(entry.touched) || isTakenBack) {
    try {
      deployment.shutdown = undefined
      log.say(`PUTTING BACK THE PREVIOUS CODE (${previous}) ...`)
      const kept = await releases.findWhole(previous)
      const anew = releases.isInPlace ? { dependencies, application } : { dependencies: true, application: true }
      const plan = kept ? switchAndUpgrade : { ...switchAndUpgrade, code: true, ...anew }
      await goLive(previous, kept ?? releases.choose(previous), { ...plan, database: isTakenBack }, deployment, site)
      entry.touched = database && !isTakenBack ? { database } : {}
      back = `The previous code (${previous}) is back in place.`
    } catch (error) {
      log.say(describe(error))
      return `AND THE PREVIOUS CODE (${previous}) IS NOT BACK IN PLACE${state}.`
    }
  }
  if (!entry.touched.database) return back
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
