import { explainFailure } from '../ssh/explain-failure.ts'
import type { Session } from './clone.ts'

/** The server's refs for the branch, by their names. @throws Failure where the server cannot be asked */
export async function readRefs({ $, git, server, settings: { BRANCH_NAME } }: Session): Promise<Map<string, string>> {
  const listed =
    await $`exec ${git} ls-remote ${server} ${`refs/heads/${BRANCH_NAME}`} ${`refs/deploy/${BRANCH_NAME}/*`}`.nothrow()
  if (!listed.ok) throw explainFailure(listed.stderr)
  return new Map(listed.stdout.split('\n').map(line => line.split('\t').reverse() as [string, string]))
}

/** Whether refs that the server lists show that its hook is ours: nothing else writes there. */
export const showOurHook = (refs: ReadonlyMap<string, string>) =>
  [...refs.keys()].some(ref => ref.startsWith('refs/deploy/'))

/** Gets a commit's objects, unless they are here, and writes no ref. @throws Failure where the server cannot be asked */
export async function fetchCommit({ $, git, server }: Session, commit: string, ref: string): Promise<void> {
  if ((await $`exec git cat-file -e ${`${commit}^{commit}`}`.nothrow()).ok) return
  const options = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules', '--no-auto-gc']
  const fetched = await $`exec ${git} fetch ${options} ${server} ${ref}`.nothrow()
  if (!fetched.ok) throw explainFailure(fetched.stderr)
}
