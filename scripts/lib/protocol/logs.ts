import { wholeId } from './ids.ts'

/** Which deployment a log is of. */
export interface LogTitle {
  readonly commit: string
  /** When it began: ISO 8601, as the record has it. */
  readonly started: string
  /** How much is left out at its beginning: bytes. */
  readonly skipped: number
}

/** The file's name: sorted by name, logs are sorted by time. */
export const formatLogName = ({ commit, started }: Omit<LogTitle, 'skipped'>) =>
  `${started.replace(/[-:]/g, '')}-${commit}.log`

const logName = new RegExp(String.raw`^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\d\.\d{3}Z)-(${wholeId})\.log$`)

/** Undefined for a file that is no log. */
export function parseLogName(name: string): Omit<LogTitle, 'skipped'> | undefined {
  const [, year, month, dayAndHour, minute, rest, commit] = logName.exec(name) ?? []
  return commit === undefined ? undefined : { commit, started: `${year}-${month}-${dayAndHour}:${minute}:${rest}` }
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
