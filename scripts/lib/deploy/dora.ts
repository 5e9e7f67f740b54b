import { isRollback } from '../protocol/asks.ts'
import type { DeploymentRecord } from '../protocol/record.ts'

const day = 86_400_000

/** DORA's four key figures for a span of time. Times are milliseconds; undefined where there is no data. */
export interface Figures {
  readonly from: number
  readonly to: number
  readonly deployments: number
  /** Deployments that went live, a week. */
  readonly frequency: number
  /** From when the commit was made to when it was live: the median. */
  readonly leadTime: number | undefined
  /** The share of deployments that failed or were rolled back: 0 to 1. */
  readonly failureRate: number | undefined
  /** From a failure to the next deployment that went live: the median. */
  readonly timeToRestore: number | undefined
}

/**
 * @param newestFirst all records of the branch
 * @param committed when each commit was made, as far as it is known
 * @param now milliseconds since 1970; the figures are about the 90 days before, or the time since the first deployment
 */
export function computeFigures(
  newestFirst: readonly DeploymentRecord[],
  committed: ReadonlyMap<string, number>,
  now: number,
): Figures {
  const records = newestFirst.filter(({ ended }) => Number.isFinite(ended)).toReversed()
  const from = Math.max(now - 90 * day, Math.min(now, records[0]?.ended ?? now))
  const recent = records.filter(({ ended }) => ended >= from)
  const changes = recent.filter(({ request }) => !isRollback(request))
  const live = changes.filter(record => record.live)
  const nextLive = (record: DeploymentRecord) => recent.slice(recent.indexOf(record) + 1).find(next => next.live)
  const failed = changes.filter(record => !record.live || isRollback(nextLive(record)?.request))
  const leadTimes = live.flatMap(({ commit, ended }) => {
    const since = committed.get(commit)
    return since === undefined ? [] : [Math.max(0, ended - since)]
  })
  // Several failures in a row count as one that lasts.
  const restored = new Map<DeploymentRecord, number>()
  for (const record of failed) {
    const next = nextLive(record)
    if (next && !restored.has(next)) restored.set(next, Math.max(0, next.ended - record.ended))
  }
  return {
    from,
    to: now,
    deployments: changes.length,
    frequency: live.length / Math.max(1, (now - from) / (7 * day)),
    leadTime: median(leadTimes),
    failureRate: changes.length > 0 ? failed.length / changes.length : undefined,
    timeToRestore: median([...restored.values()]),
  }
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const [low, high] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}
