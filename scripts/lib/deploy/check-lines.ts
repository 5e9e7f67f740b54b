import { styleText } from 'node:util'
import type { Check } from '../protocol/checks.ts'
import { flatten } from '../shared/foreign-text.ts'
import { wrap } from './columns.ts'

/** What was looked at, and where. */
export interface Looked extends Check {
  readonly where: 'here' | 'server'
  /** What a line of what is right has of it, where that is more than what it is about. */
  readonly label?: string
}

type Paint = (style: Parameters<typeof styleText>[0], text: string) => string

/**
 * What is right on a line for each place; then what is not, each with what to do; and whether a deployment would succeed.
 *
 * @param columns of the terminal; undefined where none shows it: without colours, and a line is as long as it is
 */
export function formatChecks(checks: readonly Looked[], isReady: boolean | undefined, columns?: number): string {
  const width = columns ?? Number.POSITIVE_INFINITY
  const paint: Paint = (style, text) => (columns === undefined ? text : styleText(style, text))
  const lines = (['here', 'server'] as const).flatMap(place => {
    const [title, own] = [place === 'here' ? 'Here' : 'Server', checks.filter(({ where }) => where === place)]
    const right = own.filter(isRight).map(({ what, label = what }) => `✓ ${flatten(label)}`)
    const blocks = [
      ...(right.length > 0 ? wrap(right.join('  '), width - indent.length - 1, '  ') : []),
      ...own.filter(check => !isRight(check)).flatMap(check => describe(check, width - indent.length - 3, paint)),
    ]
    return blocks.map((line, n) => (n === 0 ? title.padEnd(indent.length) : indent) + line)
  })
  return [...lines, conclude(checks, isReady, paint)].join('\n')
}

const indent = ' '.repeat('Server  '.length)
const isRight = ({ isOk, isNote }: Looked) => isOk === true && !isNote

function describe({ what, isOk, isNote, found, fix }: Looked, width: number, paint: Paint): string[] {
  const [sign, style] = isNote
    ? (['!', 'yellow'] as const)
    : isOk === false
      ? (['✗', 'red'] as const)
      : (['?'] as const)
  const said = Number.isFinite(width) ? found.split('\n') : [flatten(found)]
  const [first = '', ...others] = [
    `${sign} ${flatten(what)}: ${said[0]}`,
    ...said.slice(1),
    ...(fix ? [`To do: ${fix}`] : []),
  ].flatMap(line => wrap(line, width))
  return [style ? paint(style, first) : first, ...others.map(line => `  ${line}`)]
}

function conclude(checks: readonly Looked[], isReady: boolean | undefined, paint: Paint): string {
  const wrong = checks.filter(({ isOk }) => isOk === false).length
  if (isReady) return paint(['bold', 'green'], '✓ Nothing is in the way of a deployment.')
  if (isReady === undefined) return 'Nothing is wrong here. What the server lacks is not known.'
  return paint(['bold', 'red'], `${wrong} ${wrong === 1 ? 'problem' : 'problems'}: a deployment would fail.`)
}
