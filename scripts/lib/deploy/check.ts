import { endOfChecks, parseCheck } from '../protocol/checks.ts'
import { deployRefs } from '../protocol/record.ts'
import { flatten, quote } from '../shared/foreign-text.ts'
import { describeBriefly, exitCode, Failure } from '../shared/program.ts'
import { explainFailure, explainRejection } from '../ssh/explain-failure.ts'
import { askHook } from './ask-hook.ts'
import type { Looked } from './check-lines.ts'
import { findCommit, type Session } from './clone.ts'
import { type Listener, push } from './push.ts'
import { codeOf, type Result } from './result.ts'
import { readRefs, showOurHook } from './server-refs.ts'
import { describeAccess } from './settings.ts'
import { isForPerson } from './voice.ts'

/**
 * Checks all that a deployment needs, here and then on the server, and deploys nothing. The first that fails before the
 * hook is asked is the last.
 *
 * @returns the exit code
 */
export async function check(session: Session, result: Result): Promise<number> {
  const isAtTerminal = isForPerson(session)
  const failure = await lookWhileWaiting(session, result, isAtTerminal)
  const { checks = [] } = result
  const ready = isReady(checks)
  const { formatChecks } = await import('./check-lines.ts')
  console.log(formatChecks(checks, ready, isAtTerminal ? process.stdout.columns || 80 : undefined))
  return failure?.exitCode ?? (ready === false ? exitCode.failed : exitCode.live)
}

/** Whether a deployment would succeed. Undefined where that is not known. */
function isReady(checks: readonly Looked[]): boolean | undefined {
  if (checks.some(({ isOk }) => isOk === false)) return false
  return checks.every(({ isOk }) => isOk) ? true : undefined
}

/** For --json. @param outcome the exit code, or what was thrown in its place */
export function describeChecks({ commit, checks: looked = [] }: Result, outcome: unknown) {
  // Before anything was looked at.
  const failed: Looked[] =
    outcome instanceof Failure ? [{ where: 'here', what: 'settings and clone', isOk: false, ...explain(outcome) }] : []
  const checks = [...looked, ...failed]
  return {
    commit: commit ?? null,
    /** Null: not known. */
    ready: (typeof outcome === 'number' || failed.length > 0 ? isReady(checks) : undefined) ?? null,
    exitCode: codeOf(outcome),
    checks: checks.map(({ where, what, isOk, found, fix }) => ({
      where,
      what,
      /** Null: not looked at. */
      ok: isOk ?? null,
      found: flatten(found),
      toDo: fix ?? null,
    })),
  }
}

/** @returns what has failed before the hook could be asked */
async function lookWhileWaiting(session: Session, result: Result, isAtTerminal: boolean): Promise<Failure | undefined> {
  using screen = isAtTerminal ? new (await import('./screen.ts')).Screen() : undefined
  screen?.wait('Looking here and on the server')
  try {
    await lookAtAll(session, result)
    return undefined
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
}

async function lookAtAll(session: Session, result: Result): Promise<void> {
  const { settings, connected } = session
  const { STAGING_REMOTE_REPO, BRANCH_NAME } = settings
  const checks: Looked[] = describeAccess(settings).map(access => ({ where: 'here', isOk: true, ...access }))
  result.checks = checks
  const commit = await find('here', 'commit', () => findCommit(session), nameCommit)
  result.commit = commit
  await find(
    'server',
    'connection',
    () => connected,
    () => ({ found: STAGING_REMOTE_REPO.url }),
  )
  const refs = await find('server', 'repository', () => readRefs(session), describeRefs)
  await find(
    'server',
    'branch',
    () => verifyTaken(session, commit),
    () => ({ found: `${BRANCH_NAME} can be pushed` }),
  )

  // Another hook, such as the bash one, takes an ask for a push, and deploys.
  if (!showOurHook(refs)) {
    const found = 'not asked, because pushlive has deployed nothing there yet, and another hook would deploy now'
    const fix = 'install the hook (setup-ssh --hook SERVER_ENV), or run deploy'
    checks.push({ where: 'server', what: 'hook', isOk: undefined, found, fix })
    return
  }
  const asking = () => askHook(session, { verb: 'check', commit }, endOfChecks)
  const { answer } = await find('server', 'hook', asking, describeHook)
  for (const line of answer) {
    const check = parseCheck(line)
    if (check) checks.push({ where: 'server', ...check })
  }

  function describeRefs(refs: ReadonlyMap<string, string>) {
    const live = refs.get(deployRefs(BRANCH_NAME).live)
    return { found: live === undefined ? 'it is there, and nothing is live yet' : `it is there, and ${live} is live` }
  }

  async function find<T>(
    where: Looked['where'],
    what: string,
    action: () => Promise<T>,
    describe: (found: T) => Pick<Looked, 'found' | 'label'>,
  ): Promise<T> {
    try {
      const found = await action()
      checks.push({ where, what, isOk: true, ...describe(found) })
      return found
    } catch (error) {
      checks.push({ where, what, isOk: false, ...explain(error) })
      throw error
    }
  }
}

const nameCommit = (id: string) => ({ found: id, label: `commit ${id.slice(0, 10)}` })

/** Of a version, its number is what a line has room for. */
const describeHook = ({ version }: { version: string }) => ({
  found: `pushlive post-receive ${version}`,
  label: `hook ${version.replace(/ .*/, '')}`,
})

function explain(error: unknown): Pick<Looked, 'found' | 'fix'> {
  if (!(error instanceof Failure)) return { found: describeBriefly(error) }
  const { message, why, fix } = error
  const what = flatten(message)
  const found = why ? `${what}\n${quote(why)}` : what.replace(/\.$/, '')
  return { found, fix: fix ? flatten(fix) : undefined }
}

/** What `--dry-run` shows of a push. @throws Failure where git would refuse it */
export async function tryPush(session: Session, commit: string): Promise<number> {
  const { hasMoved } = await tryBranch(session, commit)
  console.log(hasMoved ? 'The server would take it. Nothing was pushed.' : 'The server has this commit already.')
  return exitCode.live
}

const verifyTaken = (session: Session, commit: string) =>
  tryBranch(session, commit, { serverPrinted: () => {}, clientPrinted: () => {} })

async function tryBranch(session: Session, commit: string, listener?: Listener) {
  const tried = await push(session, { commit, dryRun: true }, listener)
  if (tried.rejected.branch) throw explainRejection(tried.rejected.branch)
  if (!tried.isComplete) throw explainFailure(tried.messages)
  return tried
}
