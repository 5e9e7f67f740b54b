import type { StepContext } from '../context.ts'

export const name = 'BUILDING'

export const touches = ({ releases }: StepContext) => (releases.isInPlace ? 'build' : undefined)

/** It has no condition: what it compiles depends on all of the code. */
export const isNeeded = ({ plan, settings }: StepContext) => plan.build && settings.BUILD !== undefined

export const run = ({ shell, settings: { BUILD = '' } }: StepContext) => shell.run(BUILD)
