import { isRollback } from '../protocol/asks.ts'
import type { DeploymentRecord } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { summarize } from './history.ts'

export function formatStatus(history: readonly DeploymentRecord[]): string {
  const { live, failed } = summarize(history)
  const lines = [live ? `live    ${formatRecord(live)}` : 'Nothing was ever live.']
  if (failed) lines.push(`failed  ${formatRecord(failed)}`)
  return [...lines, ...formatKept(history)].join('\n')
}

/** The releases that a rollback can switch to. */
export function formatKept([newest]: readonly DeploymentRecord[]): string[] {
  return (newest?.kept ?? []).map(({ release, commit, database }) => {
    const revision = database ? `, database at ${flatten(String(database))}` : ''
    return `kept    ${flatten(String(commit))}  release ${Number(release)}${revision}`
  })
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

/** How many columns there are, whether colour is welcome, and what time it is: milliseconds since 1970. */
export interface Terminal {
  readonly columns: number
  readonly hasColour: boolean
  readonly now: number
}

/** For people: one line a deployment, and what serves marked. @param subjects of the commits that this clone has */
export function formatLines(
  records: readonly DeploymentRecord[],
  live: DeploymentRecord | undefined,
  subjects: ReadonlyMap<string, string>,
  { columns, hasColour, now }: Terminal,
): string {
  const rows = records.map(record => {
    const { commit, ended, started, request, who, by } = record
    const [colour, outcome] = record === live ? [32, '● live'] : record.live ? [0, '○ was live'] : [31, '✗ failed']
    const how = isRollback(request) ? ', rolled back' : ''
    const cells = [
      formatAge(now - ended),
      commit.slice(0, 10),
      flatten(String(by ?? who)),
      formatLength(ended - started),
    ]
    return { colour, cells: [`${outcome}${how}`, ...cells], subject: flatten(subjects.get(commit) ?? '') }
  })
  const widths = [0, 1, 2, 3, 4].map(at => Math.max(0, ...rows.map(({ cells }) => [...(cells[at] ?? '')].length)))
  const left = columns - widths.reduce((sum, width) => sum + width + 2, 0)
  return rows
    .map(({ colour, cells, subject }) => {
      const line = cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')
      const shown = left > 3 && [...subject].length > left ? `${[...subject].slice(0, left - 1).join('')}…` : subject
      const text = `${line}  ${left > 3 ? shown : ''}`.trimEnd()
      return hasColour && colour ? `\u001b[${colour}m${text}\u001b[0m` : text
    })
    .join('\n')
}

/** In the largest unit that there is at least one of. */
function formatAge(milliseconds: number): string {
  const units = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const
  const seconds = milliseconds / 1000
  const [length, unit] = units.find(([length]) => seconds >= length) ?? [1, 's']
  return Number.isFinite(seconds) ? `${Math.max(0, Math.floor(seconds / length))} ${unit} ago` : 'at an unknown time'
}

export const formatLength = (milliseconds: number) =>
  milliseconds < 60_000
    ? `${(milliseconds / 1000).toFixed(1)} s`
    : `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`
