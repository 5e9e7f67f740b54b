import type { Verb } from '../protocol/asks.ts'
import { isCommitId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'
import type { StepRecord } from '../protocol/record.ts'
import type { ProcessId } from './processes.ts'
import { readStateFile, replaceStateFile } from './state-file.ts'

/** What a deployment has begun to change of what serves. After a failure each part is put back, except the database. */
export interface Touched {
  code?: boolean
  dependencies?: boolean
  build?: boolean
  database?: boolean
  application?: boolean
}

export type Part = keyof Touched

/** What belongs to one commit. The database may be ahead of it. */
export const allButDatabase = ['code', 'dependencies', 'build', 'application'] as const satisfies Part[]

/** Whether all of that belongs to the live commit. */
export const isConsistent = (touched: Touched) => !allButDatabase.some(part => touched[part])

/**
 * What served when a deployment began: it is put back where the deployment fails. A release is put back as it was, and in
 * place its commit is checked out again.
 */
export interface Served {
  /** The release that the link led to. */
  readonly folder?: string | undefined
  readonly commit?: string | undefined
}

/** A commit whose migrations, in a release, have moved the database. */
export interface Mover {
  readonly commit: string
  readonly release?: number
  /** The commit to whose revision it has taken the database back. Absent where it has upgraded it. */
  readonly to?: string
}

export interface KnownDatabase {
  /** What DB_REVISION printed when it was last asked. */
  readonly revision?: string | undefined
  /** Whose migrations have led there: these know the way back. */
  readonly by?: Mover | undefined
  /** Who may have moved it since, the newest first. Absent where nobody has. */
  readonly since?: readonly Mover[]
}

/**
 * The last deployment. It is written before the deployment begins and at each of its steps. It outlives a kill at any
 * instant, and tells the next deployment what is unfinished.
 */
export interface JournalEntry extends Origin {
  /** One more than that of the deployment before. The order of deployments is told by it, and by no clock. */
  readonly number: number
  readonly commit: string
  readonly subject?: string | undefined
  /** Changes only with the layout, where RELEASES makes a folder a link or a link a folder. */
  served?: Served | undefined
  /** The commit that was live before, if any was. */
  readonly previous: string | undefined
  readonly verb: Verb
  /** Whether a rollback was to whatever was live before. */
  readonly isToPrevious: boolean
  /** Where the branch was when it was begun; for a rollback, when it was asked for: it goes back from all that was there. */
  readonly tip?: string | undefined
  readonly who: string
  readonly log: string
  /** Milliseconds since 1970, for people. */
  readonly started: number
  /** Identifies a state of the hook's settings file: any change of the file changes this. */
  readonly settingsFile: string
  /** The hook itself, and its command that runs now. */
  readonly hook: ProcessId | undefined
  command?: (ProcessId & { readonly text: string }) | undefined
  readonly steps: StepRecord[]
  /** When the last of them began: milliseconds since 1970, for people. */
  stepBegan?: number
  /** How long each step takes on average, the newest counting most: seconds by its name. Carried like `known`. */
  usual?: Record<string, number>
  /** Absent while the deployment runs, and for ever where it was killed. */
  outcome?: 'live' | 'failed'
  explanation?: string
  /** Why nobody has asked whether the application answers. */
  notChecked?: string | undefined
  /** Where the database was after this deployment, as DB_REVISION prints it. */
  database?: string | undefined
  /** What is known of the database. It is carried from one deployment to the next. */
  known?: KnownDatabase | undefined
  /** Where the database is not where the code needs it: what was said of that. */
  databaseProblem?: string | undefined
  /** What may not belong to the live commit: the next deployment has to put it right. */
  touched: Touched
}

/** How far the deployments had come when a push arrived. */
export interface Arrival {
  readonly number: number
  readonly hasEnded: boolean
}

export class Journal {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  /** Undefined before the first deployment, and where the file is damaged: nothing is known then, and all is done again. */
  read(): JournalEntry | undefined {
    try {
      const entry: unknown = JSON.parse(readStateFile(this.#file) ?? '')
      return isEntry(entry) ? entry : undefined
    } catch {
      return undefined
    }
  }

  arrival(): Arrival | undefined {
    const last = this.read()
    return last && { number: last.number, hasEnded: last.outcome !== undefined }
  }

  /** @throws Error of the file system; the last state is still there then */
  write(entry: JournalEntry, isLasting = false): void {
    replaceStateFile(this.#file, JSON.stringify(entry), isLasting)
  }
}

function isEntry(value: unknown): value is JournalEntry {
  const entry = value as JournalEntry | null
  return (
    Number.isSafeInteger(entry?.number) &&
    isCommitId(String(entry?.commit)) &&
    typeof entry?.log === 'string' &&
    Number.isFinite(entry.started) &&
    Array.isArray(entry.steps) &&
    typeof entry.touched === 'object' &&
    entry.touched !== null
  )
}

/**
 * Whether the database may not be as far as the live code needs it, because it was taken back for another commit, or the
 * live code's own upgrade has failed. What a newer commit's upgrade leaves is ahead.
 */
export function mayBeBehind({ touched, known }: Pick<JournalEntry, 'touched' | 'known'>, live: string | undefined) {
  if (!touched.database || !known) return false
  const movers = known.since ?? (known.by ? [known.by] : [])
  return movers.some(({ commit, to }) => (to === undefined ? commit === live : to !== live))
}
