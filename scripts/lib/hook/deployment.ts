import type { DeploymentRecord, StepRecord } from '../protocol/record.ts'
import { formatAnnouncement, nameInTitle } from '../protocol/steps.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Journal, JournalEntry, Touched } from './journal.ts'
import type { DeploymentLog } from './log.ts'
import { abandon, go, identifyProcess, type Start } from './processes.ts'

/** One deployment under way: each of its steps is announced, written down, and then done. */
export class Deployment {
  readonly entry: JournalEntry
  readonly log: DeploymentLog
  readonly #journal: Journal
  /** Says that the hook has to end: no further step begins then. Nothing once the previous code is put back. */
  shutdown: AbortSignal | undefined
  /** The step that is under way or was the last. */
  stepName = 'STARTING THE DEPLOYMENT'
  readonly #began = process.uptime()

  /** @throws Error of the file system where it cannot be written down: nothing is begun then */
  constructor(entry: JournalEntry, journal: Journal, log: DeploymentLog, shutdown: AbortSignal) {
    this.entry = entry
    this.log = log
    this.#journal = journal
    this.shutdown = shutdown
    journal.write(entry, true)
  }

  get seconds(): number {
    return secondsSince(this.#began)
  }

  /** @param touches what of the live deployment is not certain any more once the step has begun */
  async step<T>(name: string, action: () => Promise<T>, touches?: keyof Touched): Promise<T> {
    const record: StepRecord = { name }
    if (this.shutdown?.aborted) {
      throw new Failure(exitCode.failed, `${name} was not begun, because the hook was told to end.`)
    }
    this.entry.steps.push(record)
    if (touches) this.touch(touches)
    const started = process.uptime()
    const result = await this.announce(name, action)
    record.seconds = secondsSince(started)
    return result
  }

  /** The same for what is no part of the record. */
  async announce<T>(name: string, action: () => Promise<T>): Promise<T> {
    // Without the path or URL behind it.
    this.stepName = nameInTitle(name)
    this.log.say(formatAnnouncement(name))
    return await action()
  }

  touch(part: keyof Touched): void {
    this.entry.touched[part] = true
    this.#journal.write(this.entry)
  }

  /**
   * Writes a command down, which waits for that, and lets it begin.
   *
   * @throws Failure where it cannot be written down; the command has done nothing then
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
    return go(command)
  }

  toRecord(live: boolean): DeploymentRecord {
    const { commit, previous, verb, who, by, run, started, steps, explanation, database } = this.entry
    const request = verb === 'deploy' ? undefined : verb
    const ended = started + this.seconds * 1000
    return { commit, previous, live, request, who, by, run, started, ended, steps, explanation, database }
  }

  end(outcome: 'live' | 'failed'): void {
    this.entry.outcome = outcome
    delete this.entry.command
    this.#journal.write(this.entry)
  }
}

const secondsSince = (started: number) => Math.round((process.uptime() - started) * 1000) / 1000
