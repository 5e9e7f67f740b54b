import type { StepContext } from '../context.ts'
import { noteMove } from '../database.ts'

export const name = 'UPGRADING DATABASE STRUCTURE'

export const touches = () => 'database' as const

export const isNeeded = ({ plan, settings }: StepContext) => plan.database && settings.UPGRADE_DB !== ''

export async function run({ commit, release, shell, settings, deployment }: StepContext): Promise<void> {
  noteMove(deployment, { commit, release: release.number })
  await shell.run(settings.UPGRADE_DB)
}
