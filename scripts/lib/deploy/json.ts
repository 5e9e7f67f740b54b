import { isPartOfId } from '../protocol/ids.ts'
import { isDeployed } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'
import { describeBriefly, Failure } from '../shared/program.ts'
import { codeOf, type Result } from './result.ts'

/** Of a command that ends: what is known then. @param outcome the exit code, or what was thrown in its place */
export type Describe = (result: Result, outcome: unknown) => unknown

export const describeResult: Describe = ({ commit, verdict }, outcome) => {
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
    exitCode: codeOf(outcome),
  }
}

/**
 * Runs a command of which a program reads standard output. What people read goes to standard error.
 *
 * @param describe what is printed when it ends, also where it fails; by default nothing
 */
export async function withJson(action: (result: Result) => Promise<number>, describe?: Describe): Promise<number> {
  console.log = console.error
  const result: Result = {}
  const conclude = (outcome: unknown) => describe && printJson(describe(result, outcome))
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
