import { flatten } from '../shared/foreign-text.ts'
import { partOfId } from './ids.ts'

/**
 * The hook's last line, the only one that deploy believes. It begins at the start of a line; what a step prints never
 * does, because it is indented. The words after the colon are for people.
 */
export interface Verdict {
  readonly commit: string
  readonly live: boolean
  /** Set where it could not even be tried: the branch on the server does not contain the commit. */
  readonly isElsewhere?: boolean
  readonly explanation: string
  /** Why it is only in place: nobody has asked whether the application answers. Only where it is live. */
  readonly notChecked?: string | undefined
}

const form = new RegExp(`^pushlive: (${partOfId}|previous) (is live|is not live|is not on the branch)(?:: (.*))?$`)

export function formatVerdict(verdict: Verdict): string {
  const { commit, live, isElsewhere } = verdict
  const explanation = explain(verdict)
  const word = live ? 'is live' : isElsewhere ? 'is not on the branch' : 'is not live'
  return `pushlive: ${commit} ${word}${explanation && `: ${flatten(explanation)}`}`
}

export function parseVerdict(line: string): Verdict | undefined {
  const [, commit, word, explanation = ''] = form.exec(line) ?? []
  if (commit === undefined) return undefined
  const live = word === 'is live'
  const unchecked = live ? /^(?:(.*?), )?not checked: (.*)$/.exec(explanation) : null
  return {
    commit,
    live,
    isElsewhere: word === 'is not on the branch',
    explanation: unchecked ? (unchecked[1] ?? '') : explanation,
    notChecked: unchecked?.[2],
  }
}

/** The explanation with what was not checked, which an older deploy shows as a part of it. */
export const explain = ({ explanation, notChecked }: Pick<Verdict, 'explanation' | 'notChecked'>) =>
  [explanation, notChecked && `not checked: ${notChecked}`].filter(Boolean).join(', ')

export const alreadyLive = 'already live'

/**
 * The explanation of a commit that went live now.
 *
 * @param wentBackTo the commit of a rollback that came between its push and its turn
 */
export const explainDeployed = (seconds: number, wentBackTo?: string) =>
  `in ${seconds} s${wentBackTo ? `; it was pushed after the rollback to ${wentBackTo} was asked for` : ''}`
export const isDeployed = ({ live, explanation }: Verdict) => live && /^in [\d.]+ s(;|$)/.test(explanation)

/**
 * The version of all that deploy and the hook say to each other, which is what protocol/ holds. It was 1 in 0.1.0, whose
 * greeting does not name it. A change that the other side would misunderstand takes the next number.
 */
export const protocol = 2

/** The hook's first line: where it was said and no verdict followed, the hook was stopped half-way. */
const greeting = 'pushlive post-receive'

export const formatGreeting = (version: string) => `${greeting} ${version}, protocol ${protocol}`

export interface Greeting {
  readonly version: string
  readonly protocol: number
}

export function parseGreeting(line: string): Greeting | undefined {
  const [, version, number = '1'] = /^pushlive post-receive (.+?)(?:, protocol (\d+))?$/.exec(line) ?? []
  return version === undefined ? undefined : { version, protocol: Number(number) }
}
