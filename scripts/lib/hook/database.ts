import type { DeploymentRecord } from '../protocol/record.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Site } from './context.ts'
import type { Deployment } from './deployment.ts'
import { openShell } from './release-steps.ts'
import type { StepsShell } from './steps-shell.ts'

/** What DB_REVISION says: the first word of its last line. @throws Failure where it fails or says nothing */
export async function findRevision(shell: StepsShell, command: string): Promise<string> {
  const lines = (await shell.read(command)).split('\n').map(line => line.trim())
  const [revision] = lines.findLast(Boolean)?.split(/\s+/) ?? []
  if (revision !== undefined) return revision
  throw new Failure(exitCode.failed, `DB_REVISION (\`${command}\`) says nothing.`)
}

/** The deployment that has moved the database last, of all or of a commit. A rollback that leaves it as it is tells nothing. */
const lastMove = (newestFirst: readonly DeploymentRecord[], commit?: string) =>
  newestFirst.find(({ live, database, ...of }) => live && database && (commit === undefined || of.commit === commit))

/**
 * Takes the database back to where it was when the commit was live, in the only release that knows the way: the newer
 * one, be it what serves, what was left for an older one, or what has failed after its migrations.
 *
 * @throws Failure where that cannot be done; nothing is switched then
 */
export async function takeDatabaseBack(deployment: Deployment, site: Site): Promise<void> {
  const { settings, repository, releases, refs, last } = site
  const { DOWNGRADE_DB, DB_REVISION } = settings
  const { commit } = deployment.entry
  if (!DOWNGRADE_DB || !DB_REVISION) {
    throw new Failure(exitCode.failed, 'DOWNGRADE_DB and DB_REVISION say how the database goes back, and are not set.')
  }
  const records = await repository.records(refs)
  const revision = lastMove(records, commit)?.database
  if (revision === undefined) {
    throw new Failure(exitCode.failed, `Where the database was when ${commit} was live is not recorded.`)
  }
  const isAhead = last?.outcome === 'failed' && last.touched.database
  // What serves may have been gone back to without the database, and then knows less than it does.
  const knows = isAhead ? last.commit : lastMove(records)?.commit
  const newer = (knows && releases.holding(knows)) || (isAhead ? undefined : releases.serving())
  if (newer === undefined) {
    throw new Failure(exitCode.failed, `The code of ${last?.commit}, which alone knows the way back, is not there.`, {
      fix: 'keep releases side by side (RELEASES=3), or take the database back by hand',
    })
  }
  deployment.entry.database = revision
  const shell = await openShell(newer, deployment, site, commit)
  if ((await findRevision(shell, DB_REVISION)) === revision) return
  await deployment.step(
    'TAKING DATABASE BACK',
    async () => {
      await shell.run(DOWNGRADE_DB, { DEPLOY_DB_REVISION: revision })
      const found = await findRevision(shell, DB_REVISION)
      if (found === revision) return
      throw new Failure(exitCode.failed, `The database is at ${found} after DOWNGRADE_DB, and not at ${revision}.`)
    },
    'database',
  )
}
