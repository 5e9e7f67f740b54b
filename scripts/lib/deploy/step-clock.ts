import { parseAnnouncement } from '../protocol/steps.ts'
import { parseVerdict } from '../protocol/verdict.ts'
import type { Listener } from './push.ts'

/** How long a step is silent before somebody takes it for hung: seconds. */
const longSilence = 60

/**
 * Says how long the step that runs has been running: each second in a line of its own at a terminal, and elsewhere, where
 * a CI might take a silent job for hung, once a minute in which nothing else was said.
 */
export class StepClock implements Listener, Disposable {
  readonly #listener: Listener
  readonly #isTerminal: boolean
  readonly #ticking = setInterval(() => this.#tick(), 1000).unref()
  #step: string | undefined
  #seconds = 0
  #silence = 0
  #isShown = false

  constructor(listener: Listener, isTerminal = process.stderr.isTTY && process.env.TERM !== 'dumb') {
    this.#listener = listener
    this.#isTerminal = isTerminal
  }

  said(line: string): void {
    this.#wipe()
    const step = parseAnnouncement(line)
    if (step !== undefined) this.#seconds = 0
    if (step !== undefined || parseVerdict(line)) this.#step = step
    this.#listener.said(line)
  }

  noted(line: string): void {
    this.#wipe()
    this.#listener.noted(line)
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
    } else if (++this.#silence === longSilence) this.noted(`${this.#step} has been running for ${this.#seconds} s ...`)
  }

  #wipe() {
    this.#silence = 0
    if (this.#isShown) process.stderr.write('\r\u001b[K')
    this.#isShown = false
  }
}
