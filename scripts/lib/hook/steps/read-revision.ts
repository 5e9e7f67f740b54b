import { isRollback } from '../../protocol/asks.ts'
import { exitCode, Failure } from '../../shared/program.ts'
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

/** What DB_REVISION prints: the first word of its last line. @throws Failure where it fails or prints nothing */
export async function readRevision(shell: StepsShell, command: string): Promise<string> {
  const lines = (await shell.read(command)).split('\n').map(line => line.trim())
  const [revision] = lines.findLast(Boolean)?.split(/\s+/) ?? []
  if (revision !== undefined) return revision
  throw new Failure(exitCode.failed, `DB_REVISION (\`${command}\`) prints nothing.`)
}
