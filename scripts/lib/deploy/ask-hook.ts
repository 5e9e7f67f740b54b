import type { Ask } from '../protocol/asks.ts'
import { protocol } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { explainFailure, explainRejection } from '../ssh/explain-failure.ts'
import type { Session } from './clone.ts'
import { askRefused, misunderstanding } from './outcome.ts'
import { push } from './push.ts'

/**
 * Asks the hook for what changes nothing, and shows nothing of it.
 *
 * @param end the line that says that the answer is whole
 * @throws Failure where the hook gives no answer, or not to the end
 */
export async function askHook(session: Session, ask: Ask, end: string) {
  const answer: string[] = []
  const asked = await push(session, { ask }, { serverPrinted: line => void answer.push(line), clientPrinted: () => {} })
  const { greeting, verdict, rejected, askedAs } = asked
  if (greeting && greeting.protocol !== protocol) throw misunderstanding(greeting)
  // What git itself refuses, such as a shallow clone's commit, it would refuse with the branch, too.
  const isOfHook = /hook declined|hidden ref/.test(rejected.ask ?? '')
  if (rejected.ask) throw isOfHook ? askRefused(rejected.ask) : explainRejection(rejected.ask)
  if (verdict) {
    throw new Failure(exitCode.failed, `The hook would not deploy this: ${flatten(verdict.explanation)}.`)
  }
  if (greeting && answer.includes(end)) return { version: greeting.version, answer }
  if (!asked.isComplete) throw explainFailure(asked.messages)
  throw new Failure(exitCode.unknown, 'The hook on the server gave no answer.', {
    why: answer.join('\n'),
    fix: `update the hook: setup-ssh --hook SERVER_ENV${greeting ? '' : `; the server keeps the unanswered ask; to remove it, run there: git update-ref -d ${askedAs}`}`,
  })
}
