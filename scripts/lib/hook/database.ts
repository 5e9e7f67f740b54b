import { type DeploymentRecord, findRevision } from '../protocol/record.ts'
import { compareRevisions, parseRevision } from '../protocol/revision.ts'
import { formatAnnouncement } from '../protocol/steps.ts'
import { describe, exitCode, Failure } from '../shared/program.ts'
import type { DeploymentContext } from './context.ts'
import type { Deployment } from './deployment.ts'
import { toText } from './git-paths.ts'
import { type JournalEntry, type Mover, mayBeBehind } from './journal.ts'
import type { Release } from './releases.ts'
import { inFolder } from './settings.ts'
import * as activateEnvironment from './steps/activate-environment.ts'
import { openShell, type StepsShell } from './steps-shell.ts'
import { listNames } from './work-tree.ts'

/** More than these can have moved a database only where it could not be asked again and again. */
const mostMovers = 5

/** Notes whose command moves the database. It is on the disk before that command begins. */
export function noteMove(deployment: Deployment, mover: Mover): void {
  const { entry } = deployment
  const { since = [], ...known } = entry.known ?? {}
  const others = since.filter(({ commit, release }) => commit !== mover.commit || release !== mover.release)
  entry.known = { ...known, since: [mover, ...others].slice(0, mostMovers) }
  deployment.hasAskedDatabase = false
}

/**
 * Asks DB_REVISION where the database is, and notes it.
 *
 * @param commit the one whose code is asked
 * @throws Failure where that fails: the code may not know where the database is
 */
export async function askRevision(shell: StepsShell, command: string, commit: string, deployment: Deployment) {
  const revision = parseRevision(await shell.read(command))
  const { entry } = deployment
  const { by, since = [] } = entry.known ?? {}
  // Where nothing has moved, whoever has led there still knows the way back.
  const hasMoved = entry.known?.revision !== revision
  const asked = since.find(mover => mover.commit === commit)
  entry.known = { revision, by: hasMoved ? (asked ?? since[0] ?? by) : (by ?? since[0]) }
  deployment.hasAskedDatabase = true
  return revision
}

/** Notes that a release is live with the database where its record says that it is. */
export function noteLive({ entry }: Deployment, release: Release): void {
  const { revision, by, since = [] } = entry.known ?? {}
  const own = { commit: entry.commit, release: release.number }
  if (since.length > 0) entry.known = { by: since[0] }
  else if (entry.verb === 'downgrade') entry.known = { revision, by: own }
  else if (by) entry.known = { revision, by }
}

/** Those whose migrations may have led to where the database is, the likeliest first. */
export const moversOf = ({ known }: Pick<JournalEntry, 'known'>): readonly Mover[] => [
  ...(known?.since ?? []),
  ...(known?.by ? [known.by] : []),
]

/** A shell in a release other than the one that is deployed, with its environment. @throws Failure of ACTIVATE_VENV */
export async function openShellIn(release: Release, context: DeploymentContext): Promise<StepsShell> {
  const { deployment, settings } = context
  const shell = openShell(release.path, inFolder(settings, release.path), deployment.entry.commit, context)
  if (settings.ACTIVATE_VENV !== undefined) await activateEnvironment.run({ ...context, release, shell })
  return shell
}

/**
 * The releases that may know the way back from where the database is, the likeliest first: those whose migrations may
 * have led there, and what serves, where its code contains these.
 *
 * @throws Failure where there is none
 */
export async function findWaysBack(
  { releases, repository, deployment }: DeploymentContext,
  records: readonly DeploymentRecord[],
): Promise<{ release: Release; commit: string }[]> {
  const recorded = records.find(({ live, database }) => live && database !== undefined)?.commit
  const movers = moversOf(deployment.entry)
  const [{ commit: newest } = { commit: recorded }] = movers
  const ways = [...movers, { commit: newest, release: undefined }].flatMap(({ commit, release: number }) => {
    const release = commit && releases.findAtHead(commit, number)
    return release ? [{ release, commit }] : []
  })
  const serving = releases.serving()
  const head = serving?.workTree.head
  if (serving && head && newest && serving.workTree.isAt(head) && (await repository.contains(head, newest))) {
    ways.push({ release: serving, commit: head })
  }
  const numbers = ways.map(({ release }) => release.number)
  if (ways.length > 0) return ways.filter(({ release }, index) => numbers.indexOf(release.number) === index)
  throw new Failure(exitCode.failed, `The code of ${newest}, which alone knows the way back, is not there.`, {
    fix: 'keep releases side by side (RELEASES=3), or take the database back by hand',
  })
}

/**
 * After a failure asks where the database is, before the code that knows is gone. Where nothing has moved it, it is as
 * settled as it was before.
 */
export async function lookAtDatabase(context: DeploymentContext): Promise<void> {
  const { deployment, settings, last, repository, refs } = context
  const { entry, log } = deployment
  if (settings.DB_REVISION === undefined) return
  if (!deployment.hasAskedDatabase) {
    log.say(formatAnnouncement('ASKING FOR DATABASE REVISION'))
    const serving = context.releases.serving()
    const ways = await repository
      .records(refs)
      .then(records => findWaysBack(context, records))
      .catch(() => (serving ? [{ release: serving, commit: '' }] : []))
    for (const { release, commit } of ways) {
      try {
        await askRevision(await openShellIn(release, context), settings.DB_REVISION, commit, deployment)
        break
      } catch (error) {
        log.say(describe(error))
      }
    }
  }
  if (!deployment.hasAskedDatabase) return
  const before = deployment.wentBackFrom ?? last?.known?.revision
  const hasMoved = entry.known?.revision !== before
  if (!hasMoved && !last?.touched.database) delete entry.touched.database
  // Half-way back. Only the code that was live there before leads forward to where it was.
  if (deployment.wentBackFrom !== undefined && hasMoved && entry.known?.by?.commit === entry.previous) {
    deployment.hasTakenDatabaseBack = true
  }
}

/** Where the database is not where the code of the previous commit needs it, in a sentence. */
export async function explainDatabase(previous: string, context: DeploymentContext): Promise<string> {
  const { deployment, repository, refs, settings } = context
  const { entry } = deployment
  const isBehind = mayBeBehind(entry, previous)
  const wanted = findRevision(await repository.records(refs), previous)
  const found = deployment.hasAskedDatabase ? entry.known?.revision : undefined
  if (found !== undefined && found === wanted) {
    delete entry.touched.database
    return ''
  }
  if (found === undefined || wanted === undefined) {
    const migrations = await repository.addedFiles(previous, entry.commit, settings.UPGRADE_DB_IF_CHANGED)
    const between = migrations.length > 0 ? ` by ${listNames(migrations.map(toText))}` : ''
    if (isBehind) return 'The database was left as it is: it may be behind the code.'
    return `The database was left as it is: it may be ahead of the code${between}.`
  }
  const where = compareRevisions(found, wanted)
  if (isBehind) return `The database is behind the code: ${where}. To upgrade it, deploy ${previous} again.`
  const fix = settings.DOWNGRADE_DB && !context.releases.isInPlace ? ' `deploy rollback --database` takes it back.' : ''
  return `The database was left as it is, ahead of the code: ${where}.${fix}`
}
