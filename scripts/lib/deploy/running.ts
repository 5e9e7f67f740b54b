import { endOfRunning, parseRunning, type Running } from '../protocol/running.ts'
import { askHook } from './ask-hook.ts'
import type { Session } from './clone.ts'
import { readRefs, showOurHook } from './server-refs.ts'

/** The deployment that runs on the server. Undefined also where its hook is older and does not tell. */
export async function readRunning(session: Session): Promise<Running | undefined> {
  try {
    // Another hook would take the question for a push.
    if (!showOurHook(await readRefs(session))) return undefined
    const { answer } = await askHook(session, { verb: 'status', commit: undefined }, endOfRunning)
    return answer.map(parseRunning).find(running => running !== undefined)
  } catch {
    return undefined
  }
}
