import { isDeployed, type Verdict } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Looked } from './check-lines.ts'
import { formatLive } from './outcome.ts'
import type { SeenSteps } from './seen-steps.ts'

/** What is known of a deployment or a rollback when it ends: for its CI, for --json, and for its trace. */
export interface Result {
  command?: 'deploy' | 'rollback'
  /** The commit that is asked for, and then the one that the hook's verdict is about. */
  commit?: string | undefined
  verdict?: Verdict | undefined
  /** Where the application is. */
  url?: string | undefined
  subject?: string | undefined
  /** What the branch was on the server before: a part of an id. */
  movedFrom?: string | undefined
  /** Absent where nothing was pushed. */
  steps?: SeenSteps
  /** What a check has looked at. */
  checks?: readonly Looked[]
}

/** How it ended, for people. */
export interface Ending {
  readonly code: number
  readonly isLive: boolean
  /** A few words. */
  readonly title: string
  /** One line. */
  readonly said: string
}

/** @param outcome the exit code, or what was thrown in its place */
export function describeEnding({ commit = '', verdict }: Result, outcome: unknown): Ending {
  const isLive = verdict?.live === true
  const code = codeOf(outcome)
  const said = isLive
    ? `${formatLive(verdict)}${isDeployed(verdict) ? '' : `, ${flatten(verdict.explanation)}`}.`
    : outcome === 0
      ? `${commit} was pushed. Whether it is live is not known.`
      : flatten(String(outcome)).replace(/(?<=[^.:;])(?= To do: )/g, '.')
  const title = isLive ? (verdict.notChecked === undefined ? 'Live' : 'In place') : (titles[code] ?? 'Ended early')
  return { code, isLive, title, said: cut(said, longestVerdict) }
}

export const codeOf = (outcome: unknown): number =>
  typeof outcome === 'number' ? outcome : outcome instanceof Failure ? outcome.exitCode : exitCode.bug

/** By exit code. */
const titles: Readonly<Record<number, string>> = {
  0: 'Not verified',
  [exitCode.failed]: 'Not live',
  [exitCode.usage]: 'Nothing was sent',
  [exitCode.unreachable]: 'Server not reached',
  [exitCode.refused]: 'Push refused',
  [exitCode.unknown]: 'No verdict',
  [exitCode.bug]: 'A bug in pushlive',
}

/** In characters: a CI takes no summary of a megabyte. */
const longestVerdict = 4000
export const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length)} ...` : text)
