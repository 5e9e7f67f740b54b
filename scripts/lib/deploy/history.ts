import { type DeploymentRecord, deployRefs, logOfRecords, parseRecords, plainLog } from '../protocol/record.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Session } from './clone.ts'
import { fetchCommit, readRefs } from './server-refs.ts'

/**
 * All deployments of the branch, newest first.
 *
 * @throws Failure where the server cannot be asked, and (unknown) where its history was not written by the hook
 */
export async function readHistory(session: Session): Promise<DeploymentRecord[]> {
  const { history: ref } = deployRefs(session.settings.BRANCH_NAME)
  const newest = (await readRefs(session)).get(ref)
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

/** What a clone says about commits. */
export interface Commits {
  readonly subjects: ReadonlyMap<string, string>
  /** When each was made: milliseconds since 1970. */
  readonly committed: ReadonlyMap<string, number>
}

/** An argument list holds about 3,000 ids: Linux takes 128 kB for the command that bash gets. */
const idsAtOnce = 1000

/** Subjects and times of the commits that this clone has. */
export async function readCommits({ $ }: Pick<Session, '$'>, commits: readonly string[]): Promise<Commits> {
  const [subjects, committed] = [new Map<string, string>(), new Map<string, number>()]
  const ids = [...new Set(commits)]
  for (let from = 0; from < ids.length; from += idsAtOnce) {
    const some = ids.slice(from, from + idsAtOnce)
    const { stdout } =
      await $`exec git log ${plainLog} --no-walk --ignore-missing --format=${'%H %ct %s'} ${some} --`.nothrow()
    for (const [, id = '', time, subject = ''] of stdout.matchAll(/^(\S+) (\d+) (.*)$/gm)) {
      subjects.set(id, subject)
      committed.set(id, Number(time) * 1000)
    }
  }
  return { subjects, committed }
}

/** The deployment that is live, and the last one if it failed. */
export function summarize([newest, ...older]: readonly DeploymentRecord[]) {
  return {
    live: newest?.live ? newest : older.find(({ live }) => live),
    failed: newest?.live === false ? newest : undefined,
  }
}
