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
