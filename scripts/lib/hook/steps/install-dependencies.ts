import type { StepContext } from '../context.ts'

export const name = 'INSTALLING DEPENDENCIES'

export const touches = ({ releases }: StepContext) => (releases.isInPlace ? 'dependencies' : undefined)

export const isNeeded = ({ plan, settings }: StepContext) => plan.dependencies && settings.INSTALL_DEPS !== ''

export async function run({ shell, settings, release, commit, deployment }: StepContext): Promise<void> {
  release.updateState({ installed: undefined })
  await shell.run(settings.INSTALL_DEPS)
  release.updateState({ installed: { commit, settingsFile: deployment.entry.settingsFile } })
}
