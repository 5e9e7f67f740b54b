import type { JournalEntry } from './journal.ts'
import type { Releases } from './releases.ts'
import type { Refs, Repository } from './repository.ts'
import type { HookSettings } from './settings.ts'

/** What a deployment meets on the server. */
export interface Site {
  readonly settings: HookSettings
  readonly branch: string
  readonly refs: Refs
  /** The deployment before. */
  readonly last: JournalEntry | undefined
  readonly repository: Repository
  readonly releases: Releases
}
