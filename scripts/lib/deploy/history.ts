import { isRollback } from '../protocol/asks.ts'
import { type DeploymentRecord, deployRefs, logOfRecords, parseRecords, plainLog } from '../protocol/record.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Session } from './clone.ts'
import type { Change } from './dora.ts'
import { fetchCommit, readRefs } from './server-refs.ts'

/**
 * All deployments of the branch, newest first.
 *
 * @param refs what `readRefs` has found, where that was asked for already
 * @throws Failure where the server cannot be asked, and (unknown) where its history was not written by the hook
 */
export async function readHistory(session: Session, refs?: ReadonlyMap<string, string>): Promise<DeploymentRecord[]> {
  const { history: ref } = deployRefs(session.settings.BRANCH_NAME)
  const newest = (refs ?? (await readRefs(session))).get(ref)
  if (newest === undefined) return []
  await fetchCommit(session, newest, ref)
  const bodies = await session.$`exec git ${logOfRecords} ${newest} --`.nothrow()
  const records = parseRecords(bodies.stdout)
  if (records.length > 0) return records
  throw new Failure(exitCode.unknown, `What the server has as ${ref} is not pushlive's: it holds no record.`, {
    why: bodies.stderr,
    fix: `find out who writes it; the next deployment begins a new history once it is gone (on the server: git update-ref -d ${ref})`,
  })
}

/** Subjects of those commits that this clone has. */
export async function readSubjects(
  { $ }: Pick<Session, '$'>,
  commits: readonly string[],
): Promise<Map<string, string>> {
  const lines = await logCommits($, ['--no-walk', '--format=%H %s'], [...new Set(commits)])
  return new Map([...lines.matchAll(/^(\S+) (.*)$/gm)].map(([, id = '', subject = '']) => [id, subject]))
}

/** The commits that were deployed after the first, as far as this clone has them. */
export async function readChanges(
  session: Session,
  records: readonly DeploymentRecord[],
): Promise<Map<string, Change>> {
  const [first, ...later] = records.filter(({ live }) => live).toReversed()
  if (first === undefined) return new Map()
  const ids = new Set(later.map(({ commit }) => commit))
  const lines = await logCommits(session.$, ['--format=%H %ct %P'], [...ids, `^${first.commit}`])
  return new Map(
    [...lines.matchAll(/^(\S+) (\d+) (.*)$/gm)].map(([, id = '', time, parents = '']) => {
      return [id, { committed: Number(time) * 1000, parents: parents.split(' ').filter(Boolean) }]
    }),
  )
}

/** The commits are named on standard input: an argument list holds about 3,000 ids. */
async function logCommits($: Session['$'], options: readonly string[], commits: readonly string[]): Promise<string> {
  if (commits.length === 0) return ''
  const named = $({ stdio: 'pipe', input: commits.map(id => `${id}\n`).join('') })
  return (await named`exec git log ${plainLog} --ignore-missing ${options} --stdin`.nothrow()).stdout
}

/** What serves while no deployment has succeeded yet: the hook has found it there. */
export const findBefore = (records: readonly DeploymentRecord[]): string | undefined =>
  records.some(({ live }) => live) ? undefined : records[0]?.previous

/** The deployment that is live, and the last one if it failed. */
export function summarize([newest, ...older]: readonly DeploymentRecord[]) {
  return {
    live: newest?.live ? newest : older.find(({ live }) => live),
    failed: newest?.live === false ? newest : undefined,
  }
}

/** How a deployment ended, and whether it is live still: a sign and a word or two. */
export function nameOutcome(
  { live, request, notChecked }: DeploymentRecord,
  isLive: boolean,
  isUndone: boolean,
): string {
  if (!live) return '✗ failed'
  const sign = isRollback(request) ? '↩' : isLive ? '●' : isUndone ? '⊘' : '○'
  if (isLive) return `${sign} ${notChecked ? 'in place' : 'live'}`
  if (isUndone) return `${sign} undone`
  return `${sign} ${isRollback(request) ? 'rollback' : 'was live'}`
}
