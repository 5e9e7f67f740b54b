import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Deployment } from './deployment.ts'
import type { JournalEntry } from './journal.ts'
import type { Repository } from './repository.ts'
import type { HookSettings } from './settings.ts'

/** What of a deployment is to be done, beside the checkout. */
export interface Plan {
  readonly dependencies: boolean
  readonly database: boolean
  readonly application: boolean
}

export const everything: Plan = { dependencies: true, database: true, application: true }

/**
 * Steps that are told on which files they depend are left out when none of these differs from what went live last; in
 * any doubt whether that is what is installed, they run.
 */
export async function planDeployment(
  { entry, log }: Deployment,
  last: JournalEntry | undefined,
  settings: HookSettings,
  repository: Repository,
): Promise<Plan> {
  const { commit, previous, verb, settingsFile } = entry
  const { INSTALL_DEPS_IF_CHANGED, UPGRADE_DB_IF_CHANGED, PATH_TO_VENV } = settings
  const knowsWhatIsInstalled =
    last?.outcome === 'live' &&
    last.commit === previous &&
    last.verb !== 'rollback' &&
    last.settingsFile === settingsFile &&
    verb === 'deploy' &&
    (PATH_TO_VENV === undefined || existsSync(join(PATH_TO_VENV, 'bin')))

  async function isNeeded(name: string, pathspecs: readonly string[]): Promise<boolean> {
    if (!knowsWhatIsInstalled || previous === undefined || pathspecs.length === 0) return true
    if (await repository.differs(previous, commit, pathspecs)) return true
    log.say(`NOT ${name}: nothing under ${pathspecs.join(' ')} differs from ${previous}, which is live.`)
    return false
  }
  return {
    dependencies: await isNeeded('INSTALLING DEPENDENCIES', INSTALL_DEPS_IF_CHANGED),
    database: await isNeeded('UPGRADING DATABASE STRUCTURE', UPGRADE_DB_IF_CHANGED),
    application: true,
  }
}

/** Tells whether `.env` is the one that it was: steps depend on what it holds, be it a setting of ours or not. */
export function identifySettings(): string {
  const file = statSync('.env', { throwIfNoEntry: false, bigint: true })
  return file ? `${file.ino} ${file.size} ${file.ctimeNs}` : ''
}
