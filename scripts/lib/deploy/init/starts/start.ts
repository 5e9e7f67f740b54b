import type { Process } from '../kinds/kind.ts'
import type { Place } from '../place.ts'

/** What starts an application, and tells it of a new release. */
export interface Started {
  /** The value of RESTART, and why; undefined where the switch alone is seen. */
  readonly restart?: string
  readonly comment: string
  readonly packages: readonly string[]
  /** For deploy/server, by their names. */
  readonly files: Readonly<Record<string, string>>
  /** What root does with them, in sh, in the folder where they lie. */
  readonly asRoot: readonly string[]
  /** What the hook runs as root: lines of sudoers. */
  readonly sudo?: string
}

export type Start = (place: Place, process: Process, listen: Listen) => Started

/** Where the application listens. */
export interface Listen {
  readonly host: string
  readonly port: number
}
