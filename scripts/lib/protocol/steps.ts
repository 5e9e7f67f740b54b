/**
 * How the hook announces a step: its name in capitals, then in brackets where it happens. deploy reads the name, and no
 * recipe can announce a step, because what a recipe prints is indented.
 *
 * @param title the name, with what is in brackets
 */
export const formatAnnouncement = (title: string) => `${title} ...`

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
