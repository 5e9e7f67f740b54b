import { type Check, endOfChecks, parseCheck } from '../protocol/checks.ts'
import { deployRefs } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { describeBriefly, exitCode } from '../shared/program.ts'
import { explainFailure, explainRejection } from '../ssh/explain-failure.ts'
import { askHook } from './ask-hook.ts'
import { findCommit, type Session } from './clone.ts'
import { type Listener, push } from './push.ts'
import { readRefs, showOurHook } from './server-refs.ts'
import { describeSecrets } from './settings.ts'

/**
 * Goes through all that a deployment needs, from here and then from the server's side, and deploys nothing: a line for
 * each, in the order in which a deployment meets them. What comes after the first that is wrong here is not tried.
 *
 * @returns the exit code
 * @throws Failure for the first that is wrong here
 */
export async function check(session: Session): Promise<number> {
  const { settings, connected } = session
  for (const found of describeSecrets(settings)) show({ what: 'settings', isOk: true, found })
  const commit = await step('commit', () => findCommit(session))
  await step('connection', async () => {
    await connected
    return settings.STAGING_REMOTE_REPO.url
  })
  const refs = await step('repository', () => readRefs(session), describeRefs)
  await step('branch', () => verifyTaken(session, commit))

  // Whoever deploys with another hook must not find that looking has deployed: a bash hook runs at any push.
  if (!showOurHook(refs)) {
    console.log(
      '?      hook: not asked, because pushlive has deployed nothing there yet, and another hook would deploy now',
    )
    return exitCode.live
  }
  const asking = () => askHook(session, { verb: 'check', commit }, endOfChecks)
  const { said } = await step('hook', asking, describeHook)
  const checks = said.map(parseCheck).filter(check => check !== undefined)
  for (const check of checks) show(check)
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
  await tryBranch(session, commit, { said: () => {}, noted: () => {} })
  return `${session.settings.BRANCH_NAME} can be pushed`
}

async function tryBranch(session: Session, commit: string, listener?: Listener) {
  const tried = await push(session, { commit, dryRun: true }, listener)
  if (tried.rejected.branch) throw explainRejection(tried.rejected.branch)
  if (!tried.isComplete) throw explainFailure(tried.words)
  return tried
}

const describeHook = ({ version }: { version: string }) => `pushlive post-receive ${flatten(version)}`

async function step<T>(what: string, action: () => Promise<T>, describe: (result: T) => string = String): Promise<T> {
  try {
    const result = await action()
    show({ what, isOk: true, found: describe(result) })
    return result
  } catch (error) {
    show({ what, isOk: false, found: describeBriefly(error) })
    throw error
  }
}

function show({ what, isOk, found }: Check): void {
  console.log(`${isOk ? 'ok    ' : 'FAIL  '} ${flatten(what)}: ${flatten(found)}`)
}
