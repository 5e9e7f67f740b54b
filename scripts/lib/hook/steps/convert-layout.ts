import { isRollback } from '../../protocol/asks.ts'
import type { DeploymentContext } from '../context.ts'
import { openFolderLike } from '../folder-mode.ts'
import { toText } from '../git-paths.ts'
import { allButDatabase, isConsistent } from '../journal.ts'
import { lookAtServed } from '../served.ts'
import { openSharedPaths } from '../shared-paths.ts'
import { listNames } from '../work-tree.ts'

export const isNeeded = () => true

/**
 * Makes the folder what RELEASES wants it to be: a folder or a link. Names the files there that no commit has.
 *
 * @throws Failure where the commit tracks what is to be shared
 */
export async function run(context: DeploymentContext): Promise<void> {
  const { deployment, settings, repository, releases, refs } = context
  const { entry, log } = deployment
  const shared = openSharedPaths(context)
  // What was live before is not judged by the settings of today.
  const commit = isRollback(entry.verb) ? undefined : entry.commit
  if (!releases.isInPlace) await shared.verify(commit, repository, releases.serving()?.path)
  const isSettled = isConsistent(entry.touched)
  const notes = releases.convertLayout()
  for (const note of notes) log.say(note)
  const serving = releases.serving()
  // The bash hook's folder.
  const isFound = serving && serving.number > 0 && serving.workTree.head === undefined && refs.live === undefined
  if (isFound && entry.served?.commit) await releases.takeOver(serving, entry.served.commit)
  if (notes.length > 0 && isSettled) entry.served = await lookAtServed(context)
  // It is half of one commit and half of another, with the one's dependencies or the other's.
  if (notes.length > 0 && !isSettled) deployment.markChanged(...allButDatabase)
  if (releases.isInPlace || serving === undefined) return
  // Before anything that serves leads there.
  if (settings.SHARED_PATHS.length > 0) for (const note of openFolderLike(releases.shared, serving.path)) log.say(note)
  await shared.takeOver(serving)
  if (notes.length === 0) return
  const untracked = (await serving.workTree.untracked(entry.commit)).map(toText)
  const isShared = (name: string) =>
    settings.SHARED_PATHS.some(path => path === name.replace(/\/$/, '') || path.startsWith(name))
  const unshared = untracked.filter(name => name !== '__pycache__/' && !isShared(name))
  if (unshared.length > 0) log.say(`NOT IN THE NEXT RELEASES, unless SHARED_PATHS names them: ${listNames(unshared)}`)
}
