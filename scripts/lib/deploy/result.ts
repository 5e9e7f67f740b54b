import { isPartOfId } from '../protocol/ids.ts'
import { isDeployed, type Verdict } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'
import { describeBriefly, exitCode, Failure } from '../shared/program.ts'

/** What is known of a deployment or a rollback: for the CI, and for --json. */
export interface Result {
  /** The commit that is asked for, and then the one that the hook's verdict is about. */
  commit?: string | undefined
  verdict?: Verdict | undefined
}

/** For programs. @param outcome the exit code, or what was thrown in its place */
export function describeResult({ commit, verdict }: Result, outcome: unknown) {
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
