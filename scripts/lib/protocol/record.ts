import { isRollback } from './asks.ts'
import { isCommitId } from './ids.ts'
import { type Origin, readOrigin } from './origin.ts'

/** Refs that only the hook writes: what is live, what failed last, and the record of every deployment. All may read them. */
export const deployRefs = (branch: string) => ({
  live: `refs/deploy/${branch}/live`,
  failed: `refs/deploy/${branch}/failed`,
  history: `refs/deploy/${branch}/history`,
  /** Keeps what was deployed from `git gc`, also when the branch no longer contains it. Not there before ACCEPT is `any`. */
  kept: `refs/deploy/${branch}/kept`,
  /** An empty blob, written by `post-receive install`: it tells whose hook this is before the first deployment. */
  hook: `refs/deploy/${branch}/hook`,
})

/** One step of a deployment. */
export interface StepRecord {
  readonly name: string
  /** Absent for a step that was running when the deployment was killed; in older records also for one that failed. */
  seconds?: number
  /** Whether it is what failed. Absent in older records. */
  failed?: true
}

/** One deployment, as the hook writes it into the message of a commit. Times are milliseconds since 1970, or NaN. */
export interface DeploymentRecord extends Origin {
  readonly commit: string
  /** The commit's. An older hook has not written it. */
  readonly subject?: string | undefined
  readonly previous?: string | undefined
  readonly live: boolean
  /** `again`, `rollback` or `downgrade`, where it was one. */
  readonly request?: string | undefined
  readonly who: string
  readonly started: number
  readonly ended: number
  readonly steps: readonly StepRecord[]
  readonly explanation?: string | undefined
  /** Whether a failed deployment has left all but the database as it was before. Absent in older records. */
  readonly restored?: boolean | undefined
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

/** git's options for what it prints of a commit, whatever the repository's and the user's configuration say. */
export const plainLog = ['--encoding=UTF-8', '--no-show-signature'] as const

/** The git command that prints the records. Before the name of a commit. */
export const logOfRecords = ['log', ...plainLog, '-z', '--format=%b'] as const

/**
 * @param bodies what `logOfRecords` prints of the history. Anyone who may write there can write anything: what is no
 * record is left out, and of a record what is malformed
 */
export function parseRecords(bodies: string): DeploymentRecord[] {
  return bodies.split('\0').flatMap(body => {
    try {
      return readRecord(JSON.parse(body)) ?? []
    } catch {
      return []
    }
  })
}

type Unchecked<T> = { readonly [K in keyof T]?: unknown }

function readRecord(value: unknown): DeploymentRecord | undefined {
  const record: Unchecked<DeploymentRecord> = value ?? {}
  const { commit, live, steps } = record
  if (!isId(commit) || typeof live !== 'boolean' || !Array.isArray(steps)) return undefined
  return {
    commit,
    subject: textOf(record.subject),
    previous: isId(record.previous) ? record.previous : undefined,
    live,
    request: textOf(record.request),
    who: textOf(record.who) ?? 'an unknown user',
    ...readOrigin(record),
    started: timeOf(record.started),
    ended: timeOf(record.ended),
    steps: steps.flatMap(step => readStep(step) ?? []),
    explanation: textOf(record.explanation),
    restored: typeof record.restored === 'boolean' ? record.restored : undefined,
    notChecked: textOf(record.notChecked),
    database: textOf(record.database),
    kept: Array.isArray(record.kept) ? record.kept.flatMap(kept => readKept(kept) ?? []) : undefined,
  }
}

function readStep(value: unknown): StepRecord | undefined {
  const { name, seconds, failed }: Unchecked<StepRecord> = value ?? {}
  if (typeof name !== 'string') return undefined
  return {
    name,
    ...(isNumber(seconds) && { seconds: Math.max(0, seconds) }),
    ...(failed === true && { failed }),
  }
}

function readKept(value: unknown): KeptRelease | undefined {
  const { release, commit, database }: Unchecked<KeptRelease> = value ?? {}
  if (!isNumber(release) || !isId(commit)) return undefined
  return { release, commit, database: textOf(database) }
}

const isId = (value: unknown): value is string => typeof value === 'string' && isCommitId(value)
const isNumber = (value: unknown): value is number => Number.isFinite(value)
const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)

/** NaN for what is no time (ECMA-262, time values). */
const timeOf = (value: unknown) => (isNumber(value) && Math.abs(value) <= 8.64e15 ? value : Number.NaN)

/** Where the database was when a commit was live. A rollback without --database does not tell. */
export const findRevision = (newestFirst: readonly DeploymentRecord[], commit: string): string | undefined =>
  newestFirst.find(record => record.live && record.database !== undefined && record.commit === commit)?.database

/**
 * The commit to go back to: the one that was live before the live one, without those that were rolled back. So a second
 * rollback goes back one more, and never forward.
 *
 * @param newestFirst the branch's records
 */
export const findPrevious = (newestFirst: readonly DeploymentRecord[]): string | undefined =>
  followLive(newestFirst).line.at(-2)

/** The deployments that were live until a rollback. */
export const findUndone = (newestFirst: readonly DeploymentRecord[]): ReadonlySet<DeploymentRecord> =>
  followLive(newestFirst).undone

/** What was live, the oldest first, without what was rolled back. */
function followLive(newestFirst: readonly DeploymentRecord[]) {
  const line: string[] = []
  const records = new Map<string, DeploymentRecord>()
  const undone = new Set<DeploymentRecord>()
  for (const record of newestFirst.toReversed()) {
    const { live, commit, previous, request } = record
    if (!live) continue
    // Somebody else may have put it live, such as the bash hook.
    if (previous && line.at(-1) !== previous) line.push(previous)
    if (line.at(-1) === commit) continue
    const before = line.lastIndexOf(commit)
    if (isRollback(request) && before !== -1) {
      for (const left of line.splice(before + 1)) {
        const leftBy = records.get(left)
        if (leftBy) undone.add(leftBy)
      }
    } else {
      line.push(commit)
      records.set(commit, record)
    }
  }
  return { line, undone }
}
