import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Request } from './verdict.ts'

/** What became of a step, for the history. */
export interface StepRecord {
  readonly name: string
  /** Absent for a step that failed, or that was running when the deployment was killed. */
  seconds?: number
}

/**
 * The last deployment, written before it begins and at each of its steps. It outlives a kill at any instant, and tells
 * the next deployment what is unfinished.
 */
export interface Deployment {
  readonly commit: string
  /** The commit that was live before, if any was. */
  readonly previous: string | undefined
  readonly request: Request | undefined
  readonly who: string
  readonly log: string
  /** Milliseconds since 1970: when the push arrived, when its deployment began and ended. */
  readonly arrived: number
  readonly started: number
  ended?: number
  /** Which state of the hook's settings file: any change of it makes this another one. */
  readonly settingsFile: string
  readonly steps: StepRecord[]
  outcome?: 'live' | 'failed'
  explanation?: string
  /**
   * What is not known to belong to the live commit any more. Dependencies and application have to be mended by whoever
   * comes next; the database only ever goes forward.
   */
  unsettled: { dependencies?: boolean; database?: boolean; application?: boolean }
}

export class Journal {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  /** Undefined before the first deployment, and where the file is damaged. */
  read(): Deployment | undefined {
    try {
      return JSON.parse(readFileSync(this.#file, 'utf8'))
    } catch {
      return undefined
    }
  }

  /** @throws Error of the file system; the last state is still there then. Not synced: a kill loses nothing, and after
   * a power cut a damaged journal reads as none, which leaves everything to be done anew. */
  write(deployment: Deployment): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 })
    writeFileSync(`${this.#file}.new`, JSON.stringify(deployment), { mode: 0o600 })
    renameSync(`${this.#file}.new`, this.#file)
  }
}
