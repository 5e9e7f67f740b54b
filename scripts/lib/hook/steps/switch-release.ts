import { existsSync } from 'node:fs'
import type { StepContext } from '../context.ts'
import { openSharedPaths } from '../shared-paths.ts'
import { isInRelease, touchWsgi } from '../wsgi.ts'

export const name = ({ release }: StepContext) => `SWITCHING TO RELEASE ${release.number}`

export const isNeeded = ({ releases, release }: StepContext) =>
  release.number > 0 && releases.serving()?.number !== release.number

/**
 * Leads the link to the release. The WSGI file is touched before, so that the rename of the link is what a server sees
 * that watches the file; and the release is synced to the disk before, so that a power cut leaves no half of it.
 */
export async function run(context: StepContext): Promise<void> {
  const { commit, plan, release, releases, releaseSettings, repository, settings, shell, deployment } = context
  const { RESTART, PATH_TO_WSGI } = releaseSettings
  const { previous } = deployment.entry
  // What served is put back as it is.
  if (plan.code || !plan.isRestore) {
    await openSharedPaths(context).restore(release, commit, repository, plan.code)
  }
  if (plan.code) release.updateState({ complete: commit }, true)
  const serving = releases.serving()
  // Where RESTART tells the server, no server has to notice another second.
  const seen = RESTART === undefined ? settings.PATH_TO_WSGI : undefined
  // A release that is gone back to may have had it elsewhere.
  const isThere = PATH_TO_WSGI && isInRelease(PATH_TO_WSGI, release) && (plan.code || existsSync(PATH_TO_WSGI))
  if (isThere) await touchWsgi(PATH_TO_WSGI, shell, seen)
  const wasLive = previous !== undefined && serving?.workTree.isAt(previous)
  const [edited] = await Promise.all([wasLive && serving?.workTree.edited(), shell.run('sync --file-system .')])
  if (edited) deployment.log.say(`LOCAL CHANGES LEFT BEHIND in ${serving?.path}: ${edited}`)
  deployment.markChanged('code', 'application')
  releases.switchTo(release)
  context.replaced = serving
}
