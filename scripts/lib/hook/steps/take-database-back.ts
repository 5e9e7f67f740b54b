import { findRevision } from '../../protocol/record.ts'
import { describeRevision, isDigest } from '../../protocol/revision.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import type { DeploymentContext, StepContext } from '../context.ts'
import { askRevision, findWaysBack, noteMove, openShellIn } from '../database.ts'
import type { StepsShell } from '../steps-shell.ts'
import * as readRevision from './read-revision.ts'

export const isNeeded = ({ deployment, plan }: StepContext) => deployment.entry.verb === 'downgrade' && !plan.isRestore

/**
 * Takes the database back to where it was when the commit was live, in the release that has the scripts for it. It is
 * announced only where the database is elsewhere.
 *
 * @throws Failure where that cannot be done; nothing is switched then
 */
export async function run(context: DeploymentContext): Promise<void> {
  const { deployment, settings, repository, refs } = context
  const { entry, log } = deployment
  const { DOWNGRADE_DB, DB_REVISION } = settings
  if (!DOWNGRADE_DB || !DB_REVISION) {
    throw new Failure(exitCode.failed, 'DOWNGRADE_DB and DB_REVISION say how the database goes back, and are not set.')
  }
  const records = await repository.records(refs)
  const revision = findRevision(records, entry.commit)
  if (revision === undefined) {
    throw new Failure(exitCode.failed, `Where the database was when ${entry.commit} was live is not recorded.`)
  }
  if (isDigest(revision)) {
    throw new Failure(exitCode.failed, `What DB_REVISION printed for ${entry.commit} is longer than 120 kB.`, {
      fix: 'take the database back by hand, and let DB_REVISION print less',
    })
  }
  const asking = deployment.begin(readRevision.name)
  const isThere = wasTakenTo(revision, context)
  const way = await findWayBack(context, DB_REVISION).catch((problem: unknown) => {
    if (!isThere) throw problem
    log.say(`The database is at ${describeRevision(revision)}: the rollback that was killed has taken it there.`)
  })
  asking()
  if (way && way.found !== revision) {
    const { mover, shell, found: before } = way
    const end = deployment.begin('TAKING DATABASE BACK', { touches: 'database' })
    deployment.wentBackFrom = before
    noteMove(deployment, { ...mover, to: entry.commit })
    await shell.run(DOWNGRADE_DB, { DEPLOY_DB_REVISION: revision })
    const found = await askRevision(shell, DB_REVISION, mover.commit, deployment)
    if (found !== revision) {
      const [where, wanted] = [found, revision].map(describeRevision)
      throw new Failure(exitCode.failed, `The database is at ${where} after DOWNGRADE_DB, and not at ${wanted}.`)
    }
    deployment.hasTakenDatabaseBack = true
    end()
  }
  entry.database = revision
}

/**
 * Whether the last deployment was the same, and was killed after it had asked where the database is then: at this
 * revision. In place the code that could be asked again is gone.
 */
function wasTakenTo(revision: string, { last, deployment: { entry } }: DeploymentContext): boolean {
  const isSame = last?.outcome === undefined && last?.verb === entry.verb && last.commit === entry.commit
  return isSame && last?.known?.revision === revision && !last.known.since?.length
}

interface WayBack {
  readonly mover: { readonly commit: string; readonly release: number }
  readonly shell: StepsShell
  readonly found: string
}

/** The release where DB_REVISION works: another one's code may not know where the database is. @throws Failure where none is */
async function findWayBack(context: DeploymentContext, DB_REVISION: string): Promise<WayBack> {
  const { deployment, repository, refs } = context
  let problem: unknown
  for (const { release, commit } of await findWaysBack(context, await repository.records(refs))) {
    try {
      const shell = await openShellIn(release, context)
      const found = await askRevision(shell, DB_REVISION, commit, deployment)
      return { mover: { commit, release: release.number }, shell, found }
    } catch (error) {
      problem ??= error
    }
  }
  throw problem
}
