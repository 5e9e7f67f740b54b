import type { DeploymentRecord, StepRecord } from '../protocol/record.ts'
import { formatAnnouncement, nameInTitle } from '../protocol/steps.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { isConsistent, type Journal, type JournalEntry, type Part } from './journal.ts'
import type { DeploymentLog } from './log.ts'
import { abandon, go, identifyProcess, type Start } from './processes.ts'

/** In characters: an environment variable for NOTIFY holds no more than 128 KiB, and nobody reads more. */
const longestExplanation = 4000

/** In seconds: from when on it helps to know how long a step usually takes. */
const shortestWait = 5

/** A deployment that runs. Each of its steps is announced, written down, and then done. */
export class Deployment {
  readonly entry: JournalEntry
  readonly log: DeploymentLog
  readonly #journal: Journal
  readonly #timeout: number | undefined
  /** Tells that the hook has to end: no further step begins then. Undefined while the previous code is put back. */
  shutdown: AbortSignal | undefined
  /** The step that runs, or that was the last to run. */
  stepName = 'STARTING THE DEPLOYMENT'
  /** Whether this deployment has moved the database to an earlier revision. */
  hasTakenDatabaseBack = false
  /** Where the database was before DOWNGRADE_DB began. */
  wentBackFrom: string | undefined
  /** Whether DB_REVISION was asked since a command has last moved the database. */
  hasAskedDatabase = false
  /** Undefined before the first step, and where the last one has ended well. */
  #running: { record: StepRecord; began: number } | undefined
  readonly #began = process.uptime()

  /**
   * @param timeout seconds that each of its commands may take
   * @throws Error of the file system where it cannot be written down: nothing is begun then
   */
  constructor(
    entry: JournalEntry,
    journal: Journal,
    log: DeploymentLog,
    shutdown: AbortSignal,
    timeout: number | undefined,
  ) {
    this.entry = entry
    this.log = log
    this.#journal = journal
    this.shutdown = shutdown
    this.#timeout = timeout
    journal.write(entry, true)
  }

  get seconds(): number {
    return secondsSince(this.#began)
  }

  /**
   * Announces a step and writes it down.
   *
   * @param touches the part of what serves that is uncertain from now on
   * @param isRecorded whether it becomes a part of the record
   * @returns what is called when the step has ended well
   * @throws Failure where the hook was told to end: the step has not begun then
   */
  begin(title: string, { touches, isRecorded = true }: { touches?: Part | undefined; isRecorded?: boolean } = {}) {
    const record: StepRecord = { name: title }
    if (isRecorded) {
      if (this.shutdown?.aborted) {
        throw new Failure(exitCode.failed, `${title} was not begun, because the hook was told to end.`)
      }
      this.entry.steps.push(record)
    }
    this.entry.stepBegan = Date.now()
    if (touches) this.markChanged(touches)
    this.stepName = nameInTitle(title)
    const { stepName, entry } = this
    // The journal may be damaged.
    const usual = Number(entry.usual?.[stepName]) || 0
    this.log.say(formatAnnouncement(title, usual < shortestWait ? undefined : Math.round(usual)))
    const running = { record, began: process.uptime() }
    this.#running = running
    return () => {
      record.seconds = secondsSince(running.began)
      this.#running = undefined
      entry.usual = { ...entry.usual, [stepName]: usual > 0 ? (usual + record.seconds) / 2 : record.seconds }
    }
  }

  /** The step that runs has failed: what follows puts the previous code back. */
  failStep(): void {
    if (this.#running === undefined) return
    const { record, began } = this.#running
    Object.assign(record, { seconds: secondsSince(began), failed: true } satisfies Partial<StepRecord>)
    this.#running = undefined
  }

  markChanged(...parts: Part[]): void {
    for (const part of parts) this.entry.touched[part] = true
    this.#journal.write(this.entry)
  }

  /**
   * Writes a command down, which waits for that, and lets it begin.
   *
   * @throws Failure where it cannot be written down; the command has done nothing then. As `go` does
   */
  readonly start: Start = (text, command) => {
    const { command: before } = this.entry
    const id = identifyProcess(command.pid)
    this.entry.command = id && { ...id, text: flatten(text) }
    try {
      this.#journal.write(this.entry)
    } catch (error) {
      // What is written next may fit without it.
      this.entry.command = before
      abandon(command)
      throw error
    }
    return go(command, { text, timeout: this.#timeout, signal: this.shutdown })
  }

  /** Writes down how it ended, for people. */
  explain(text: string): void {
    const isLong = text.length > longestExplanation
    this.entry.explanation = isLong ? `${text.slice(0, longestExplanation)} ... (cut: the log has all of it)` : text
  }

  toRecord(live: boolean): DeploymentRecord {
    const { commit, subject, previous, verb, who, by, run, started, steps } = this.entry
    const { explanation, notChecked, database } = this.entry
    const request = verb === 'deploy' ? undefined : verb
    const ended = started + this.seconds * 1000
    const asked = { request, who, by, run }
    const restored = live ? undefined : isConsistent(this.entry.touched)
    const end = { started, ended, steps, explanation, restored, notChecked, database }
    return { commit, subject, previous, live, ...asked, ...end }
  }

  end(outcome: 'live' | 'failed'): void {
    this.entry.outcome = outcome
    delete this.entry.command
    this.#journal.write(this.entry)
  }
}

const secondsSince = (started: number) => Math.round((process.uptime() - started) * 1000) / 1000
