import { styleText } from 'node:util'
import type { DeploymentRecord } from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { columnsOf, cut, pad } from './columns.ts'
import { nameOutcome } from './history.ts'
import { formatAge, formatDuration } from './times.ts'

/** How many columns there are, and what time it is: milliseconds since 1970. */
export interface Terminal {
  readonly columns: number
  readonly now: number
}

/**
 * For people at a terminal: one line a deployment, the live one marked. It is loaded only there.
 *
 * @param subjects of the commits that this clone has
 */
export function formatLines(
  records: readonly DeploymentRecord[],
  live: DeploymentRecord | undefined,
  subjects: ReadonlyMap<string, string>,
  { columns, now }: Terminal,
  { hasHead = false, undone = new Set() }: { hasHead?: boolean; undone?: ReadonlySet<DeploymentRecord> } = {},
): string {
  const rows = records.map(record => {
    const { commit, ended, started, who, by } = record
    const cells = [
      nameOutcome(record, record === live, undone.has(record)),
      formatAge(now - ended),
      commit.slice(0, 10),
      flatten(by ?? who),
      formatDuration(ended - started),
    ]
    return { record, cells, subject: flatten(record.subject ?? subjects.get(commit) ?? '') }
  })
  const widths = heads.map((head, column) =>
    Math.max(hasHead ? head.length : 0, ...rows.map(({ cells }) => columnsOf(cells[column] ?? ''))),
  )
  const room = columns - widths.reduce((sum, width) => sum + width + 2, 0)
  const head = heads.map((head, column) => pad(head, widths[column] ?? 0)).join('  ')
  const lines = rows
    .map(({ record, cells, subject }) => {
      const line = cells.map((cell, column) => pad(cell, widths[column] ?? 0)).join('  ')
      const text = `${line}  ${room > 3 ? cut(subject, room) : ''}`.trimEnd()
      if (record === live) return styleText('green', text)
      return record.live ? text : styleText('red', text)
    })
    .join('\n')
  return hasHead ? `${cut(`${head}  SUBJECT`, columns)}\n${lines}` : lines
}

const heads = ['', 'WHEN', 'COMMIT', 'BY', 'TOOK']
