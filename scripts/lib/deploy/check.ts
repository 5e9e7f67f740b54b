import { type Check, endOfChecks, parseCheck } from '../protocol/checks.ts'
import { deployRefs } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { describeBriefly, exitCode } from '../shared/program.ts'
import { explainFailure, explainRejection } from '../ssh/explain-failure.ts'
import { askHook } from './ask-hook.ts'
import { findCommit, type Session } from './clone.ts'
import { type Listener, push } from './push.ts'
import { readRefs, showOurHook } from './server-refs.ts'
import { describeAccess } from './settings.ts'

/**
 * Checks all that a deployment needs, here and then on the server, and deploys nothing. Each check prints a line, in the
 * order of a deployment. The first that fails here is the last.
 *
 * @returns the exit code
 * @throws Failure for the first that fails here
 */
export async function check(session: Session): Promise<number> {
  const { settings, connected } = session
  for (const found of describeAccess(settings)) showCheck({ what: 'settings', isOk: true, found })
  const commit = await find('commit', () => findCommit(session))
  await find('connection', async () => {
    await connected
    return settings.STAGING_REMOTE_REPO.url
  })
  const refs = await find('repository', () => readRefs(session), describeRefs)
  await find('branch', () => verifyTaken(session, commit))

  // Another hook, such as the bash one, takes an ask for a push, and deploys.
  if (!showOurHook(refs)) {
    console.log(
      '?      hook: not asked, because pushlive has deployed nothing there yet, and another hook would deploy now',
    )
    return exitCode.live
  }
  const asking = () => askHook(session, { verb: 'check', commit }, endOfChecks)
  const { answer } = await find('hook', asking, describeHook)
  const checks = answer.map(parseCheck).filter(check => check !== undefined)
  for (const check of checks) showCheck(check)
  return checks.every(({ isOk }) => isOk) ? exitCode.live : exitCode.failed

  function describeRefs(refs: ReadonlyMap<string, string>): string {
    const live = refs.get(deployRefs(settings.BRANCH_NAME).live)
    return live === undefined ? 'it is there, and nothing is live yet' : `it is there, and ${live} is live`
  }
}

/** What `--dry-run` shows of a push. @throws Failure where git would refuse it */
export async function tryPush(session: Session, commit: string): Promise<number> {
  const { hasMoved } = await tryBranch(session, commit)
  console.log(hasMoved ? 'The server would take it. Nothing was pushed.' : 'The server has this commit already.')
  return exitCode.live
}

async function verifyTaken(session: Session, commit: string): Promise<string> {
  await tryBranch(session, commit, { serverPrinted: () => {}, clientPrinted: () => {} })
  return `${session.settings.BRANCH_NAME} can be pushed`
}

async function tryBranch(session: Session, commit: string, listener?: Listener) {
  const tried = await push(session, { commit, dryRun: true }, listener)
  if (tried.rejected.branch) throw explainRejection(tried.rejected.branch)
  if (!tried.isComplete) throw explainFailure(tried.messages)
  return tried
}

const describeHook = ({ version }: { version: string }) => `pushlive post-receive ${flatten(version)}`

async function find<T>(what: string, action: () => Promise<T>, describe: (result: T) => string = String): Promise<T> {
  try {
    const result = await action()
    showCheck({ what, isOk: true, found: describe(result) })
    return result
  } catch (error) {
    showCheck({ what, isOk: false, found: describeBriefly(error) })
    throw error
  }
}

function showCheck({ what, isOk, found }: Check): void {
  console.log(`${isOk ? 'ok    ' : 'FAIL  '} ${flatten(what)}: ${flatten(found)}`)
}
