import './lib/shared/current-directory.ts'
import { fstatSync, readFileSync, realpathSync, writeSync } from 'node:fs'
import { beginDeployment } from './lib/hook/begin.ts'
import type { DeploymentContext, StepContext } from './lib/hook/context.ts'
import { enterEnvironment } from './lib/hook/environment.ts'
import { findAnswer, verdictOn } from './lib/hook/find-answer.ts'
import { isConsistent, mayBeBehind } from './lib/hook/journal.ts'
import type { DeploymentLog } from './lib/hook/log.ts'
import { notify } from './lib/hook/notify.ts'
import { branchIn, findAsk, removeAsks } from './lib/hook/pushed-refs.ts'
import type { Step } from './lib/hook/steps/step.ts'
import { type Asked, waitForTurn } from './lib/hook/wait-for-turn.ts'
import { formatAnnouncement, formatFailedStep, puttingBack } from './lib/protocol/steps.ts'
import { explainDeployed, formatGreeting, formatVerdict, type Verdict } from './lib/protocol/verdict.ts'
import { givenArguments, misuse, readArguments } from './lib/shared/arguments.ts'
import { flatten } from './lib/shared/foreign-text.ts'
import { describe, describeBriefly, exitCode, Failure, run, version } from './lib/shared/program.ts'

const help = `Usage: post-receive install REPOSITORY ...   puts it into a bare repository; --help says more
       post-receive settings REPOSITORY ...  changes or shows the settings there
       in hooks/post-receive there, git runs it after each push

Puts the pushed commit of BRANCH_NAME into PATH_TO_GIT_WORK_TREE, installs its dependencies,
upgrades the database and restarts the application. Settings come from .env in the repository.`

type Steps<C extends DeploymentContext> = readonly (() => Promise<Step<C>>)[]

/** Before the release is chosen. */
const preparation: Steps<DeploymentContext> = [
  () => import('./lib/hook/steps/verify.ts'),
  () => import('./lib/hook/steps/convert-layout.ts'),
]

/** The bash hook, in its order. Each is loaded when it is its turn, because most pushes deploy nothing. */
const steps: Steps<StepContext> = [
  () => import('./lib/hook/steps/verify-targets.ts'),
  () => import('./lib/hook/steps/take-database-back.ts'),
  () => import('./lib/hook/steps/check-out.ts'),
  () => import('./lib/hook/steps/activate-environment.ts'),
  () => import('./lib/hook/steps/make-environment.ts'),
  () => import('./lib/hook/steps/install-dependencies.ts'),
  () => import('./lib/hook/steps/build.ts'),
  () => import('./lib/hook/steps/name-unfilled.ts'),
  () => import('./lib/hook/steps/upgrade-database.ts'),
  () => import('./lib/hook/steps/read-revision.ts'),
  () => import('./lib/hook/steps/test-release.ts'),
  () => import('./lib/hook/steps/verify-unmoved.ts'),
  () => import('./lib/hook/steps/switch-release.ts'),
  () => import('./lib/hook/steps/restart.ts'),
  () => import('./lib/hook/steps/check-health.ts'),
  () => import('./lib/hook/steps/check-processes.ts'),
  () => import('./lib/hook/steps/verify-unmoved.ts'),
  () => import('./lib/hook/steps/settle.ts'),
  () => import('./lib/hook/steps/record.ts'),
]

// git gives its hook no arguments. Then only the relay writes to the pusher: nothing may block on it.
run(main, process.argv.length > 2 ? undefined : () => [])

async function main(): Promise<number> {
  const args = givenArguments()
  if (args[0] === 'install') return (await import('./lib/hook/install/install.ts')).install(args.slice(1))
  if (args[0] === 'settings') return (await import('./lib/hook/install/settings.ts')).changeSettings(args.slice(1))
  const given = readArguments('post-receive', help, {}, args)
  if (given === undefined) return 0
  const [command] = given.positionals
  if (command !== undefined) {
    throw misuse('post-receive', `post-receive has no command '${command}'`, {
      word: command,
      known: ['install', 'settings'],
    })
  }
  // Not process.stdin, which loads all of node:net for a push that deploys nothing.
  if (fstatSync(0).isCharacterDevice()) {
    throw new Failure(exitCode.usage, 'This is a git hook.', { fix: 'post-receive --help says what it is for' })
  }
  const input = readFileSync(0, 'utf8')
  const gitDir = realpathSync(process.env.GIT_DIR ?? '.')
  removeAsks(input, gitDir)
  const problem = findProblem(() => enterEnvironment(gitDir))
  const BRANCH_NAME = problem ? branchIn(input) : process.env.BRANCH_NAME || 'main'
  const { ask, object, refusals, isAsked } = findAsk(input, BRANCH_NAME)
  if (!isAsked) {
    // Not console.log: most pushes to other branches end here, and it takes 2 ms to load.
    writeSync(1, `${refusals.join('\n')}\n`)
    return 0
  }

  // The server finishes what a push began: a Ctrl-C or a hangup at the pusher's end does not end the hook.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  const { Relay } = await import('./lib/hook/relay.ts')
  const relay = new Relay()
  relay.say(formatGreeting(version))
  for (const refusal of refusals) relay.say(refusal)
  let isLive = false
  if (ask?.verb === 'check') {
    await (await import('./lib/hook/checks.ts')).reportChecks(gitDir, ask.commit ?? '', relay)
    isLive = true
  } else if (ask?.verb === 'log' || ask?.verb === 'logs') {
    const { showLogs } = await import('./lib/hook/show-logs.ts')
    showLogs(gitDir, ask.verb, ask.commit, relay)
    isLive = true
  } else if (ask?.verb === 'status') {
    ;(await import('./lib/hook/show-running.ts')).showRunning(gitDir, relay)
    isLive = true
  } else if (ask) {
    const answering = problem ? Promise.reject(problem) : answer({ ask, object, branch: BRANCH_NAME, gitDir, relay })
    const verdict = await answering.catch(error => {
      relay.say(describe(error))
      // Why the settings are wrong is few words, and in a CI's summary the verdict is all that is read.
      const why = error instanceof Failure && error.exitCode === exitCode.usage ? ` ${error.why}` : ''
      return { commit: ask.commit ?? 'previous', live: false, explanation: `${describeBriefly(error)}${why}` }
    })
    relay.say(formatVerdict(verdict))
    isLive = verdict.live
  }
  await relay.end()
  return isLive ? exitCode.live : exitCode.failed
}

/** Waits for its turn; then deploys the newest commit, unless the ask is already answered. */
async function answer(asked: Asked): Promise<Verdict> {
  using context = await waitForTurn(asked)
  const found = await findAnswer(context)
  if ('verdict' in found) return found.verdict
  const deployment = await beginDeployment(found.deploy, context)
  const { entry, log } = deployment
  if (found.problem) {
    log.say(`${context.refs.live} IS IN PLACE, BUT NOT LIVE: ${flatten(found.problem)}`)
  }
  const deploying = { ...context, deployment }
  try {
    await walk(preparation, deploying)
    const { planDeployment } = await import('./lib/hook/plan.ts')
    const planned = await planDeployment(deploying)
    await walk(steps, planned)
    // A rollback without --database leaves it where a failed one has left it.
    const isLeft = !planned.plan.database && !deployment.hasAskedDatabase && mayBeBehind(entry, entry.commit)
    entry.touched = isLeft ? { database: true } : {}
    deployment.explain(explainDeployed(deployment.seconds, found.wentBackTo))
    await tryToRecord(log, () => deployment.end('live'))
  } catch (error) {
    await fail(error, deploying)
  }
  if (context.settings.NOTIFY) notify(context.settings.NOTIFY, asked.gitDir, deployment, asked.branch)
  return await verdictOn(entry, context)
}

/** Announces each step that is needed, writes it down, and then does it. The first that fails ends the deployment. */
async function walk<C extends DeploymentContext>(list: Steps<C>, context: C): Promise<void> {
  for (const load of list) {
    const { name, touches, isRecorded, isNeeded, run } = await load()
    if (!(await isNeeded(context))) continue
    const title = typeof name === 'function' ? name(context) : name
    const end = title && context.deployment.begin(title, { touches: touches?.(context), isRecorded })
    await run(context)
    if (end) end()
  }
}

/** Says which step has failed, puts the previous code back, and records the failure. */
async function fail(error: unknown, context: DeploymentContext): Promise<void> {
  const { deployment } = context
  const { log, stepName } = deployment
  deployment.failStep()
  log.say(formatFailedStep(stepName, describe(error)))
  deployment.explain(`${formatFailedStep(stepName, describeBriefly(error))} ${await restore(context)}`)
  const { writeRecord } = await import('./lib/hook/steps/record.ts')
  await tryToRecord(log, () => writeRecord(false, context))
  await tryToRecord(log, () => deployment.end('failed'))
}

/**
 * Puts the previous code back, with all that the deployment has begun to change. The database stays, unless this
 * deployment has taken it back.
 *
 * @returns what serves now, in a sentence; never throws, because the first error must stay the one that is reported
 */
async function restore(context: DeploymentContext): Promise<string> {
  const { deployment } = context
  const { entry, log, stepName } = deployment
  const { served, previous = served?.folder } = entry
  const { name: recording } = await import('./lib/hook/steps/record.ts')
  const state = stepName === recording ? `: ${entry.commit} runs, but is not recorded` : ''
  deployment.shutdown = undefined
  const { explainDatabase, lookAtDatabase } = await import('./lib/hook/database.ts')
  if (entry.touched.database) await lookAtDatabase(context)
  if (isConsistent(entry.touched) && !entry.touched.database) {
    return previous ? `${previous} is live as before: nothing was changed.` : 'Nothing was changed.'
  }
  if (previous === undefined) return `There was no previous version to restore${state}.`
  let back = `${previous} is live as before.`
  if (!isConsistent(entry.touched) || deployment.hasTakenDatabaseBack) {
    try {
      log.say(formatAnnouncement(`${puttingBack} (${previous})`))
      const { planRestore } = await import('./lib/hook/plan.ts')
      await walk(steps, await planRestore(context))
      entry.touched = entry.touched.database ? { database: true } : {}
      back = `The previous code (${previous}) is back in place.`
    } catch (error) {
      log.say(describe(error))
      const { name: restarting } = await import('./lib/hook/steps/restart.ts')
      if (deployment.stepName === restarting) {
        return `The previous code (${previous}) is back in place, BUT ITS RESTART FAILED, TOO: what runs is not known${state}.`
      }
      if (!isConsistent(entry.touched)) return `AND THE PREVIOUS CODE (${previous}) IS NOT BACK IN PLACE${state}.`
    }
    if (deployment.hasTakenDatabaseBack) await lookAtDatabase(context)
  }
  entry.databaseProblem = entry.touched.database ? await explainDatabase(previous, context) : undefined
  return entry.databaseProblem ? `${back} ${entry.databaseProblem}` : back
}

/** Does what must not change the verdict any more, and says it when it fails. */
async function tryToRecord(log: DeploymentLog, action: () => void | Promise<void>): Promise<void> {
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
