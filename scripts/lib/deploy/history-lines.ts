import { styleText } from 'node:util'
import type { DeploymentRecord } from '../protocol/record.ts'
import { parseFailedStep } from '../protocol/steps.ts'
import { flatten } from '../shared/foreign-text.ts'
import { columnsOf, cut, pad } from './columns.ts'
import { nameOutcome } from './history.ts'
import { formatAge, formatDuration, formatInstant } from './times.ts'

/** Where lines are shown. */
export interface Terminal {
  /** Undefined where no terminal shows them: then nothing is cut or coloured, and a time is told as it is. */
  readonly columns: number | undefined
  /** What time it is: milliseconds since 1970. */
  readonly now: number
}

/** What is known of the deployments beside their records. */
interface Known {
  readonly live: DeploymentRecord | undefined
  readonly undone: ReadonlySet<DeploymentRecord>
  /** Of the commits that this clone has. */
  readonly subjects: ReadonlyMap<string, string>
}

/** One line a deployment, the live one marked. */
export function formatLines(
  records: readonly DeploymentRecord[],
  { live, undone, subjects }: Known,
  terminal: Terminal,
): string {
  const rows = records.map(record => [
    nameOutcome(record, record === live, undone.has(record)),
    formatTime(record.ended, terminal),
    shortenId(record.commit, terminal),
    nameOfPusher(record, terminal),
    formatDuration(record.ended - record.started),
  ])
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map(cells => columnsOf(cells[column] ?? ''))),
  )
  const align = (cells: readonly string[]) => cells.map((cell, column) => pad(cell, widths[column] ?? 0)).join('  ')
  const { columns = Number.POSITIVE_INFINITY } = terminal
  const room = columns - widths.reduce((sum, width) => sum + width + 2, 0)
  const lines = records.map((record, index) => {
    const subject = room > 3 ? describeSubject(record, subjects, room) : ''
    const text = `${align(rows[index] ?? [])}  ${subject}`.trimEnd()
    const style = record === live ? 'green' : record.live ? undefined : 'red'
    return style && terminal.columns !== undefined ? styleText(style, text) : text
  })
  return [cut(`${align(heads)}  SUBJECT`, columns), ...lines].join('\n')
}

const heads = ['', 'WHEN', 'COMMIT', 'BY', 'TOOK']

export const formatTime = (time: number, { columns, now }: Terminal) =>
  columns === undefined ? (formatInstant(time) ?? 'at an unknown time') : formatAge(now - time)

export const shortenId = (id: string, { columns }: Terminal) => (columns === undefined ? id : id.slice(0, 10))

/** At a terminal without the user of the server and the address, which take the room of what is wanted. */
export function nameOfPusher(
  { by, who }: { readonly by?: string | undefined; readonly who: string },
  { columns }: Terminal,
) {
  if (columns === undefined) return flatten(by === undefined ? who : `${by}, as ${who}`)
  return flatten(by ?? who.replace(/ from \S+$/, ''))
}

/** A record's subject; of a failure with the reason, for which the subject leaves room. @param room in columns */
export function describeSubject(record: DeploymentRecord, subjects: ReadonlyMap<string, string>, room: number): string {
  const subject = flatten(record.subject ?? subjects.get(record.commit) ?? '')
  const explanation = record.live ? '' : flatten(record.explanation ?? '')
  if (explanation === '') return cut(subject, room)
  const reason = Number.isFinite(room) ? shorten(explanation) : explanation
  const left = Math.max(Math.floor(room / 3), room - columnsOf(reason) - 2)
  return cut([cut(subject, left), reason].filter(Boolean).join(': '), room)
}

/** The first sentence, without what the whole says better: `make upgrade-db` is the step's command by default. */
function shorten(explanation: string): string {
  const reason = parseFailedStep(explanation)?.reason ?? explanation
  return reason.replace(/\.(\s.*)?$/, '').replace(/^`(?:make )?([^`]+)` exited with (\d+)$/, '$1 exited $2')
}
