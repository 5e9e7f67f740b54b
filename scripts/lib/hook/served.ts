import { isCommitId } from '../protocol/ids.ts'
import type { Context } from './context.ts'
import { isConsistent, type Served } from './journal.ts'

/**
 * What serves now, or nothing where that is not known. It is found from what is there, whatever refs and journal say; only
 * after a deployment that ended in the middle of a change it is what served before that one.
 *
 * @throws Failure where another repository serves there
 */
export async function findServed(context: Context): Promise<Served | undefined> {
  const { last, refs, releases } = context
  releases.serving()?.workTree.verifyOwn()
  if (!(await isHalfDone(context))) return lookAtServed(context)
  const commit = last ? last.previous : refs.live
  return last?.served ?? (commit === undefined ? undefined : { commit })
}

/** The release that the link leads to, or the folder that serves in place, and the commit in it. */
export async function lookAtServed({ releases, refs, last, repository }: Context): Promise<Served | undefined> {
  const serving = releases.serving()
  if (serving === undefined || serving.workTree.isEmpty()) return undefined
  const { number, path, workTree, state } = serving
  const { head } = workTree
  const live = refs.live ?? last?.previous
  // After `git checkout BRANCH` by hand HEAD names the branch, which the push has moved: only the files tell what this is.
  if (workTree.isLinked() && head?.startsWith('ref:')) {
    if (live === undefined) return undefined
    const isLive = number > 0 && (await workTree.holds(live))
    return isLive ? { folder: path, commit: live } : { commit: live }
  }
  let commit: string | undefined
  if (workTree.isLinked() && isCommitId(head)) commit = head
  else if (number > 0 || workTree.isOurs()) commit = state.complete ?? live
  // The bash hook's folder stays that until a deployment goes live, however many have failed.
  if (refs.live === undefined) {
    commit ??= await repository.findCheckedOut()
    // In a folder that no git has filled, the first checkout finds a commit without files.
    if (commit && (await repository.sources(commit)).names.length === 0) commit = undefined
  }
  return number > 0 ? { folder: path, commit } : commit === undefined ? undefined : { commit }
}

/** Whether the last deployment was killed, or could not put back what it had changed. It may be unknown, too. */
async function isHalfDone({ last, refs, repository }: Context): Promise<boolean> {
  if (last === undefined) return refs.live !== undefined
  if (isConsistent(last.touched)) return false
  // It may have been killed right after it had recorded its success.
  const [newest] = await repository.records(refs)
  return !(newest?.live && newest.started === last.started)
}
