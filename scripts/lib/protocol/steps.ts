/**
 * How the hook announces a step: its name in capitals, then in brackets where it happens. deploy reads the name, and no
 * recipe can announce a step, because what a recipe prints is indented.
 *
 * @param title the name, with what is in brackets
 * @param usualSeconds how long it usually takes, where that is worth saying
 */
export const formatAnnouncement = (title: string, usualSeconds?: number) =>
  usualSeconds === undefined ? `${title} ...` : `${title} (usually ${usualSeconds} s) ...`

/** How long the announced step usually takes: seconds. Undefined where the hook has not said it. */
export function parseUsual(line: string): number | undefined {
  const [, seconds] = / \(usually (\d+) s\) \.\.\.$/.exec(line) ?? []
  return seconds === undefined ? undefined : Number(seconds)
}

/** What the hook announces when a step has failed, and more steps follow. */
export const puttingBack = 'PUTTING BACK THE PREVIOUS CODE'

/** @param what it waits for, in capitals */
export const formatWaiting = (what: string) => formatAnnouncement(`WAITING FOR ${what}`)

/** A step's name, without what is in brackets. */
export const nameInTitle = (title: string) => title.replace(/ \(.*/, '')

const announcement = /^(?:(WAITING) FOR .*|([A-Z][A-Z\d ]+?)(?: \(.*\))?) \.\.\.$/

/** The name of the step that a line of the hook announces, or WAITING. */
export function parseAnnouncement(line: string): string | undefined {
  const [, waiting, step] = announcement.exec(line) ?? []
  return waiting ?? step
}

/** Which step has failed, and why, in the hook's first line about it. */
export function parseFailedStep(line: string): { readonly step: string; readonly reason: string } | undefined {
  const [, step, reason = ''] = /^([A-Z][A-Z\d ]+) failed: (.*)$/.exec(line) ?? []
  return step === undefined ? undefined : { step, reason }
}
export const formatFailedStep = (step: string, reason: string) => `${step} failed: ${reason}`
