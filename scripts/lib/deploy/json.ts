import { isPartOfId } from '../protocol/ids.ts'
import { isDeployed, type Verdict } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'
import { describeBriefly, exitCode, Failure } from '../shared/program.ts'

/** What is known of a deployment or a rollback when it ends: for its CI, and for --json. */
export interface Result {
  /** The commit that is asked for, and then the one that the hook's verdict is about. */
  commit?: string | undefined
  verdict?: Verdict | undefined
}

/** @param outcome the exit code, or what was thrown in its place */
function describeResult({ commit, verdict }: Result, outcome: unknown) {
  const failure = outcome instanceof Failure ? outcome : undefined
  const why = failure ? `${failure.message} ${failure.why}` : describeBriefly(outcome)
  return {
    /** Null also for a rollback that found none to go to. */
    commit: commit !== undefined && isPartOfId(commit) ? commit : null,
    /** Null: the hook did not say. */
    live: verdict?.live ?? null,
    /** Whether the commit went live now: false where it was live already. */
    changed: verdict !== undefined && isDeployed(verdict),
    explanation: flatten(verdict?.explanation ?? (typeof outcome === 'number' ? '' : why)),
    exitCode: typeof outcome === 'number' ? outcome : (failure?.exitCode ?? exitCode.bug),
  }
}

/**
 * Runs a command of which a program reads standard output. What people read goes to standard error.
 *
 * @param hasVerdict whether its result is printed when it ends, also where it fails
 */
export async function withJson(action: (result: Result) => Promise<number>, hasVerdict: boolean): Promise<number> {
  console.log = console.error
  const result: Result = {}
  const conclude = (outcome: unknown) => hasVerdict && printJson(describeResult(result, outcome))
  try {
    const code = await action(result)
    conclude(code)
    return code
  } catch (error) {
    conclude(error)
    throw error
  }
}

/** No text in it is a command of a CI: ci/github.ts would change that. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2).replaceAll('##[', '#\\u0023[')}\n`)
}
