import { isRollback } from '../protocol/asks.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { DeploymentContext, Plan, StepContext } from './context.ts'
import { moversOf } from './database.ts'
import { isConsistent, type Mover, mayBeBehind } from './journal.ts'
import type { Release } from './releases.ts'
import { inFolder } from './settings.ts'
import * as installDependencies from './steps/install-dependencies.ts'
import * as upgradeDatabase from './steps/upgrade-database.ts'
import { openShell } from './steps-shell.ts'
import { verifyUnused } from './taking-over.ts'
import { isUsable, isUsableWithoutPython } from './venv.ts'

/** For a complete release: nothing is done to its files, only to the database and the application. */
const switchAndUpgrade = {
  code: false,
  dependencies: false,
  build: false,
  database: true,
  application: true,
  isRestore: false,
}

/** Chooses the release for the deployment's commit, and what of the steps is to be done. */
export async function planDeployment(context: DeploymentContext): Promise<StepContext> {
  const { deployment, releases, settings } = context
  const { commit, verb, served, previous, touched } = deployment.entry
  // What serves is only to be upgraded.
  const isBehind = commit === previous && isConsistent(touched) && mayBeBehind(deployment.entry, previous)
  const mayBeComplete = isRollback(verb) || (isBehind && verb === 'deploy')
  const intact = mayBeComplete ? await releases.findIntact(commit, served) : undefined
  // Without a health check, it has to be known whether a server is to come back.
  const processes = intact && settings.HEALTH_CHECK_URL ? [] : releases.processes()
  const release = intact ?? releases.choose(served, await findNeeded(context), processes)
  if (!intact) await verifyUnused(release, processes, context)
  const plan = intact ? switchAndUpgrade : await planSteps(release, context)
  // Older code cannot upgrade a newer database. A rollback that goes forward again can.
  const isBackwards = isRollback(verb) && !isBehind && previous && (await hasItsMigrations(commit, previous, context))
  return contextOf(commit, release, isBackwards ? { ...plan, database: false } : plan, context)
}

/** Whether the database has a commit's migrations, and maybe more: where the branch was rewritten, the history tells. */
async function hasItsMigrations(commit: string, previous: string, { repository, refs }: DeploymentContext) {
  if (await repository.contains(previous, commit)) return true
  if (await repository.contains(commit, previous)) return false
  const records = await repository.records(refs)
  const newestLive = records.findIndex(record => record.live && record.commit === commit)
  return newestLive !== -1 && !records.slice(0, newestLive).some(({ request }) => request === 'downgrade')
}

/**
 * The way back to what served, after a deployment has failed: the release that the link led to, as it was. Where there is
 * none, all that has begun to change is done again for its commit.
 */
export async function planRestore(context: DeploymentContext): Promise<StepContext> {
  const { deployment, releases } = context
  const { served } = deployment.entry
  // A database that was taken back goes forward again with the code.
  const database = deployment.hasTakenDatabaseBack
  const left = releases.findLeft(served) ?? (isConsistent(deployment.entry.touched) ? releases.serving() : undefined)
  const { commit = '' } = served ?? {}
  if (left) return contextOf(commit, left, { ...switchAndUpgrade, database, isRestore: true }, context)
  // It may have failed before the layout was converted.
  releases.convertLayout()
  if (commit === '') throw new Failure(exitCode.failed, `${served?.folder} is not there any more.`)
  const { dependencies = false, build = dependencies, application = false } = deployment.entry.touched
  const intact = await releases.findIntact(commit, served)
  const all = { dependencies: true, build: true, application: true }
  const changed = releases.isInPlace ? { dependencies, build, application } : all
  const plan = intact ? switchAndUpgrade : { ...switchAndUpgrade, code: true, ...changed }
  return contextOf(
    commit,
    intact ?? releases.choose(served, await findNeeded(context)),
    { ...plan, database, isRestore: true },
    context,
  )
}

/** Whose migrations alone lead back from where the database is: what serves does not contain them. */
async function findNeeded({ deployment, settings, repository }: DeploymentContext): Promise<Mover[]> {
  const { previous } = deployment.entry
  const needed: Mover[] = []
  if (!settings.DOWNGRADE_DB) return needed
  for (const mover of moversOf(deployment.entry)) {
    const isInServed = previous && (mover.commit === previous || (await repository.contains(previous, mover.commit)))
    if (!isInServed) needed.push(mover)
  }
  return needed
}

function contextOf(commit: string, release: Release, plan: Plan, context: DeploymentContext): StepContext {
  const releaseSettings = inFolder(context.settings, release.path)
  const shell = openShell(release.path, releaseSettings, commit, context)
  return { ...context, commit, release, plan, releaseSettings, shell }
}

/**
 * Steps that are told on which files they depend are left out when none of these differs from what the release has
 * installed, or from what went live last. In any doubt they run.
 */
async function planSteps(release: Release, context: DeploymentContext): Promise<Plan> {
  const { deployment, last, settings, repository } = context
  const { commit, previous, verb, settingsFile } = deployment.entry
  const { INSTALL_DEPS_IF_CHANGED, UPGRADE_DB_IF_CHANGED } = settings
  const { PATH_TO_VENV } = inFolder(settings, release.path)
  const { installed } = release.state
  const isThere = release.number === 0 ? isUsableWithoutPython : isUsable
  const hasInstalled =
    installed?.settingsFile === settingsFile &&
    (PATH_TO_VENV === undefined || isThere(PATH_TO_VENV)) &&
    (release.number === 0 || release.installedPaths !== undefined)
  const hasUpgraded =
    last?.outcome === 'live' && last.commit === previous && !isRollback(last.verb) && last.settingsFile === settingsFile

  async function isNeeded(name: string, pathspecs: readonly string[], before: string | undefined, where: string) {
    if (verb !== 'deploy' || before === undefined || pathspecs.length === 0) return true
    if (await repository.differs(before, commit, pathspecs)) return true
    deployment.log.say(`NOT ${name}: nothing under ${pathspecs.join(' ')} differs from ${before}, which is ${where}.`)
    return false
  }
  const installedFor = hasInstalled ? installed.commit : undefined
  const upgradedFor = hasUpgraded ? previous : undefined
  return {
    code: true,
    dependencies: await isNeeded(installDependencies.name, INSTALL_DEPS_IF_CHANGED, installedFor, 'installed'),
    build: true,
    database: await isNeeded(upgradeDatabase.name, UPGRADE_DB_IF_CHANGED, upgradedFor, 'live'),
    application: true,
    isRestore: false,
  }
}
