import { isRollback } from './asks.ts'
import type { Origin } from './origin.ts'
/** Whether a text is a commit's whole id, by SHA-1 or SHA-256. */
export const isCommitId = (text: string | undefined): text is string => /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text ?? '')

/** What only the hook writes, and everybody may read: what serves, what failed last, and every deployment's record. */
export const deployRefs = (branch: string) => ({
  live: `refs/deploy/${branch}/live`,
  failed: `refs/deploy/${branch}/failed`,
  history: `refs/deploy/${branch}/history`,
  /** An empty blob of the installer's: whose hook this is, before there is any of the others. */
  hook: `refs/deploy/${branch}/hook`,
})

/** One step of a deployment. */
export interface StepRecord {
  readonly name: string
  /** Absent for a step that failed, or that was running when the deployment was killed. */
  seconds?: number
}

/** One deployment, as the hook writes it into the message of a commit of its own. Times are milliseconds since 1970. */
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
  /** What DB_REVISION said once it was live. */
  readonly database?: string | undefined
  /** The releases that are there whole, and that a rollback can switch to. */
  readonly kept?: readonly KeptRelease[] | undefined
}

export interface KeptRelease {
  readonly release: number
  readonly commit: string
  readonly database?: string | undefined
}

export const formatRecord = (record: DeploymentRecord) =>
  `${record.commit} ${record.live ? 'is live' : 'is not live'}\n\n${JSON.stringify(record)}`

/** @param bodies what `git log -z --format=%b` prints of the history. What is no record of ours is passed over. */
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

function isRecord(value: unknown): value is DeploymentRecord {
  const record = value as DeploymentRecord | null
  return (
    typeof record?.commit === 'string' &&
    /^[0-9a-f]{40,64}$/.test(record.commit) &&
    typeof record.live === 'boolean' &&
    Array.isArray(record.steps)
  )
}

/**
 * The commit to go back to: what was live before the one that is, without what rollbacks have left behind. So a second
 * rollback goes further back, and never forward to what the first one fled from.
 *
 * @param newestFirst the branch's records
 */
export function findPrevious(newestFirst: readonly DeploymentRecord[]): string | undefined {
  const line: string[] = []
  for (const { live, commit, request } of newestFirst.toReversed()) {
    if (!live || line.at(-1) === commit) continue
    const before = line.lastIndexOf(commit)
    if (isRollback(request) && before !== -1) line.length = before + 1
    else line.push(commit)
  }
  return line.at(-2)
}
