import type { DeploymentContext } from '../context.ts'
import { moveSharedPaths, verifyUntracked } from '../shared-paths.ts'
import { listNames } from '../work-tree.ts'

export const isNeeded = () => true

/**
 * Makes the folder what RELEASES wants it to be: a folder or a link. Names the files there that no commit has.
 *
 * @throws Failure where the commit tracks what is to be shared
 */
export async function run({ deployment, settings, repository, releases }: DeploymentContext): Promise<void> {
  const { entry, log } = deployment
  const paths = releases.isInPlace ? [] : settings.SHARED_PATHS
  await verifyUntracked(paths, entry.commit, repository)
  const notes = releases.convertLayout()
  for (const note of notes) log.say(note)
  const serving = releases.serving()
  if (releases.isInPlace || serving === undefined) return
  const moved = moveSharedPaths(paths, serving.path, releases.shared)
  if (moved.length > 0) log.say(`MOVED TO ${releases.shared}, and linked: ${listNames(moved)}`)
  if (notes.length === 0) return
  const untracked = await serving.workTree.untracked()
  const unshared = untracked.filter(path => !moved.includes(path) && path !== '__pycache__/')
  if (unshared.length > 0) log.say(`NOT IN THE NEXT RELEASES, unless SHARED_PATHS names them: ${listNames(unshared)}`)
}
