import { flatten } from '../shared/foreign-text.ts'

/** One thing that a deployment needs; `deploy check` shows them. */
export interface Check {
  readonly what: string
  readonly isOk: boolean
  /** What was found, or what is wrong. */
  readonly found: string
}

/** How the hook tells deploy of one, and what it says after the last one. */
export const formatCheck = ({ what, isOk, found }: Check) => `${isOk ? 'ok:' : 'wrong:'} ${what}: ${flatten(found)}`
export const endOfChecks = 'That is all that a deployment needs here.'

export function parseCheck(line: string): Check | undefined {
  const [, word, what = '', found = ''] = /^(ok|wrong): (.+?): (.*)$/.exec(line) ?? []
  return word === undefined ? undefined : { what, isOk: word === 'ok', found }
}
