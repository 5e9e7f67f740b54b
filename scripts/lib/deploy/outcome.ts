import { isRollback } from '../protocol/asks.ts'
import { alreadyLive, protocol, type Verdict } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure, version } from '../shared/program.ts'
import { explainBrokenPush, explainRejection, isNotForward } from '../ssh/explain-failure.ts'
import type { Pushed } from './push.ts'

/**
 * Says whether a commit is live: as the hook said, or that this is not known where it said nothing. deploy concludes
 * nothing from what was pushed.
 *
 * @param acceptsNoVerdict whether a push that no hook of ours answered is good enough
 * @param say how it is said that a commit is live
 * @returns the exit code
 * @throws Failure where it is not live, or not known to be
 */
export function announce(
  pushed: Pushed,
  acceptsNoVerdict: boolean,
  say = (verdict: Verdict) => console.log(sayLive(verdict)),
): number {
  const { push, askedAs, rejected, verdict, greeting } = pushed
  const goesBack = isRollback(push.ask?.verb)
  // The branch may have been refused because it was overtaken by what serves now.
  if (verdict?.live) {
    say(verdict)
    return exitCode.live
  }
  // Of a clone that is behind, git refuses the branch, too; what the hook does and says is of the commit all the same.
  if (rejected.branch && push.isForced && isNotForward(rejected.branch)) throw forceRefused(rejected.branch)
  if (rejected.branch && (verdict ? verdict.isElsewhere : !greeting))
    throw explainRejection(rejected.branch, verdict?.explanation)
  if (verdict) {
    const what = verdict.commit === 'previous' ? 'NOTHING WAS ROLLED BACK.' : `${verdict.commit} IS NOT LIVE.`
    throw new Failure(exitCode.failed, what, { why: verdict.explanation })
  }
  if (greeting && greeting.protocol !== protocol) throw misunderstanding(greeting)
  if (rejected.ask) throw askRefused(rejected.ask, pushed.hasMoved)
  if (greeting) throw noVerdict(goesBack)
  if (!pushed.isComplete) throw explainBrokenPush(pushed.messages)

  const kept = `the server keeps the unanswered ask; to remove it, run there: git update-ref -d ${askedAs}`
  if (goesBack) {
    throw new Failure(exitCode.unknown, 'NOT ROLLED BACK: no pushlive hook answered.', {
      fix: `deploy check says what the server lacks; ${kept}`,
    })
  }
  const what = 'PUSHED, NOT VERIFIED: no pushlive hook answered, so it is unknown whether the code is live.'
  if (acceptsNoVerdict) {
    console.log(`${what}\nACCEPT_NO_VERDICT=yes takes that for enough; ${kept}`)
    return exitCode.live
  }
  throw new Failure(exitCode.unknown, what, {
    fix: `install the hook, also where it was removed or core.hooksPath leads git elsewhere (setup-ssh --hook SERVER_ENV, or post-receive install on the server), or set ACCEPT_NO_VERDICT=yes for as long as another hook deploys there; ${kept}`,
  })
}

function sayLive(verdict: Verdict): string {
  const explanation = flatten(verdict.explanation)
  if (verdict.notChecked === undefined) return `${formatLive(verdict)}${explanation && ` (${explanation})`}.`
  return `${formatLive(verdict)}, ${explanation.replace(alreadyLive, 'as before')}.`
}

/** That a commit is live, or, where nobody has asked the application, that it is in place. */
export const formatLive = ({ commit, notChecked }: Verdict) =>
  notChecked === undefined ? `${commit} IS LIVE` : `${commit} IS IN PLACE (not checked: ${flatten(notChecked)})`

/** @throws Failure (unknown) where the hook and this deploy would misunderstand each other */
export function misunderstanding(hook: NonNullable<Pushed['greeting']>): Failure {
  return new Failure(
    exitCode.unknown,
    `The hook on the server is pushlive ${flatten(hook.version)} (protocol ${hook.protocol}), and this is deploy ${version} (protocol ${protocol}): they do not understand each other.`,
    {
      fix:
        hook.protocol < protocol
          ? 'update the hook: setup-ssh --hook SERVER_ENV'
          : `update deploy: take the binary of pushlive ${flatten(hook.version)}`,
    },
  )
}

export function askRefused(reason: string, hasMoved = false): Failure {
  return new Failure(
    hasMoved ? exitCode.unknown : exitCode.refused,
    `The server does not let its hook be asked${hasMoved ? ', and whether the code that it took is live is not known' : ''}.`,
    {
      why: reason,
      fix: 'update the hook, whose hooks/update is too old: setup-ssh --hook SERVER_ENV; then run deploy again',
    },
  )
}

const forceRefused = (why: string) =>
  new Failure(exitCode.refused, 'The server does not take --force: its branch only grows. Nothing was pushed.', {
    why,
    fix: 'for a staging server, set ACCEPT=any in .env there and run there: post-receive install REPOSITORY; for any other, deploy without --force',
  })

function noVerdict(goesBack: boolean): Failure {
  return new Failure(
    exitCode.unknown,
    'The server never reported a result: its hook stopped early, or the connection broke.',
    {
      // Rolling back once more would go further back.
      fix: goesBack ? 'look at deploy status before you roll back again' : 'run deploy again: it finds out',
    },
  )
}
