import type { StepContext } from '../context.ts'
import { noteMove } from '../database.ts'

export const name = 'UPGRADING DATABASE STRUCTURE'

export const touches = () => 'database' as const

export const isNeeded = ({ plan, settings }: StepContext) => plan.database && settings.UPGRADE_DB !== ''

export async function run({ commit, release, shell, settings, deployment, last }: StepContext): Promise<void> {
  const { entry } = deployment
  const { known } = entry
  noteMove(deployment, { commit, release: release.number })
  await shell.run(settings.UPGRADE_DB)
  // The upgrade of what is live leads only to where it belongs.
  if (commit !== entry.previous || last?.touched.database) return
  entry.known = known
  delete entry.touched.database
}
