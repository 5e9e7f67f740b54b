import { styleText } from 'node:util'
import { parseAnnouncement, parseFailedStep, parseUsual } from '../protocol/steps.ts'
import { parseGreeting, parseVerdict } from '../protocol/verdict.ts'
import { flatten, harmless } from '../shared/foreign-text.ts'
import { cut, pad, wrap } from './columns.ts'
import type { Listener } from './push.ts'
import { formatDuration } from './times.ts'

/** What a failing step is shown of what it printed. */
const shownLines = 10
/** As many columns as the longest name of a step has. */
const longestName = 'Checking out code to git work tree'.length

interface Step {
  readonly name: string
  /** Milliseconds, by a clock that cannot be set. */
  readonly began: number
  readonly usual: number | undefined
  readonly lines: string[]
}

type Style = Parameters<typeof styleText>[0]

/** Why a deployment's step has failed. */
export interface StepFailure {
  readonly step: string
  readonly reason: string
  readonly why: string[]
  fix?: string
}

/**
 * Shows a deployment to a person at a terminal: a line for each step, and of the one that fails also its last lines.
 * What git says is kept back, because the hook's answer is worth more.
 */
export class Screen implements Listener, Disposable {
  readonly #output: NodeJS.WriteStream
  readonly #columns: number
  /** Whether a line can be written over. */
  readonly #canMove: boolean
  readonly #ticking: NodeJS.Timeout
  readonly #kept: string[] = []
  #step: Step | undefined
  #isShown = false
  #isFailureShown = false
  /** What the deployment failed of: its first error. */
  failure: StepFailure | undefined

  constructor(output: NodeJS.WriteStream = process.stdout) {
    this.#output = output
    this.#columns = output.columns || 80
    this.#canMove = process.env.TERM !== 'dumb'
    this.#ticking = setInterval(() => this.#tick(), 1000).unref()
  }

  /** A line of ours, with words of it in a style. It is wrapped, and what is wrapped is indented. */
  say(text: string, style?: Style, indent = 0): void {
    const [first = '', ...others] = wrap(text, this.#columns - indent - 2)
    for (const line of [first, ...others.map(line => `  ${line}`)]) this.#print(' '.repeat(indent) + line, style)
  }

  /** Begins to count: from here on it waits for the server. */
  wait(name: string): void {
    this.#begin(name, undefined)
  }

  serverPrinted(line: string): void {
    const name = parseAnnouncement(line)
    const failed = parseFailedStep(line)
    if (name !== undefined) {
      this.#conclude()
      this.#begin(describeStep(name, line), parseUsual(line))
    } else if (parseVerdict(line)) this.#conclude()
    else if (failed && this.failure === undefined) this.failure = { ...failed, why: [] }
    else if (/^(?: {4}|$)/.test(line)) this.#quoted(line.slice(4))
    else if (this.failure && line.startsWith('To do: ')) this.failure.fix = flatten(line.replace('To do: ', ''))
    else if (!parseGreeting(line)) this.say(inSentence(flatten(line)), 'dim', 4)
  }

  clientPrinted(line: string): void {
    this.#kept.push(harmless(line))
  }

  /** For where no hook has answered: then git's and ssh's words are all there is. */
  showKept(): void {
    for (const line of this.#kept.splice(0)) this.#print(line)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#ticking)
    this.#wipe()
    this.#step = undefined
  }

  #begin(name: string, usual: number | undefined) {
    this.#step = { name, usual, began: performance.now(), lines: [] }
    if (this.#canMove) this.#draw()
    else this.#print(cut(`  ▶ ${name} ...`, this.#columns - 1))
  }

  /** Says how the step ended that runs. What only waits for the server is no step. */
  #conclude() {
    const step = this.#step
    this.#step = undefined
    const hasFailed = step !== undefined && this.failure !== undefined && !this.#isFailureShown
    if (step === undefined || step.name === pushing) {
      this.#wipe()
      return
    }
    const took = formatDuration(performance.now() - step.began)
    const room = this.#columns - 14
    const text = `  ${hasFailed ? '✗' : '✓'} ${pad(cut(step.name, room), Math.min(longestName, room))} ${took.padStart(7)}`
    this.#print(text, hasFailed ? 'red' : undefined)
    if (!hasFailed) return
    this.#isFailureShown = true
    const lines = step.lines.length > 0 ? step.lines : (this.failure?.why ?? [])
    for (const line of lines.slice(-shownLines)) this.#print(`      ${cut(line, this.#columns - 6)}`, 'dim')
  }

  #quoted(text: string) {
    const line = harmless(text).replaceAll('\t', '    ').trimEnd()
    if (line === '') return
    const lines = this.failure && !this.#isFailureShown ? this.failure.why : this.#step?.lines
    if (lines?.push(line) === 100) lines.splice(0, 100 - shownLines)
  }

  #tick() {
    if (this.#canMove && this.#step) this.#draw()
  }

  #draw() {
    const { name, began, usual } = this.#step as Step
    const seconds = Math.floor((performance.now() - began) / 1000)
    const counted = seconds > 0 ? `, ${seconds} s` : ''
    const line = `  ▶ ${name}${counted}${usual === undefined ? '' : ` (usually ${usual} s)`}`
    this.#output.write(`\r\u001b[K${cut(line, this.#columns - 1)}`)
    this.#isShown = true
  }

  #wipe() {
    if (this.#isShown) this.#output.write('\r\u001b[K')
    this.#isShown = false
  }

  #print(line: string, style?: Style) {
    this.#wipe()
    this.#output.write(`${style && line ? styleText(style, line) : line}\n`)
    if (this.#canMove && this.#step) this.#draw()
  }
}

/** What lasts until the hook announces its first step. */
export const pushing = 'Waiting for the server'

const describeStep = (name: string, line: string) =>
  inSentence(name === 'WAITING' ? line.replace(/(?: \(.*)? \.\.\.$/, '') : name)

/** In a sentence's letters: names and ids keep theirs. */
function inSentence(title: string): string {
  const words = flatten(title)
    .replace(/ \.\.\.$/, '')
    .split(' ')
    .map(word => (/^[A-Z]+$/.test(word) ? word.toLowerCase() : word))
    .join(' ')
  return shortenIds(words.charAt(0).toUpperCase() + words.slice(1))
}

/** @param subjects those of commits that this clone has: they stand behind the ids */
export const shortenIds = (text: string, subjects: ReadonlyMap<string, string> = new Map()) =>
  text.replace(/\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b/g, id => nameCommit(id, subjects.get(id)))

export const nameCommit = (id: string, subject?: string) =>
  subject ? `${id.slice(0, 10)} "${flatten(subject)}"` : id.slice(0, 10)
