import { wholeId } from './ids.ts'

/** Which deployment a log is of. */
export interface LogTitle {
  readonly commit: string
  /** When it began: ISO 8601, as the record has it. */
  readonly started: string
  /** How much is left out at its beginning: bytes. */
  readonly skipped: number
}

export interface LogName extends Omit<LogTitle, 'skipped'> {
  /** Tells the order of logs, which a clock that is set back does not change. 0 where an older version wrote it. */
  readonly number: number
}

export const formatLogName = ({ number, commit, started }: LogName) =>
  `${String(number).padStart(6, '0')}-${started.replace(/[-:]/g, '')}-${commit}.log`

const logName = new RegExp(String.raw`^(?:(\d{6,})-)?(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\d\.\d{3}Z)-(${wholeId})\.log$`)

/** Undefined for a file that is no log. */
export function parseLogName(name: string): LogName | undefined {
  const [, number = 0, year, month, dayAndHour, minute, rest, commit] = logName.exec(name) ?? []
  const started = `${year}-${month}-${dayAndHour}:${minute}:${rest}`
  return commit === undefined ? undefined : { number: Number(number), commit, started }
}

/** How the hook announces a log, which follows indented, and what it says after the last one. */
export const formatLogTitle = ({ commit, started, skipped }: LogTitle) =>
  `Log of ${commit}, deployed at ${started}, from byte ${skipped} on:`
export const endOfLogs = 'That is what is kept of logs.'

const logTitle = new RegExp(String.raw`^Log of (${wholeId}), deployed at (\S+), from byte (\d+) on:$`)

export function parseLogTitle(line: string): LogTitle | undefined {
  const [, commit = '', started = '', skipped] = logTitle.exec(line) ?? []
  return skipped === undefined ? undefined : { commit, started, skipped: Number(skipped) }
}
