import { type DeploymentRecord, deployRefs, parseRecords } from '../protocol/record.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Session } from './clone.ts'
import { fetchCommit, readRefs } from './server-refs.ts'

/**
 * All deployments of the branch, newest first.
 *
 * @throws Failure where the server cannot be asked, and (unknown) where what it has is not the hook's
 */
export async function readHistory(session: Session): Promise<DeploymentRecord[]> {
  const { history: ref } = deployRefs(session.settings.BRANCH_NAME)
  const newest = (await readRefs(session)).get(ref)
  if (newest === undefined) return []
  await fetchCommit(session, newest, ref)
  const bodies = await session.$`exec git -c log.showSignature=false log -z --format=%b ${newest} --`.nothrow()
  const records = parseRecords(bodies.stdout)
  if (records.length > 0) return records
  throw new Failure(exitCode.unknown, `What the server has as ${ref} is not pushlive's: it holds no record.`, {
    why: bodies.stderr,
    fix: `find out who writes it; the next deployment begins a new history once it is gone (on the server: git update-ref -d ${ref})`,
  })
}

/** What the commits are about, as far as this clone has them. */
export async function readSubjects(session: Session, commits: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const ids = [...new Set(commits)]
  if (ids.length === 0) return new Map()
  const { stdout } =
    await session.$`exec git -c log.showSignature=false log --no-walk --ignore-missing --format=${'%H %s'} ${ids} --`.nothrow()
  return new Map(stdout.split('\n').map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]))
}

/** The deployment that is live, and the last one if it failed. */
export function summarize([newest, ...older]: readonly DeploymentRecord[]) {
  return {
    live: newest?.live ? newest : older.find(({ live }) => live),
    failed: newest?.live === false ? newest : undefined,
  }
}
