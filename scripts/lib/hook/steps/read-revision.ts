import { isRollback } from '../../protocol/asks.ts'
import type { StepContext } from '../context.ts'
import { askRevision } from '../database.ts'

export const name = 'ASKING FOR DATABASE REVISION'

/** A rollback that leaves the database as it is tells nothing about the revision that belongs to the commit. */
export const isNeeded = ({ settings, deployment, plan }: StepContext) =>
  settings.DB_REVISION !== undefined &&
  !plan.isRestore &&
  (plan.database || (plan.code && !isRollback(deployment.entry.verb)))

export async function run({ commit, deployment, settings, shell }: StepContext): Promise<void> {
  deployment.entry.database = await askRevision(shell, settings.DB_REVISION ?? '', commit, deployment)
}
