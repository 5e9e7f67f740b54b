import { isCommitId } from './ids.ts'

/** A deployment that runs. Its times are in seconds until now: the clocks of two machines differ. */
export interface Running {
  readonly commit: string
  readonly subject?: string | undefined
  readonly who: string
  readonly by?: string | undefined
  readonly seconds: number
  /** What it does now, as the hook announces it. Absent before the first step. */
  readonly step?: string | undefined
  readonly stepSeconds?: number | undefined
}

/** How the hook tells deploy of one, and what it says after that. */
export const formatRunning = (running: Running) => `Deploying: ${JSON.stringify(running)}`
export const endOfRunning = 'That is all that runs here.'

/** Undefined for a line that tells of none. */
export function parseRunning(line: string): Running | undefined {
  const [, json] = /^Deploying: (\{.*\})$/.exec(line) ?? []
  try {
    const running: { readonly [K in keyof Running]?: unknown } = JSON.parse(json ?? 'null') ?? {}
    const { commit, who, seconds } = running
    if (typeof commit !== 'string' || !isCommitId(commit) || typeof who !== 'string') return undefined
    const past = secondsOf(seconds)
    if (past === undefined) return undefined
    const [subject, by, step] = [running.subject, running.by, running.step].map(textOf)
    return { commit, subject, who, by, seconds: past, step, stepSeconds: secondsOf(running.stepSeconds) }
  } catch {
    return undefined
  }
}

const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)
const secondsOf = (value: unknown) => (typeof value === 'number' && value >= 0 ? value : undefined)
