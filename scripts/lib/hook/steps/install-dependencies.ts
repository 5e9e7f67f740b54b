import type { StepContext } from '../context.ts'
import { Kept, listEntries, pathsThatStay } from '../leftovers.ts'
import { openSharedPaths } from '../shared-paths.ts'

export const name = 'INSTALLING DEPENDENCIES'

export const touches = ({ releases }: StepContext) => (releases.isInPlace ? 'dependencies' : undefined)

export const isNeeded = ({ plan, settings }: StepContext) => plan.dependencies && settings.INSTALL_DEPS !== ''

export async function run(context: StepContext): Promise<void> {
  const { shell, settings, release, releases, commit, deployment } = context
  release.updateState({ installed: undefined })
  await shell.run(settings.INSTALL_DEPS)
  // It may have cleaned the work tree: a migration must not find another SQLite file than the one that serves.
  openSharedPaths(context).linkAgain(release)
  if (!releases.isInPlace && settings.INSTALL_DEPS_IF_CHANGED.length > 0) {
    const untracked = await release.workTree.listUntracked()
    release.installedPaths = listEntries(release.path, untracked, new Kept(release.path, pathsThatStay(settings, true)))
  }
  release.updateState({ installed: { commit, settingsFile: deployment.entry.settingsFile } })
}
