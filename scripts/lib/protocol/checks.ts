import { flatten } from '../shared/foreign-text.ts'

/** One thing that a deployment needs; `deploy check` shows them. */
export interface Check {
  readonly what: string
  /** Undefined where it was not looked at. */
  readonly isOk: boolean | undefined
  /** What was found, or what is wrong. */
  readonly found: string
  /** Whether people have to know it, although no deployment fails of it. */
  readonly isNote?: boolean | undefined
  readonly fix?: string | undefined
}

/** How the hook tells deploy of one, and what it says after the last one. An older deploy shows all of it as it is. */
export function formatCheck({ what, isOk, found, isNote, fix }: Check): string {
  const said = flatten(found)
  const all = fix === undefined ? said : `${withoutDot(said)}. To do: ${flatten(fix)}`
  return `${isOk ? 'ok:' : 'wrong:'} ${what}: ${isNote ? 'note: ' : ''}${all}`
}
export const endOfChecks = 'That is all that a deployment needs here.'

export function parseCheck(line: string): Check | undefined {
  const [, word, what = '', note, said = ''] = /^(ok|wrong): (.+?): (note: )?(.*)$/.exec(line) ?? []
  if (word === undefined) return undefined
  // Up to the last one: a file's name may have such words, too.
  const [, problem, fix] = /^(.*) To do: (.*)$/.exec(said) ?? []
  return {
    what,
    isOk: word === 'ok',
    ...(problem === undefined || fix === undefined
      ? { found: said }
      : { found: withoutDot(problem), fix: withoutDot(fix) }),
    ...(note !== undefined && { isNote: true }),
  }
}

const withoutDot = (sentence: string) => sentence.replace(/\.$/, '')
