import type { DeploymentRecord } from '../../protocol/record.ts'
import { describeRevision, isDigest } from '../../protocol/revision.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import type { DeploymentContext } from '../context.ts'
import type { Release } from '../releases.ts'
import { inFolder } from '../settings.ts'
import { openShell } from '../steps-shell.ts'
import * as activateEnvironment from './activate-environment.ts'
import { readRevision } from './read-revision.ts'

export const isNeeded = ({ deployment }: DeploymentContext) => deployment.entry.verb === 'downgrade'

/**
 * Takes the database back to where it was when the commit was live, in the release that has the scripts for it. It is
 * announced only where the database is elsewhere.
 *
 * @throws Failure where that cannot be done; nothing is switched then
 */
export async function run(context: DeploymentContext): Promise<void> {
  const { deployment, settings } = context
  const { DOWNGRADE_DB, DB_REVISION } = settings
  if (!DOWNGRADE_DB || !DB_REVISION) {
    throw new Failure(exitCode.failed, 'DOWNGRADE_DB and DB_REVISION say how the database goes back, and are not set.')
  }
  const { revision, release } = await findWayBack(context)
  if (isDigest(revision)) {
    throw new Failure(
      exitCode.failed,
      `What DB_REVISION printed for ${deployment.entry.commit} is longer than 120 kB.`,
      {
        fix: 'take the database back by hand, and let DB_REVISION print less',
      },
    )
  }
  const shell = openShell(release.path, inFolder(settings, release.path), deployment.entry.commit, context)
  if (settings.ACTIVATE_VENV !== undefined) {
    const end = deployment.begin(activateEnvironment.name)
    await activateEnvironment.run({ ...context, release, shell })
    end()
  }
  if ((await readRevision(shell, DB_REVISION)) === revision) {
    deployment.entry.database = revision
    return
  }
  const end = deployment.begin('TAKING DATABASE BACK', { touches: 'database' })
  await shell.run(DOWNGRADE_DB, { DEPLOY_DB_REVISION: revision })
  const found = await readRevision(shell, DB_REVISION)
  if (found !== revision) {
    const [where, wanted] = [found, revision].map(describeRevision)
    throw new Failure(exitCode.failed, `The database is at ${where} after DOWNGRADE_DB, and not at ${wanted}.`)
  }
  deployment.entry.database = revision
  deployment.hasTakenDatabaseBack = true
  end()
}

/** Where the database was when the commit was live, and the release that knows the way there. */
async function findWayBack(context: DeploymentContext): Promise<{ revision: string; release: Release }> {
  const { deployment, repository, releases, refs, last } = context
  const { commit } = deployment.entry
  const records = await repository.records(refs)
  const revision = lastMove(records, commit)?.database
  if (revision === undefined) {
    throw new Failure(exitCode.failed, `Where the database was when ${commit} was live is not recorded.`)
  }
  const isAhead = last?.outcome === 'failed' && last.touched.database
  // After a rollback without --database, the live code may lack the newer migrations.
  const newestMove = isAhead ? last.commit : lastMove(records)?.commit
  const release = (newestMove && releases.findAtHead(newestMove)) || (isAhead ? undefined : releases.serving())
  if (release) return { revision, release }
  throw new Failure(exitCode.failed, `The code of ${last?.commit}, which alone knows the way back, is not there.`, {
    fix: 'keep releases side by side (RELEASES=3), or take the database back by hand',
  })
}

/** The last deployment, of all or of a commit, that has recorded a revision. A rollback without --database has none. */
const lastMove = (newestFirst: readonly DeploymentRecord[], commit?: string) =>
  newestFirst.find(
    record => record.live && record.database !== undefined && (commit === undefined || record.commit === commit),
  )
