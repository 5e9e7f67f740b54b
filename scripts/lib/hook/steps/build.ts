import type { StepContext } from '../context.ts'
import { openSharedPaths } from '../shared-paths.ts'

export const name = 'BUILDING'

export const touches = ({ releases }: StepContext) => (releases.isInPlace ? 'build' : undefined)

/** It has no condition: what it compiles depends on all of the code. */
export const isNeeded = ({ plan, settings }: StepContext) => plan.build && settings.BUILD !== undefined

export async function run(context: StepContext): Promise<void> {
  const { shell, settings, release } = context
  await shell.run(settings.BUILD ?? '')
  openSharedPaths(context).linkAgain(release)
}
