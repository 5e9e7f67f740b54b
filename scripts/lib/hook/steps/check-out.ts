import type { DeploymentContext, StepContext } from '../context.ts'
import { makeFolderLike, umaskLike } from '../folder-mode.ts'
import { explainForeignFiles } from '../foreign-files.ts'
import { type GitPath, toText } from '../git-paths.ts'
import { Kept, moveLeftovers, pathsThatStay, removeLeftovers } from '../leftovers.ts'
import { withTimeKept } from '../mtime.ts'
import { openReplaced, type Replaced } from '../replaced.ts'
import { openSharedPaths } from '../shared-paths.ts'
import { listNames } from '../work-tree.ts'

/** How many recorded commits are looked through where a folder's state is lost: the files of each are listed. */
const mostRecords = 20

export const name = ({ release }: StepContext) => `CHECKING OUT CODE TO GIT WORK TREE (${release.path})`

export const isNeeded = ({ plan }: StepContext) => plan.code

/**
 * Puts the commit's files into the release, and links the shared paths. Who can read what serves can read the release.
 *
 * @throws Failure that names the files of other users, where these are what it fails for
 */
export async function run(context: StepContext): Promise<void> {
  const { release, releases, shell, deployment } = context
  const serving = releases.isInPlace ? undefined : releases.serving()
  if (serving) {
    for (const note of makeFolderLike(release.path, serving.path)) deployment.log.say(note)
    shell.umask = umaskLike(serving.path)
  }
  const before = process.umask()
  try {
    process.umask(shell.umask ?? before)
    await putCode(context)
    release.updateState({ isForeign: undefined })
  } catch (error) {
    const explained = explainForeignFiles(release.path, error)
    if (explained !== error) release.updateState({ isForeign: true })
    throw explained
  } finally {
    process.umask(before)
  }
}

async function putCode(context: StepContext): Promise<void> {
  const { commit, plan, release, releases, releaseSettings, deployment, refs, repository, settings } = context
  const { log, start } = deployment
  const { complete } = release.state
  if (!releases.isInPlace) release.updateState({ complete: undefined, live: undefined, database: undefined })
  const shared = openSharedPaths(context)
  if (!releases.isInPlace) await shared.clear(release)
  // What a skipped install has configured stays with what it has left.
  if (!releases.isInPlace && plan.dependencies) release.workTree.forgetConfiguration()
  const replaced = openReplaced(context, releases.isInPlace ? '' : `release-${release.number}`)
  const checkOut = () =>
    release.workTree.checkOut(commit, {
      found: releases.isInPlace && refs.live === undefined ? deployment.entry.served?.commit : undefined,
      findCandidates: () => findCandidateCommits(context, complete),
      start,
      onChange: () => releases.isInPlace && deployment.markChanged('code'),
      clear: releases.isInPlace ? undefined : untracked => clearRelease(untracked, replaced, context),
      replaced,
      say: note => log.say(note),
    })
  // Where no server watches it, it gets a new time: for Python what it compiled of a file of the old time is fresh.
  const isWatched = releases.isInPlace && settings.RESTART === undefined
  const watched = isWatched ? releaseSettings.PATH_TO_WSGI : undefined
  await withTimeKept(watched, checkOut)
  if (!releases.isInPlace) release.updateState({ isOurs: true })
  await shared.link(release, commit, repository, releases.isInPlace ? [] : releases.serving()?.state.shared)
}

/**
 * Removes what the last use of the folder has left there. Users may have had files in a folder that is not known: these
 * are moved to the side.
 */
function clearRelease(untracked: readonly GitPath[], replaced: Replaced, context: StepContext): void {
  const { release, plan, settings, deployment } = context
  if (untracked.length === 0) return
  const installed = plan.dependencies ? [] : release.installedPaths
  // Only an environment in which an install has ended well is used again.
  const isVenvKept = release.state.installed !== undefined
  const kept = new Kept(release.path, pathsThatStay(settings, isVenvKept), installed)
  const isOurs = release.state.isOurs === true
  const gone = isOurs
    ? removeLeftovers(release.path, untracked, kept)
    : moveLeftovers(release.path, untracked, kept, (path, name) => replaced.take(path, name))
  const names = gone.map(toText).filter(path => !path.endsWith('__pycache__'))
  if (names.length === 0) return
  const what = isOurs
    ? 'REMOVED, because the last use of this folder left it'
    : `MOVED TO ${replaced.place}, because it was in this folder before its first use`
  deployment.log.say(`${what}: ${listNames(names)}`)
}

/**
 * The commits whose files may lie in a folder, the likeliest first. None before the first deployment.
 *
 * @param complete the one that was there last, as far as the release's state tells
 */
async function findCandidateCommits(
  { deployment, refs, last, repository }: DeploymentContext,
  complete: string | undefined,
): Promise<string[]> {
  const records = await repository.records(refs).catch(() => [])
  const recorded = records.slice(0, mostRecords).map(({ commit }) => commit)
  const deployed = [refs.live, complete, last?.commit, last?.previous, refs.failed, ...recorded]
  // The branch may have been checked out by hand.
  const all = deployed.some(Boolean) ? [...deployed, deployment.entry.commit, refs.tip] : []
  return [...new Set(all.filter(commit => commit !== undefined))]
}
