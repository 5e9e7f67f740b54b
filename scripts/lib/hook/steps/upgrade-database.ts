import type { StepContext } from '../context.ts'

export const name = 'UPGRADING DATABASE STRUCTURE'

export const touches = () => 'database' as const

export const isNeeded = ({ plan, settings }: StepContext) => plan.database && settings.UPGRADE_DB !== ''

export const run = ({ shell, settings }: StepContext) => shell.run(settings.UPGRADE_DB)
