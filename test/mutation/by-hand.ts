interface MutantByHand {
  /** What it breaks, as somebody would tell it who has found the defect. */
  readonly breaks: string
  readonly file: string
  /** Text that is in the file once. */
  readonly from: string
  readonly to: string
  /** The tests to try, the likeliest first. */
  readonly tests: readonly string[]
}

/** Promises that are broken on purpose, where changing everything in every way would take days: each would hurt. */
export const mutantsByHand: readonly MutantByHand[] = []
