import { isPartOfId } from '../protocol/ids.ts'
import { isDeployed, type Verdict } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'
import { describeBriefly, exitCode, Failure } from '../shared/program.ts'

/** What is known of a deployment or a rollback when it ends: for its CI, and for --json. */
export interface Result {
  /** The commit that is asked for, and then the one that the hook's verdict is about. */
  commit?: string | undefined
  verdict?: Verdict | undefined
  /** Where the application is. */
  url?: string | undefined
  subject?: string | undefined
  /** What the branch was on the server before: a part of an id. */
  movedFrom?: string | undefined
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

/** What a terminal or a CI would take for a command is escaped: ci/github.ts would change it. */
export function printJson(value: unknown): void {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  const text = JSON.stringify(value, null, 2).replace(/#(?=#\[)|[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escaped)
  process.stdout.write(`${text}\n`)
}
