import { isRollback } from './asks.ts'
import { isCommitId } from './ids.ts'
import type { Origin } from './origin.ts'

/** Refs that only the hook writes: what is live, what failed last, and the record of every deployment. All may read them. */
export const deployRefs = (branch: string) => ({
  live: `refs/deploy/${branch}/live`,
  failed: `refs/deploy/${branch}/failed`,
  history: `refs/deploy/${branch}/history`,
  /** An empty blob, written by `post-receive install`: it tells whose hook this is before the first deployment. */
  hook: `refs/deploy/${branch}/hook`,
})

/** One step of a deployment. */
export interface StepRecord {
  readonly name: string
  /** Absent for a step that failed, or that was running when the deployment was killed. */
  seconds?: number
}

/** One deployment, as the hook writes it into the message of a commit. Times are milliseconds since 1970. */
export interface DeploymentRecord extends Origin {
  readonly commit: string
  readonly previous?: string | undefined
  readonly live: boolean
  /** `again`, `rollback` or `downgrade`, where it was one. */
  readonly request?: string | undefined
  readonly who: string
  readonly started: number
  readonly ended: number
  readonly steps: readonly StepRecord[]
  readonly explanation?: string | undefined
  /** Why nobody has asked whether the application answers, where it is live and nobody has. */
  readonly notChecked?: string | undefined
  /** Where DB_REVISION said that the database was once it was live; empty where it had no revision yet. */
  readonly database?: string | undefined
  /** The complete releases, to which a rollback can switch. */
  readonly kept?: readonly KeptRelease[] | undefined
}

export interface KeptRelease {
  readonly release: number
  readonly commit: string
  readonly database?: string | undefined
}

export const formatRecord = (record: DeploymentRecord) =>
  `${record.commit} ${record.live ? 'is live' : 'is not live'}\n\n${JSON.stringify(record)}`

/** @param bodies what `git log -z --format=%b` prints of the history; what is no record is left out */
export function parseRecords(bodies: string): DeploymentRecord[] {
  return bodies.split('\0').flatMap(body => {
    try {
      const record: unknown = JSON.parse(body)
      return isRecord(record) ? [record] : []
    } catch {
      return []
    }
  })
}

/** Where the database was when a commit was live. A rollback without --database does not tell. */
export const findRevision = (newestFirst: readonly DeploymentRecord[], commit: string): string | undefined =>
  newestFirst.find(record => record.live && record.database !== undefined && record.commit === commit)?.database

function isRecord(value: unknown): value is DeploymentRecord {
  const record = value as DeploymentRecord | null
  return (
    typeof record?.commit === 'string' &&
    isCommitId(record.commit) &&
    typeof record.live === 'boolean' &&
    Array.isArray(record.steps)
  )
}

/**
 * The commit to go back to: the one that was live before the live one, without those that were rolled back. So a second
 * rollback goes back one more, and never forward.
 *
 * @param newestFirst the branch's records
 */
export function findPrevious(newestFirst: readonly DeploymentRecord[]): string | undefined {
  const line: string[] = []
  for (const { live, commit, previous, request } of newestFirst.toReversed()) {
    if (!live) continue
    // Somebody else may have put it live, such as the bash hook.
    if (previous && line.at(-1) !== previous) line.push(previous)
    if (line.at(-1) === commit) continue
    const before = line.lastIndexOf(commit)
    if (isRollback(request) && before !== -1) line.length = before + 1
    else line.push(commit)
  }
  return line.at(-2)
}
