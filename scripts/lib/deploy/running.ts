import { endOfRunning, parseRunning, type Running } from '../protocol/running.ts'
import { askHook } from './ask-hook.ts'
import type { Session } from './clone.ts'
import { showOurHook } from './server-refs.ts'

/**
 * The deployment that runs on the server. Undefined also where its hook is older and does not tell.
 *
 * @param refs the server's
 */
export async function readRunning(session: Session, refs: ReadonlyMap<string, string>): Promise<Running | undefined> {
  try {
    // Another hook would take the question for a push.
    if (!showOurHook(refs)) return undefined
    const { answer } = await askHook(session, { verb: 'status', commit: undefined }, endOfRunning)
    return answer.map(parseRunning).find(running => running !== undefined)
  } catch {
    return undefined
  }
}
