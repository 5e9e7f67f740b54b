import { isRollback } from '../../protocol/asks.ts'
import { parseRevision } from '../../protocol/revision.ts'
import type { StepContext } from '../context.ts'
import type { StepsShell } from '../steps-shell.ts'

export const name = 'ASKING FOR DATABASE REVISION'

/** A rollback that leaves the database as it is tells nothing about the revision that belongs to the commit. */
export const isNeeded = ({ settings, deployment, plan }: StepContext) =>
  settings.DB_REVISION !== undefined &&
  !plan.isRestore &&
  (plan.database || (plan.code && !isRollback(deployment.entry.verb)))

export async function run({ deployment, settings, shell }: StepContext): Promise<void> {
  deployment.entry.database = await readRevision(shell, settings.DB_REVISION ?? '')
}

/** Where DB_REVISION says that the database is. @throws Failure where it fails */
export async function readRevision(shell: StepsShell, command: string): Promise<string> {
  return parseRevision(await shell.read(command))
}
