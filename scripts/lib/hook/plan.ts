import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isRollback } from '../protocol/asks.ts'
import type { Deployment } from './deployment.ts'
import type { JournalEntry } from './journal.ts'
import type { Release } from './releases.ts'
import type { Repository } from './repository.ts'
import { type HookSettings, inFolder } from './settings.ts'

/** What of a deployment is to be done. */
export interface Plan {
  /** The code is put there, with whatever has to be done to it before it can serve. */
  readonly code: boolean
  readonly dependencies: boolean
  readonly database: boolean
  readonly application: boolean
}

/** For a release that is there whole, whatever has become of the database since. */
export const switchAndUpgrade: Plan = { code: false, dependencies: false, database: true, application: true }

/**
 * Steps that are told on which files they depend are left out when none of these differs from what the release has
 * installed, or from what went live last; in any doubt about that, they run.
 */
export async function planDeployment(
  { entry, log }: Deployment,
  release: Release,
  last: JournalEntry | undefined,
  settings: HookSettings,
  repository: Repository,
): Promise<Plan> {
  const { commit, previous, verb, settingsFile } = entry
  const { INSTALL_DEPS_IF_CHANGED, UPGRADE_DB_IF_CHANGED } = settings
  const { PATH_TO_VENV } = inFolder(settings, release.path)
  const { installed } = release.state
  const hasInstalled =
    installed?.settingsFile === settingsFile && (PATH_TO_VENV === undefined || existsSync(join(PATH_TO_VENV, 'bin')))
  const hasUpgraded =
    last?.outcome === 'live' && last.commit === previous && !isRollback(last.verb) && last.settingsFile === settingsFile

  async function isNeeded(name: string, pathspecs: readonly string[], before: string | undefined, where: string) {
    if (verb !== 'deploy' || before === undefined || pathspecs.length === 0) return true
    if (await repository.differs(before, commit, pathspecs)) return true
    log.say(`NOT ${name}: nothing under ${pathspecs.join(' ')} differs from ${before}, which is ${where}.`)
    return false
  }
  const installedFor = hasInstalled ? installed.commit : undefined
  const upgradedFor = hasUpgraded ? previous : undefined
  return {
    code: true,
    application: true,
    dependencies: await isNeeded('INSTALLING DEPENDENCIES', INSTALL_DEPS_IF_CHANGED, installedFor, 'installed'),
    database: await isNeeded('UPGRADING DATABASE STRUCTURE', UPGRADE_DB_IF_CHANGED, upgradedFor, 'live'),
  }
}

/** Tells whether `.env` is the one that it was: steps depend on what it holds, be it a setting of ours or not. */
export function identifySettings(): string {
  const file = statSync('.env', { throwIfNoEntry: false, bigint: true })
  return file ? `${file.ino} ${file.size} ${file.ctimeNs}` : ''
}
