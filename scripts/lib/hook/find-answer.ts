import { isRollback } from '../protocol/asks.ts'
import { findPrevious } from '../protocol/record.ts'
import { alreadyLive, type Verdict } from '../protocol/verdict.ts'
import type { Context } from './context.ts'
import { isConsistent, type JournalEntry, mayBeBehind } from './journal.ts'

/** What an ask needs: the deployment of a commit, or only a verdict. */
export type Answer =
  | {
      readonly deploy: string
      readonly problem?: string | undefined
      /** The commit that a rollback has put live since the ask arrived, and which this goes forward from. */
      readonly wentBackTo?: string | undefined
    }
  | { readonly verdict: Verdict }

/**
 * Checks whether the ask is already answered: by a deployment that began after it arrived, by one of the same commit
 * that ended after it arrived, or by what serves. Only what is there counts for that, not what was written down.
 */
export async function findAnswer(context: Context): Promise<Answer> {
  const { ask, branch, arrival, tipAtArrival, last, refs, repository, settings } = context
  const hasBegunSince = last !== undefined && arrival !== undefined && last.number > arrival.number
  const hasEndedSince = hasBegunSince || (last !== undefined && last.number === arrival?.number && !arrival.hasEnded)
  const verdict = (deployed: JournalEntry) => verdictOn(deployed, context)
  const isBehind = last !== undefined && mayBeBehind(last, refs.live)
  const isAtRest = last?.outcome !== undefined && isConsistent(last.touched) && !isBehind
  const notLive = (explanation: string) =>
    ({ verdict: { commit: ask.commit ?? 'previous', live: false, explanation } }) as const

  if (isRollback(ask.verb)) {
    if (ask.commit === undefined && hasBegunSince && last.outcome && last.isToPrevious)
      return { verdict: await verdict(last) }
    // In whatever order the two come to their turn, the one that was pushed later stays live.
    const isNewer = hasBegunSince && !isRollback(last.verb) && (last.tip ?? tipAtArrival) !== tipAtArrival
    if (isNewer && last.outcome === 'live') {
      return notLive(
        `${last.commit}, which was pushed after this rollback was asked for, is live; to go back from it, roll back again`,
      )
    }
    const records = await repository.records(refs)
    // Where a failed deployment has left the database ahead, it is the way back to what is live.
    const isAhead = ask.verb === 'downgrade' && last?.outcome !== 'live' && last?.touched.database && !isBehind
    const previous = isAhead ? refs.live : findPrevious(records)
    const commit = ask.commit === undefined ? previous : await repository.findCommit(ask.commit)
    if (commit === undefined) {
      return notLive(
        ask.commit === undefined
          ? 'there is nothing to go back to: no other commit was live before'
          : `${ask.commit} is no commit of this repository; deploy history lists what was live`,
      )
    }
    const wasLive = records.some(record => record.previous === commit || (record.live && record.commit === commit))
    if (!wasLive && !(refs.tip && (await repository.contains(refs.tip, commit)))) {
      return notLive(`${commit} was never live, and is not on ${branch}: a rollback goes to nothing else`)
    }
    if (hasBegunSince && last.outcome && last.commit === commit) return { verdict: await verdict(last) }
    const mayServe = isAtRest && ask.verb === 'rollback' && commit === refs.live
    const { serves, problem, notChecked } = mayServe ? await checkServing(commit, context) : unknown
    return serves ? { verdict: already(commit, last, notChecked) } : { deploy: commit, problem }
  }

  const asked = ask.commit as string
  const rollback = hasEndedSince && last?.outcome && isRollback(last.verb) ? last : undefined
  // Nothing was pushed since it was asked for: it went back from what is asked for here.
  if (rollback && (rollback.tip ?? refs.tip) === refs.tip) return { verdict: await verdict(rollback) }
  if (last?.outcome && last.commit === refs.tip && (ask.verb === 'again' ? hasBegunSince : hasEndedSince)) {
    const answer = await verdict(last)
    if (answer.live || asked === last.commit) return { verdict: answer }
  }
  // The newest commit can be a part of nothing that serves already: most pushes need no check here.
  const mayServe = isAtRest && ask.verb === 'deploy' && refs.live && (asked === refs.live || asked !== refs.tip)
  const { serves, problem, notChecked } = mayServe ? await checkServing(refs.live, context) : unknown
  if (mayServe && serves) {
    if (asked === refs.live) return { verdict: already(asked, last, notChecked) }
    if (await repository.contains(refs.live, asked)) return { verdict: partOf(asked, refs.live, notChecked) }
  }
  // What serves upgrades the database, which was taken back and did not get where it should.
  const mayUpgrade = isBehind && isConsistent(last.touched) && ask.verb === 'deploy' && asked !== refs.tip
  if (mayUpgrade && refs.live && (await repository.contains(refs.live, asked))) return { deploy: refs.live }
  if (refs.tip === undefined || (asked !== refs.tip && !(await repository.contains(refs.tip, asked)))) {
    const live = refs.live ? `${refs.live} is what was live last` : 'nothing was ever live'
    const advice = settings.ACCEPT === 'any' ? '; deploy --force puts it there all the same' : ''
    const explanation = `${branch} on the server does not contain it; ${live}${advice}`
    return { verdict: { commit: asked, live: false, isElsewhere: true, explanation } }
  }
  return { deploy: refs.tip, problem, wentBackTo: rollback?.outcome === 'live' ? rollback.commit : undefined }
}

/** The verdict on an ask by a deployment, which may have been of another commit. */
export async function verdictOn(deployed: JournalEntry, context: Context): Promise<Verdict> {
  const { ask, repository } = context
  const { commit: done, previous, touched, explanation = '', notChecked } = deployed
  const commit = ask.commit !== undefined && !isRollback(ask.verb) ? ask.commit : done
  const live = deployed.outcome === 'live'
  if (commit === done) return { commit, live, explanation, notChecked: live ? notChecked : undefined }
  if (live) {
    if (await repository.contains(done, commit)) return partOf(commit, done, notChecked)
    const explanation = isRollback(deployed.verb)
      ? `a rollback, asked for after it was pushed, has put ${done} live; to go forward again, run deploy again`
      : `overtaken by ${done}, which is live and does not contain it`
    return { commit, live: false, explanation }
  }
  const isPart =
    previous !== undefined &&
    isConsistent(touched) &&
    !mayBeBehind(deployed, previous) &&
    (await repository.contains(previous, commit))
  if (isPart) {
    const found = await checkServing(previous, context)
    if (found.serves) return partOf(commit, previous, found.notChecked)
  }
  return { commit, live: false, explanation: `overtaken by ${done}, which failed: ${explanation}` }
}

interface Serving {
  readonly serves: boolean
  /** Why it does not, where its files are there. */
  readonly problem?: string | undefined
  /** Why nobody has asked whether the application answers. */
  readonly notChecked?: string | undefined
}

const unknown: Serving = { serves: false }

/** Whether a commit serves: its files are there, and the application runs from there and answers. */
async function checkServing(commit: string, context: Context): Promise<Serving> {
  const { releases, repository, settings } = context
  const { HEALTH_CHECK_URL: url, HEALTH_CHECK_TIMEOUT } = settings
  const release = releases.serving()
  if (!release || !(await releases.serves(commit))) return unknown
  const problem =
    url && (await (await import('./health.ts')).findHealthProblem({ url, commit, repository }, HEALTH_CHECK_TIMEOUT))
  if (problem) return { serves: false, problem: `the application does not answer 2xx: ${problem}` }
  const { describeStaying, findNotChecked, findRunning } = await import('./taking-over.ts')
  const { staying, isServed } = await findRunning(release, context)
  if (staying.length > 0) return { serves: false, problem: describeStaying(staying, release) }
  return { serves: true, notChecked: findNotChecked(settings, isServed) }
}

function already(commit: string, last: JournalEntry | undefined, notChecked: string | undefined): Verdict {
  const problem = last?.touched.database ? last.databaseProblem : undefined
  return { commit, live: true, explanation: problem ? `${alreadyLive}. ${problem}` : alreadyLive, notChecked }
}

/** The verdict on a commit that a live one is or contains. */
const partOf = (commit: string, live: string, notChecked: string | undefined): Verdict => ({
  commit,
  live: true,
  explanation: commit === live ? alreadyLive : `as part of ${live}, which is newer`,
  notChecked,
})
