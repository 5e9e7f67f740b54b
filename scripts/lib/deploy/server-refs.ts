import { deployRefs } from '../protocol/record.ts'
import { explainFailure } from '../ssh/explain-failure.ts'
import type { Session } from './clone.ts'

/** The server's refs for the branch, by their names. @throws Failure where the server cannot be asked */
export async function readRefs(session: Session): Promise<Map<string, string>> {
  const { server, settings } = session
  const refs = [`refs/heads/${settings.BRANCH_NAME}`, `refs/deploy/${settings.BRANCH_NAME}/*`]
  const listed = await askServer(session, ['ls-remote', server, ...refs])
  const lines = listed.split('\n').filter(Boolean)
  return new Map(lines.map(line => line.split('\t').reverse() as [string, string]))
}

/** Whether the server has none of the branch. Where it lists nothing, a push says why. */
export async function isNeverPushed(session: Session): Promise<boolean> {
  const refs = await readRefs(session).catch(() => undefined)
  const { BRANCH_NAME } = session.settings
  return refs !== undefined && !refs.has(`refs/heads/${BRANCH_NAME}`) && !refs.has(deployRefs(BRANCH_NAME).live)
}

/** Whether refs that the server lists show that its hook is ours: nothing else writes there. */
export const showOurHook = (refs: ReadonlyMap<string, string>) =>
  [...refs.keys()].some(ref => ref.startsWith('refs/deploy/'))

/** Gets a commit's objects, unless they are here, and writes no ref. @throws Failure where the server cannot be asked */
export async function fetchCommit(session: Session, commit: string, ref: string): Promise<void> {
  if ((await session.$`exec git cat-file -e ${`${commit}^{commit}`}`.nothrow()).ok) return
  const options = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules', '--no-auto-gc']
  await askServer(session, ['fetch', ...options, session.server, ref])
}

/** What a git command prints that goes to the server. @throws Failure where it fails */
async function askServer({ $, git, takeSshMessages }: Session, command: readonly string[]): Promise<string> {
  const { ok, stdout, stderr } = await $`exec ${git} ${command}`.nothrow()
  const messages = takeSshMessages() + stderr
  if (!ok) throw explainFailure(messages)
  return stdout
}
