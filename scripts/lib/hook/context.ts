import type { Ask } from '../protocol/asks.ts'
import type { Deployment } from './deployment.ts'
import type { Arrival, Journal, JournalEntry } from './journal.ts'
import type { Relay } from './relay.ts'
import type { Release, Releases } from './releases.ts'
import type { Refs, Repository } from './repository.ts'
import type { HookSettings } from './settings.ts'
import type { StepsShell } from './steps-shell.ts'

/** An ask, and what is on the server when its turn has come. */
export interface Context {
  readonly ask: Ask
  /** The object that the ask's ref points at, which may name its origin. */
  readonly object: string | undefined
  readonly branch: string
  readonly settings: HookSettings
  readonly journal: Journal
  /** The deployment before. */
  readonly last: JournalEntry | undefined
  /** How far the deployments had come when the push arrived; undefined where that is not known. */
  readonly arrival: Arrival | undefined
  /** Where the branch was when a rollback was asked for; undefined for other asks. */
  readonly tipAtArrival: string | undefined
  readonly refs: Refs
  readonly repository: Repository
  readonly releases: Releases
  readonly relay: Relay
}

export interface DeploymentContext extends Context {
  readonly deployment: Deployment
}

/** Which parts of a deployment are done. */
export interface Plan {
  /** The code is checked out, with all that has to be done to it before it can serve. */
  readonly code: boolean
  readonly dependencies: boolean
  /** What is made of the code. */
  readonly build: boolean
  readonly database: boolean
  readonly application: boolean
  /** Whether this puts back what was live, because a deployment has failed. */
  readonly isRestore: boolean
}

/** What the steps work with that put a release live. */
export interface StepContext extends DeploymentContext {
  /** The commit that is put live: the one of the deployment, or the previous one where that has failed. */
  readonly commit: string
  readonly release: Release
  readonly plan: Plan
  /** The settings, with the paths that lie in the work tree moved to the release. */
  readonly releaseSettings: HookSettings
  readonly shell: StepsShell
  /** The release that the link led to before. Set by the switch. */
  replaced?: Release | undefined
  /** Whether a server of the release was seen to listen. */
  isServed?: boolean
}
