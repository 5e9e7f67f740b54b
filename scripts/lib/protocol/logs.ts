/** Which deployment a log is of. */
export interface LogTitle {
  readonly commit: string
  /** When it began: ISO 8601, as the record has it. */
  readonly started: string
  /** How much is left out at its beginning: bytes. */
  readonly skipped: number
}

/** How the hook announces a log, which stands indented under that, and what it says when it is through. */
export const formatLogTitle = ({ commit, started, skipped }: LogTitle) =>
  `Log of ${commit}, deployed at ${started}, from byte ${skipped} on:`
export const endOfLogs = 'That is what is kept of logs.'

export function parseLogTitle(line: string): LogTitle | undefined {
  const [, commit = '', started = '', skipped] =
    /^Log of ([0-9a-f]{40,64}), deployed at (\S+), from byte (\d+) on:$/.exec(line) ?? []
  return skipped === undefined ? undefined : { commit, started, skipped: Number(skipped) }
}
