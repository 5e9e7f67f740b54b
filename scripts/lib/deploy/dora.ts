import { isRollback } from '../protocol/asks.ts'
import type { DeploymentRecord } from '../protocol/record.ts'

/** Milliseconds. */
export const day = 86_400_000
/** What figures are about. */
const span = 90 * day
/** A rate of fewer days says nothing. */
const shortestSpan = 7 * day

/** A commit of a clone: when it was made, in milliseconds since 1970, and the commits before it. */
export interface Change {
  readonly committed: number
  readonly parents: readonly string[]
}

/** DORA's four key figures for a span of time. Times are milliseconds; undefined where there is no data. */
export interface Figures {
  readonly from: number
  readonly to: number
  /** Deployments that went live, and how many a week. Undefined where the time is too short for a rate. */
  readonly live: number
  readonly frequency: number | undefined
  /** Of how many commits, and the median from when one was made to when it was live. Merges change nothing of their own. */
  readonly commits: number
  readonly leadTime: number | undefined
  /** The share, 0 to 1, of those that reached production, which were rolled back or failed there. */
  readonly reached: number
  readonly failureRate: number | undefined
  /** How many times production was recovered, and the median time from such a failure to the recovery. */
  readonly recoveries: number
  readonly recoveryTime: number | undefined
  /** All deployments, and how many of them failed before they served anybody. */
  readonly deployments: number
  readonly stoppedBefore: number
}

/**
 * By the definitions of dora.dev/guides/dora-metrics-four-keys.
 *
 * @param newestFirst all records of the branch
 * @param changes the commits that were deployed, as far as they are known
 * @param to milliseconds since 1970; the figures are about the 90 days before, or the time since the first deployment
 */
export function computeFigures(
  newestFirst: readonly DeploymentRecord[],
  changes: ReadonlyMap<string, Change>,
  to: number,
): Figures {
  const all = newestFirst.filter(({ ended }) => Number.isFinite(ended)).toReversed()
  const from = Math.max(to - span, Math.min(to, all[0]?.ended ?? to))
  const isRecent = ({ ended }: DeploymentRecord) => from <= ended && ended <= to
  const recent = all.filter(record => isRecent(record) && !isRollback(record.request))
  const live = recent.filter(record => record.live)
  const reached = recent.filter(record => record.live || findServing(record) !== undefined)
  const rolledBack = findRolledBack(newestFirst)
  const leadTimes = [...attribute(all, changes)].flatMap(([record, times]) =>
    isRecent(record) ? times.map(time => Math.max(0, record.ended - time)) : [],
  )
  const recoveries = findRecoveries(all, rolledBack).filter(({ at }) => from <= at && at <= to)
  const failed = reached.filter(record => !record.live || rolledBack.has(record))
  return {
    from,
    to,
    live: live.length,
    frequency: to - from < shortestSpan ? undefined : live.length / ((to - from) / (7 * day)),
    commits: leadTimes.length,
    leadTime: median(leadTimes),
    reached: reached.length,
    failureRate: reached.length > 0 ? failed.length / reached.length : undefined,
    recoveries: recoveries.length,
    recoveryTime: median(recoveries.map(({ time }) => time)),
    deployments: recent.length,
    stoppedBefore: recent.length - reached.length,
  }
}

/** What was live when a rollback came. What it went back over as well may have served well for long. */
function findRolledBack(newestFirst: readonly DeploymentRecord[]): Set<DeploymentRecord> {
  const live = newestFirst.filter(record => record.live)
  const isUndone = (record: DeploymentRecord, index: number) => {
    const next = live[index - 1]
    return next !== undefined && isRollback(next.request) && next.commit !== record.commit
  }
  return new Set(live.filter(isUndone))
}

/** From one of these steps on requests meet the commit. */
const serving = /^(SWITCHING TO RELEASE|RESTARTING|CHECKING (HEALTH|PROCESSES))/

/** Since when requests met the commit: milliseconds since 1970; undefined where none did. */
function findServing({ steps, started, ended }: DeploymentRecord): number | undefined {
  const first = steps.findIndex(({ name }) => serving.test(name))
  const before = steps.slice(0, first).reduce((sum, { seconds = 0 }) => sum + seconds * 1000, started)
  return first < 0 ? undefined : Math.min(ended, before)
}

/** When production was well again, and how long it was not. Several failures in a row are one that lasts. */
function findRecoveries(oldestFirst: readonly DeploymentRecord[], rolledBack: ReadonlySet<DeploymentRecord>) {
  const recoveries: { readonly at: number; readonly time: number }[] = []
  let since: number | undefined
  for (const record of oldestFirst) {
    const { live, ended, restored } = record
    const isBad = live ? rolledBack.has(record) : !isRollback(record.request)
    const began = isBad ? (live ? ended : findServing(record)) : undefined
    since ??= began
    // A failed deployment has put back what was live before: nobody had to.
    const isWell = live ? !isBad : restored && since === began
    if (!isWell || since === undefined) continue
    recoveries.push({ at: ended, time: Math.max(0, ended - since) })
    since = undefined
  }
  return recoveries
}

/**
 * When the commits were made that each deployment brought, which are those that none before it had. What the first one
 * brought had not waited for it.
 */
function attribute(oldestFirst: readonly DeploymentRecord[], changes: ReadonlyMap<string, Change>) {
  const brought = new Map<DeploymentRecord, number[]>()
  const deployed = new Set<string>()
  let isFirst = true
  for (const record of oldestFirst.filter(record => record.live)) {
    const times: number[] = []
    const left = [record.commit]
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      const change = changes.get(id)
      if (deployed.has(id) || change === undefined) continue
      deployed.add(id)
      left.push(...change.parents)
      if (change.parents.length < 2) times.push(change.committed)
    }
    if (!isFirst) brought.set(record, times)
    isFirst = false
  }
  return brought
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const [low, high] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}
