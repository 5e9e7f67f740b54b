/** A change on purpose: tests have to notice it. */
export interface Mutant {
  /** The file that is changed, from the project's folder. */
  readonly file: string
  readonly line: number
  /** What is changed, told the same when the file around it changes. */
  readonly name: string
  /** The file's whole text with the change. */
  readonly text: string
  /** The tests to try, in this order; those of the file if it has none of its own. */
  readonly tests?: readonly string[]
}

/** One that somebody has thought of. */
export interface MutantByHand {
  /** What it breaks, as somebody would tell it who has found the defect. */
  readonly breaks: string
  readonly file: string
  /** Text that is in the file once. */
  readonly from: string
  readonly to: string
  /** The tests to try, the likeliest first. */
  readonly tests: readonly string[]
}
