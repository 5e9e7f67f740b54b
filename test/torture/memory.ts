import type { Around, Called } from './calls.ts'
import type { Commit } from './commits.ts'

export type Memory = ReturnType<typeof newMemory>

/** What has happened on a server, as far as it says what has to happen next. */
export function newMemory() {
  const memory = {
    /** The commits that were live one after another, as a rollback counts them; empty where only the server knows. */
    line: [] as Commit[],
    /** Nothing was live before the first of the line. */
    isWholeLine: true,
    everServed: new Set<Commit>(),
    /** The commits that the branch has gone live without, so that nothing is recorded of their database. */
    unrecorded: new Set<Commit>(),
    /** The commit that was live after the last call that exited with 0, unless somebody has removed it since. */
    answered: undefined as Commit | undefined,
    /** Whether a state file has been damaged since the last call that exited with 0. */
    isDamaged: false,
    /** Whether all has been in order since the last call, which exited with 0. */
    isSettled: false,
    /** Whether the releases are as deployments alone have left them. */
    isUntouched: true,
    /** Whether what serves was put there by a deployment of its own, and not by a rollback. */
    isNewest: false,
    /** Whether the last call was a deployment that failed when it had begun to upgrade the database. */
    hasFailedAhead: false,
    forgetLine,
    serveUnrecorded,
    follow,
  }

  function forgetLine() {
    memory.line = []
    memory.isWholeLine = false
  }

  /** Remembers what serves where the branch has no deployment yet. */
  function serveUnrecorded(commit: Commit) {
    memory.line = [commit]
    memory.unrecorded.add(commit)
    memory.everServed.add(commit)
    memory.answered = commit
  }

  /** @param isAlone whether there was one call only, and no fault */
  function follow(called: readonly Called[], around: Around, isAlone: boolean) {
    const { served } = around.after
    const [only] = called
    if (isAlone && only) followCall(only, around)
    else {
      forgetLine()
      memory.isSettled = memory.isNewest = memory.hasFailedAhead = false
    }
    if (served) memory.everServed.add(served)
    if (called.some(({ code, call }) => code === 0 && call.verb !== 'check')) {
      memory.isDamaged = false
      memory.answered = served
    }
  }

  function followCall({ call: { verb }, code }: Called, { before, after, begun }: Around) {
    const { served, problems, unmigrated } = after
    const isRollback = verb.startsWith('rollback')
    if (code === 5 || typeof code === 'string') forgetLine()
    if (verb === 'check') return
    memory.isSettled = code === 0 && problems.length === 0 && unmigrated.length === 0
    memory.hasFailedAhead = code === 1 && !isRollback && begun.some(step => step.startsWith('upgrade '))
    if (served !== before.served) memory.isNewest = !isRollback
    if (code === 0 && served && begun.length > 0 && memory.line.at(-1) !== served) goLive(served, isRollback)
  }

  function goLive(served: Commit, isRollback: boolean) {
    const at = isRollback ? memory.line.lastIndexOf(served) : -1
    if (at !== -1) memory.line.length = at + 1
    else if (isRollback && !memory.isWholeLine) memory.line = [served]
    else memory.line.push(served)
  }

  return memory
}
