import { styleText } from 'node:util'
import { type DeploymentRecord, findPrevious } from '../protocol/record.ts'
import { describeRevision } from '../protocol/revision.ts'
import type { Running } from '../protocol/running.ts'
import { flatten } from '../shared/foreign-text.ts'
import { columnsOf, cut, pad } from './columns.ts'
import { findBefore, nameOutcome } from './history.ts'
import { describeSubject, formatTime, nameOfPusher, shortenId, type Terminal } from './history-lines.ts'
import { formatDuration } from './times.ts'

/** What `deploy status` shows. */
export interface Status {
  /** Which branch, and where. */
  readonly place: string
  readonly url: string | undefined
  /** Newest first. */
  readonly records: readonly DeploymentRecord[]
  readonly live: DeploymentRecord | undefined
  readonly failed: DeploymentRecord | undefined
  readonly running: Running | undefined
  readonly subjects: ReadonlyMap<string, string>
  /** How many commits the branch here has that are not live. Undefined where this clone cannot tell. */
  readonly ahead: number | undefined
  readonly branch: string
  /** A command as its user types it. */
  readonly type: (command: string) => string
}

type Row = readonly [what: string, commit: string, subject: string, more: string, style?: 'green' | 'red' | 'bold']

/** A line each for what is live, what runs, what failed, and where a rollback can go. */
export function formatStatusLines(status: Status, terminal: Terminal): string {
  const { place, url, records, live, failed, running, subjects, type } = status
  const { columns = Number.POSITIVE_INFINITY } = terminal
  const isAtTerminal = terminal.columns !== undefined
  const nameOf = (commit: string, subject?: string) => flatten(subject ?? subjects.get(commit) ?? '')
  const subjectOf = (record: DeploymentRecord) => describeSubject(record, subjects, columns)
  const rows: Row[] = []
  const before = findBefore(records)
  if (before !== undefined) rows.push(['● live', before, nameOf(before), 'as before the first deployment', 'green'])
  if (live) {
    const took = `${formatTime(live.ended, terminal)}, ${nameOfPusher(live, terminal)}, took ${formatDuration(live.ended - live.started)}`
    rows.push([nameOutcome(live, true, false), live.commit, subjectOf(live), took, 'green'])
  }
  if (running) {
    const { commit, subject, step, stepSeconds, seconds } = running
    const doing = step ? `${toSentence(flatten(step))}, ${formatSeconds(stepSeconds)}` : formatSeconds(seconds)
    rows.push(['▶ deploying', commit, nameOf(commit, subject), `${doing}, ${nameOfPusher(running, terminal)}`, 'bold'])
  }
  if (failed) {
    const how = `${formatTime(failed.ended, terminal)}, ${nameOfPusher(failed, terminal)}: ${type('log')}`
    rows.push([nameOutcome(failed, false, false), failed.commit, subjectOf(failed), how, 'red'])
  }
  const previous = findPrevious(records)
  const kept = new Map(records[0]?.kept?.map(each => [each.commit, each]))
  for (const { commit, release, database } of kept.values()) {
    if (commit === live?.commit) continue
    const command = type(commit === previous ? 'rollback' : `rollback ${commit.slice(0, 10)}`)
    const state = `release ${release}${database === undefined ? '' : `, database at ${describeRevision(database)}`}`
    rows.push(['↺ kept', commit, nameOf(commit), isAtTerminal ? command : `${command} (${state})`])
  }
  const widest = (texts: readonly string[]) => Math.max(0, ...texts.map(columnsOf))
  const [first, last] = [widest(rows.map(([what]) => what)), widest(rows.map(([, , , more]) => more))]
  const wanted = widest(rows.map(([, , subject]) => subject))
  const room = Math.max(0, Math.min(wanted, columns - 2 - first - 2 - 10 - 2 - 2 - last))
  const lines = rows.map(([what, commit, subject, more, style]) => {
    const text = `  ${pad(what, first)}  ${shortenId(commit, terminal)}  ${room > 3 ? `${pad(cut(subject, room), room)}  ` : ''}${more}`
    return style && isAtTerminal ? styleText(style, cut(text, columns)) : cut(text, columns)
  })
  const blank = columns - columnsOf(place) - columnsOf(url ?? '')
  const isOneLine = isAtTerminal && blank > 1
  const title = url === undefined ? [place] : isOneLine ? [place + ' '.repeat(blank) + url] : [place, url]
  if (rows.length === 0) lines.push('  Nothing was ever live.')
  return [...title, ...lines, ...describeAhead(status)].join('\n')
}

function describeAhead({ ahead, branch, live, type }: Status): string[] {
  if (live === undefined || ahead === undefined) return []
  if (ahead === 0) return [`${branch} here has nothing that is not live.`]
  return [`${branch} here is ${ahead} ${ahead === 1 ? 'commit' : 'commits'} ahead of what is live: ${type('').trim()}`]
}

const formatSeconds = (seconds: number | undefined) => formatDuration((Number(seconds) || 0) * 1000)
const toSentence = (step: string) => step.charAt(0) + step.slice(1).toLowerCase()
