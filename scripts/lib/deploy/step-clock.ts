import { parseAnnouncement } from '../protocol/steps.ts'
import { parseVerdict } from '../protocol/verdict.ts'
import { isInCi } from './ci/recognize.ts'
import type { Listener } from './push.ts'

/** After how long a silence a step looks as if it hung: seconds. */
const longSilence = 60
/** The same before the first step. */
const longBeginning = 15
/** What lasts until the server announces its first step. */
const beginning = 'WAITING FOR THE SERVER'

/**
 * Says how long the current step has been running, or the server has announced none. At a terminal a line counts the
 * seconds. Elsewhere, where a CI might end a silent job, it says so after each minute without output.
 *
 * @param isTerminal not in a CI whose runner gives jobs a terminal: a command that follows such a line is none there
 */
export class StepClock implements Listener, Disposable {
  readonly #listener: Listener
  readonly #isTerminal: boolean
  readonly #ticking = setInterval(() => this.#tick(), 1000).unref()
  #step: string | undefined = beginning
  #seconds = 0
  #silence = 0
  #isShown = false

  constructor(listener: Listener, isTerminal = process.stderr.isTTY && process.env.TERM !== 'dumb' && !isInCi()) {
    this.#listener = listener
    this.#isTerminal = isTerminal
  }

  serverPrinted(line: string): void {
    this.#wipe()
    const step = parseAnnouncement(line)
    if (step !== undefined) this.#seconds = 0
    if (step !== undefined || parseVerdict(line)) this.#step = step
    this.#listener.serverPrinted(line)
  }

  clientPrinted(line: string): void {
    this.#wipe()
    this.#listener.clientPrinted(line)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#ticking)
    this.#wipe()
  }

  #tick() {
    if (this.#step === undefined) return
    this.#seconds++
    if (this.#isTerminal) {
      process.stderr.write(`\r\u001b[K${this.#step}, ${this.#seconds} s`)
      this.#isShown = true
    } else if (++this.#silence === longSilence || (this.#step === beginning && this.#seconds === longBeginning)) {
      const what = this.#step === beginning ? 'The server has announced no step' : `${this.#step} has been running`
      this.clientPrinted(`${what} for ${this.#seconds} s ...`)
    }
  }

  #wipe() {
    this.#silence = 0
    if (this.#isShown) process.stderr.write('\r\u001b[K')
    this.#isShown = false
  }
}
