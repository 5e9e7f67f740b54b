import { isRollback } from '../protocol/asks.ts'
import type { DeploymentRecord } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { summarize } from './history.ts'

export function formatStatus(history: readonly DeploymentRecord[]): string {
  const { live, failed } = summarize(history)
  const lines = [live ? `live    ${formatRecord(live)}` : 'Nothing was ever live.']
  if (failed) lines.push(`failed  ${formatRecord(failed)}`)
  for (const { release, commit, database } of history[0]?.kept ?? []) {
    const revision = database ? `, database at ${flatten(String(database))}` : ''
    lines.push(`kept    ${flatten(String(commit))}  release ${Number(release)}${revision}`)
  }
  return lines.join('\n')
}

export const formatHistory = (history: readonly DeploymentRecord[]) =>
  history.map(record => `${record.live ? 'live  ' : 'failed'}  ${formatRecord(record)}`).join('\n') ||
  'Nothing was ever deployed.'

/** Each text flattened: a record holds file names and a recipe's words, and everybody who may push can write one. */
function formatRecord({
  commit,
  who,
  by,
  run,
  started,
  ended,
  steps,
  request,
  explanation,
  live,
}: DeploymentRecord): string {
  const how = isRollback(request) ? ', rolled back' : ''
  return [
    `${commit}  ${formatTime(ended)}  by ${by ? `${flatten(String(by))}, as ` : ''}${flatten(String(who))}${how}, took ${(ended - started) / 1000} s`,
    ...(run ? [flatten(String(run))] : []),
    ...steps.map(step => `${flatten(String(step?.name))} ${formatSeconds(step?.seconds)}`),
    ...(live || !explanation ? [] : [flatten(String(explanation))]),
  ].join('\n          ')
}

const formatSeconds = (seconds: number | undefined) => (seconds === undefined ? 'not finished' : `${Number(seconds)} s`)

const formatTime = (milliseconds: number) => {
  const time = new Date(milliseconds)
  return Number.isNaN(time.getTime()) ? 'at an unknown time' : time.toISOString()
}
