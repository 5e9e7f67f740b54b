import './lib/shared/current-directory.ts'
import { parseArgs } from 'node:util'
import { check, describeChecks, tryPush } from './lib/deploy/check.ts'
import type { Ci } from './lib/deploy/ci/ci.ts'
import { isInCi, recognizeCi } from './lib/deploy/ci/recognize.ts'
import { CiReport } from './lib/deploy/ci-report.ts'
import {
  findCommit,
  findLightweightTags,
  findNamedCommit,
  isShallow,
  type Options,
  openClone,
  type Session,
  setRemote,
} from './lib/deploy/clone.ts'
import type { DeploymentScreen } from './lib/deploy/deployment-screen.ts'
import { type CommandName, commandNames, help, helpOf } from './lib/deploy/help.ts'
import { readSubjects } from './lib/deploy/history.ts'
import { InterruptedPush } from './lib/deploy/interrupted.ts'
import { type Describe, describeResult, withJson } from './lib/deploy/json.ts'
import { announce } from './lib/deploy/outcome.ts'
import { type Listener, type Push, type Pushed, push, repeatLostRaces, terminal } from './lib/deploy/push.ts'
import type { Result } from './lib/deploy/result.ts'
import { SeenSteps } from './lib/deploy/seen-steps.ts'
import { isNeverPushed } from './lib/deploy/server-refs.ts'
import { readDeploySettings } from './lib/deploy/settings.ts'
import { showHistory, showLog, showMetrics, showStatus, writeReport } from './lib/deploy/show.ts'
import { StepClock } from './lib/deploy/step-clock.ts'
import { openVoice } from './lib/deploy/voice.ts'
import { isRollback } from './lib/protocol/asks.ts'
import { givenArguments, misuse, readArguments } from './lib/shared/arguments.ts'
import { exitCode, Failure, run } from './lib/shared/program.ts'
import { withSshSession } from './lib/ssh/session.ts'

interface Command {
  /**
   * @param result is told what it finds out
   * @param report shows it in a CI
   */
  readonly run: (session: Session, result: Result, report: CiReport | undefined) => Promise<number>
  /** Whether the hook gives a verdict. */
  readonly hasVerdict?: boolean
  /** What --json prints when it ends, where the command itself prints nothing. */
  readonly describe?: Describe
  readonly options: readonly (keyof Options)[]
  readonly takesArgument?: (options: Options) => boolean
}

const commands: Readonly<Record<Exclude<CommandName, 'init'>, Command>> = {
  deploy: {
    run: deployCommit,
    hasVerdict: true,
    describe: describeResult,
    options: ['again', 'dry-run', 'force', 'json', 'verbose'],
    takesArgument: ({ force }) => force === true,
  },
  check: { run: check, describe: describeChecks, options: ['json'] },
  status: { run: showStatus, options: ['json'] },
  history: { run: showHistory, options: ['number', 'all', 'json'] },
  log: { run: showLog, options: [], takesArgument: () => true },
  report: { run: writeReport, options: [], takesArgument: () => true },
  metrics: { run: showMetrics, options: [], takesArgument: () => true },
  rollback: {
    run: rollBack,
    hasVerdict: true,
    describe: describeResult,
    options: ['database', 'json', 'verbose'],
    takesArgument: () => true,
  },
}

/** How a deployment or a rollback has ended, and when: milliseconds since 1970. */
let concluded: { result: Result; outcome: unknown; ended: number } | undefined

run(main, undefined, trace)

async function main(): Promise<number> {
  const ci = recognizeCi()
  ci?.open?.()
  const args = givenArguments()
  if (args[0] === 'init') return (await import('./lib/deploy/init/init.ts')).init(args.slice(1))
  const report = ci && new CiReport(ci)
  const called = await reported(report, {}, async () => readCommand(args), false)
  if (called === undefined) return exitCode.live
  const { name, command, options } = called
  const hasVerdict = command.hasVerdict === true
  const runCalled = (result: Result) => {
    if (!hasVerdict || options['dry-run']) return runCommand(called, ci, undefined, result)
    return reported(report, Object.assign(result, { command: name }), () => runCommand(called, ci, report, result))
  }
  return options.json ? withJson(runCalled, command.describe) : runCalled({})
}

/** Whatever a deployment ends with, its CI shows, and its trace has. */
async function reported<T>(report: CiReport | undefined, result: Result, action: () => Promise<T>, endsWell = true) {
  const conclude = (outcome: unknown) => {
    concluded = { result, outcome, ended: Date.now() }
    report?.conclude(result, outcome)
  }
  try {
    const outcome = await action()
    if (endsWell) conclude(outcome)
    return outcome
  } catch (error) {
    conclude(error)
    throw error
  }
}

/** Once everybody knows the verdict. It changes nothing of that. */
async function trace(): Promise<void> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } = process.env
  if (!concluded || !(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || OTEL_EXPORTER_OTLP_ENDPOINT)) return
  await (await import('./lib/deploy/trace.ts')).sendTrace(concluded)
}

async function runCommand(
  { command, options, argument }: Called,
  ci: Ci | undefined,
  report: CiReport | undefined,
  result: Result,
) {
  const settings = readDeploySettings(options['env-file'], isInCi())
  const { STAGING_REMOTE_REPO: remote, SSH_DEPLOYMENT_KEY: key, KNOWN_DEPLOYMENT_HOSTS: knownHosts } = settings
  result.url = settings.APP_URL
  const access = remote.host === undefined ? undefined : { key, knownHosts, jump: settings.PROXY_JUMP, remote }
  return withSshSession(access, async ({ env, ...ssh }) => {
    const clone = await openClone(remote.url, env)
    return command.run({ settings, options, ci, argument, ...ssh, ...clone }, result, report)
  })
}

/** DEPLOY.sh, and then what it could not know: whether the commit is live. */
async function deployCommit(session: Session, result: Result, report: CiReport | undefined): Promise<number> {
  const { STAGING_REMOTE_REPO, BRANCH_NAME, ACCEPT_NO_VERDICT } = session.settings
  const { again, force: isForced, 'dry-run': isDry } = session.options
  const commit = await findCommit(session)
  await describeCommit(session, commit, result, report)
  const { screen, say, announceStep } = await openVoice(session)
  // Also where the connection fails: what it waits for is not the last word.
  using _shown = screen

  announceStep(`ADDING REMOTE staging (${STAGING_REMOTE_REPO.url}) ...`)
  const [tags] = await Promise.all([
    findLightweightTags(session, commit),
    setRemote(session, 'staging'),
    screen?.open(session, commit),
  ])
  if (tags.length > 0) say(`NOT PUSHING THE TAGS ${tags.join(', ')}: only annotated ones go along (git tag -a).`)
  await session.connected

  announceStep(`PUSHING ${commit} TO ${BRANCH_NAME}${isForced ? ', WHATEVER THAT IS' : ''} ...`)
  if (isDry) return tryPush(session, commit)
  const verb = again ? 'again' : 'deploy'
  const what = { commit, isForced, ask: { verb, commit } } as const
  return pushAndAnnounce(session, what, ACCEPT_NO_VERDICT, result, { screen, report })
}

async function rollBack(session: Session, result: Result, report: CiReport | undefined): Promise<number> {
  const { argument: name, settings, connected, options } = session
  const verb = options.database ? 'downgrade' : 'rollback'
  const commit = await findNamedCommit(session, name)
  await describeCommit(session, commit, result, report)
  const { screen, announceStep } = await openVoice(session)
  using _shown = screen
  await screen?.open(session, commit, true)
  await connected

  announceStep(
    `ROLLING BACK ${settings.BRANCH_NAME} TO ${commit ?? 'WHAT WAS LIVE BEFORE'}${options.database ? ', WITH THE DATABASE' : ''} ...`,
  )
  return pushAndAnnounce(session, { ask: { verb, commit } }, false, result, { screen, report })
}

/** Before the server is waited for: a CI names the commit also where the server is not reached. */
async function describeCommit(
  session: Session,
  commit: string | undefined,
  result: Result,
  report: CiReport | undefined,
): Promise<void> {
  result.commit = commit
  if (report && commit) result.subject = (await readSubjects(session, [commit])).get(commit)
}

/** Shows a push as it comes, at a terminal or in its CI, and then says whether the commit is live. */
async function pushAndAnnounce(
  session: Session,
  what: Push,
  acceptsNoVerdict: boolean,
  result: Result,
  { screen, report }: { screen: DeploymentScreen | undefined; report: CiReport | undefined },
): Promise<number> {
  const { ci } = session
  try {
    const pushed = await pushWithClock(session, what, screen ?? new StepClock(report ?? terminal), result)
    result.verdict = pushed.verdict
    result.movedFrom = pushed.movedFrom
    result.commit = pushed.verdict?.commit ?? result.commit
    return screen ? await screen.announce(pushed, acceptsNoVerdict, session) : announce(pushed, acceptsNoVerdict)
  } catch (cause) {
    const error = await explainUnanswered(cause, session, what)
    const isRefused = error instanceof Failure && error.exitCode === exitCode.refused
    if (!isRefused || ci === undefined || !(await isShallow(session))) throw error
    const fix = `give this clone its whole history: ${ci.fullHistory}`
    throw new Failure(error.exitCode, error.message, { why: error.why, fix, cause: error })
  }
}

/** No hook answers a rollback where nothing was ever deployed. */
async function explainUnanswered(error: unknown, session: Session, { ask }: Push): Promise<unknown> {
  const isUnanswered = error instanceof Failure && error.exitCode === exitCode.unknown
  if (!isUnanswered || !isRollback(ask?.verb) || !(await isNeverPushed(session))) return error
  const why = `Nothing was ever live: ${session.settings.BRANCH_NAME} was never pushed there.`
  return new Failure(exitCode.failed, 'NOTHING WAS ROLLED BACK.', { why, fix: error.fix, cause: error })
}

async function pushWithClock(
  session: Session,
  what: Push,
  listener: Listener & Disposable,
  result: Result,
): Promise<Pushed> {
  using clock = listener
  using interrupted = new InterruptedPush(clock, what.ask?.verb, session.options)
  using steps = new SeenSteps(interrupted)
  result.steps = steps
  return await repeatLostRaces(() => push(session, what, steps), steps)
}

type Called = NonNullable<ReturnType<typeof readCommand>>

const string = { type: 'string' } as const
const number = { ...string, short: 'n' } as const

/** Undefined where `--help` or `--version` is answered already. */
function readCommand(args: string[]) {
  // The name may stand behind an option; each command then takes its own options only.
  const { positionals } = parseArgs({ args, strict: false, options: { 'env-file': string, number } })
  // What --force names is no command.
  const isNamed = args.includes('--force') && !Object.hasOwn(commands, positionals[0] ?? '')
  const [name = 'deploy', argument, ...rest] = isNamed ? ['deploy', ...positionals] : positionals
  if (!isCommand(name)) throw misuse('deploy', `deploy has no command '${name}'`, { word: name, known: commandNames })
  const command = commands[name]
  const own = Object.fromEntries(
    command.options.map(option => [option, option === 'number' ? number : { type: 'boolean' as const }]),
  )
  const isGeneral = name === 'deploy' && positionals[0] !== 'deploy'
  const title = isGeneral ? 'deploy' : `deploy ${name}`
  const given = readArguments(
    title,
    isGeneral ? help : helpOf(name, command.options),
    { 'env-file': string, ...own },
    args,
  )
  if (given === undefined) return undefined
  const options: Options & { 'env-file'?: string } = given.options
  const surplus = command.takesArgument?.(options) ? rest[0] : argument
  if (surplus !== undefined) throw misuse(title, `${title} takes no argument '${surplus}'`)
  for (const other of ['again', 'json', 'force'] as const) {
    if (options['dry-run'] && options[other]) throw misuse(title, `--${other} and --dry-run exclude each other`)
  }
  return { name, command, options, argument }
}

const isCommand = (name: string): name is keyof typeof commands => Object.hasOwn(commands, name)
