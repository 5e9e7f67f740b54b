import { exitCode, Failure } from '../../shared/program.ts'
import { parseEnvLines } from '../../shared/settings.ts'

/** A setting in a text of settings: `start` and `end` of its lines, `raw` as its value is written there. */
interface Assignment {
  readonly name: string
  readonly raw: string
  readonly start: number
  readonly end: number
  /** What stands behind the value on its line. */
  readonly comment: string
}

/** As dotenv finds them (LINE in its source), which tells no positions. */
function assignmentsIn(text: string): Assignment[] {
  const line =
    /^\s*(?:export\s+)?([\w.-]+)(\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$/dgm
  return [...text.matchAll(line)].map(found => {
    const [, name = '', , raw = ''] = found
    const [, nameAt = [0, 0], equalAt = [0, 0], rawAt = equalAt] = found.indices ?? []
    const lineEnd = text.indexOf('\n', rawAt[1])
    const end = lineEnd === -1 ? text.length : lineEnd + 1
    // A # without a blank before it was meant to be part of the value.
    const [, comment = ''] = /\s(#.*)/.exec(text.slice(rawAt[1] - 1, end)) ?? []
    return { name, raw: raw.trim(), start: text.lastIndexOf('\n', nameAt[0]) + 1, end, comment }
  })
}

/**
 * A value so that dotenv and systemd's EnvironmentFile (systemd.exec(5)) read the same. Neither knows an escape inside
 * single quotes, and inside double quotes each knows others.
 *
 * @returns undefined where no quotes can do that
 */
export function quoteValue(value: string): string | undefined {
  if (/^[\w./:@%+,-]*$/.test(value)) return value
  // systemd takes no control character but these; dotenv takes a quote behind a backslash for a part of the value.
  if (/[^\P{Cc}\t]|\\$/u.test(value)) return undefined
  if (!value.includes("'")) return `'${value}'`
  return /["\\]/.test(value) ? undefined : `"${value}"`
}

/** Settings by name, each as it is to be written behind the equal sign; undefined removes one. */
export type Edits = ReadonlyMap<string, string | undefined>

/**
 * Changes settings of a text. All other lines stay, and so does a comment behind an old value, on a line of its own:
 * systemd would take it for a part of the value.
 *
 * @param place of the text, for people
 * @throws Failure (usage) where another setting would change, too, because of an odd line
 */
export function editEnv(text: string, edits: Edits, place: string): string {
  let edited = text.replace(/\r\n?/g, '\n')
  for (const [name, raw] of edits) edited = editOne(edited, name, raw)
  const [before, after] = [valuesOf(text), valuesOf(edited)]
  const wrong = Object.keys({ ...before, ...after }).filter(name => !edits.has(name) && before[name] !== after[name])
  const isLost = (name: string, raw: string | undefined) => (raw === undefined) === Object.hasOwn(after, name)
  wrong.push(...[...edits].filter(([name, raw]) => isLost(name, raw)).map(([name]) => name))
  if (wrong.length === 0) return edited
  throw new Failure(exitCode.usage, `${place} cannot be changed line by line: ${wrong.join(', ')} would be wrong.`, {
    fix: 'look for a quote there that is not closed, and correct the file by hand',
  })
}

function editOne(text: string, name: string, raw: string | undefined): string {
  const written = raw === undefined ? '' : `${name}=${raw}\n`
  const found = assignmentsIn(text).filter(each => each.name === name)
  if (found.length === 0) return text + (text === '' || text.endsWith('\n') || written === '' ? '' : '\n') + written
  // The last one counts.
  return found.reduceRight((text, { start, end, comment }, index) => {
    const line = (comment && `${comment}\n`) + (index === found.length - 1 ? written : '')
    return text.slice(0, start) + line + text.slice(end)
  }, text)
}

/**
 * The server's settings where those in a file are given again. What was changed on the server since the file was given
 * before stays, unless the file has changed in the same place.
 *
 * @param before the file as it was given then; undefined where that is not known: then what only the server has stays
 * @returns the text, the names of what stays, and of what was changed in both places, where the file counts
 */
export function mergeEnv(file: string, server: string, before: string | undefined, place: string) {
  const [mine, theirs, base] = [valuesOf(file), valuesOf(server), valuesOf(before ?? '')]
  const written = assignmentsIn(server.replace(/\r\n?/g, '\n'))
  const kept = new Map<string, string | undefined>()
  const overruled: string[] = []
  for (const name of Object.keys({ ...theirs, ...mine })) {
    if (mine[name] === theirs[name]) continue
    const isGiven = before === undefined ? Object.hasOwn(mine, name) : mine[name] !== base[name]
    const isSetThere = before === undefined ? Object.hasOwn(theirs, name) : theirs[name] !== base[name]
    if (isSetThere && !isGiven) kept.set(name, written.findLast(each => each.name === name)?.raw)
    else if (isSetThere && before !== undefined) overruled.push(name)
  }
  return { text: editEnv(file, kept, place), kept: [...kept.keys()], overruled }
}

const valuesOf = (text: string) => parseEnvLines('', text).values
