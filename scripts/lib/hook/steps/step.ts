import type { DeploymentContext, Plan, StepContext } from '../context.ts'
import type { Part } from '../journal.ts'

/** A step of a deployment: each file of this folder exports these. */
export interface Step<C extends DeploymentContext = StepContext> {
  /** How it is announced. What has no name is done without a word. */
  readonly name?: string | ((context: C) => string)
  /** The part of what serves that is uncertain once the step has begun. */
  readonly touches?: (context: C) => Part | undefined
  /** False for what cannot be a part of the record, because it writes the record. */
  readonly isRecorded?: boolean
  readonly isNeeded: (context: C) => boolean | Promise<boolean>
  /** @throws Failure, which ends the deployment */
  readonly run: (context: C) => void | Promise<void>
}

/** Whether more than the code is done. Where a restore has only code to put back, the application never ran the other. */
export const goesBeyondCode = ({ dependencies, build, database, application }: Plan) =>
  dependencies || build || database || application
