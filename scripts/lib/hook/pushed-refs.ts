import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Ask, askFolder, branchOf, commitInUnknownAsk, isAskRef, isRollback, parseAsk } from '../protocol/asks.ts'
import { isZeroId } from '../protocol/ids.ts'
import { formatVerdict } from '../protocol/verdict.ts'
import { flatten } from '../shared/foreign-text.ts'

/** What a push asks of the hook. */
export interface PushedAsk {
  /** Undefined where the push asks for nothing. */
  readonly ask: Ask | undefined
  /** The object that the ask points at, which may name its origin. */
  readonly object?: string | undefined
  /** Lines of the hook's that tell why there is no ask. */
  readonly refusals: readonly string[]
  /** Whether a pushlive deploy waits for an answer. */
  readonly isAsked: boolean
}

/**
 * Finds what is asked in the hook's standard input: lines of `old new ref`. A push of the branch without an ask, by
 * hand, asks for its deployment.
 */
export function findAsk(input: string, branch: string): PushedAsk {
  const lines = input.split('\n').filter(Boolean).map(readLine)
  const asks = lines.filter(({ ref, id }) => isAskRef(ref) && !isZeroId(id))
  const pushed = lines.find(({ ref, id }) => ref === `refs/heads/${branch}` && !isZeroId(id))
  if (asks.length === 0) {
    const ask: Ask | undefined = pushed && { verb: 'deploy', commit: pushed.id }
    return { ask, refusals: ask ? [] : lines.map(line => explainRefusal(line, branch)), isAsked: ask !== undefined }
  }
  const ask = asks.length === 1 ? parseAsk(asks[0]?.ref ?? '', branch) : undefined
  const refusals = ask ? [] : asks.map(line => explainRefusal(line, branch))
  if (ask && pushed && isRollback(ask.verb))
    refusals.push(`${branch} is at ${pushed.id} now, which this rollback does not deploy.`)
  return { ask, object: asks[0]?.id, refusals, isAsked: true }
}

/**
 * Removes asks as soon as they are read. It removes files, because git would lock packed-refs for a deletion, and a killed
 * git never unlocks it. What is left is removed when the deployment's turn has come.
 */
export function removeAsks(input: string, gitDir: string): void {
  for (const { ref } of input.split('\n').map(readLine)) {
    try {
      // git has checked the name: it has no `..` in it.
      if (isAskRef(ref)) rmSync(join(gitDir, ref), { force: true, recursive: true })
    } catch {
      // The ask is answered all the same.
    }
  }
}

function explainRefusal({ ref, id }: { ref: string; id: string }, branch: string): string {
  if (isZeroId(id) && ref === `refs/heads/${branch}`)
    return `${branch} is deleted: nothing is deployed, what is live stays so.`
  const commit = isAskRef(ref) ? commitInUnknownAsk(ref) : id
  const isOfBranch = ref.startsWith(`${askFolder(branch)}/`)
  const explanation = isOfBranch
    ? `${flatten(ref)} is nothing that this hook understands, or not the only ask of this push`
    : `only pushes of ${branch} are deployed here`
  // deploy waits for an answer to these only.
  if (isAskRef(ref) || (!isZeroId(id) && ref.startsWith('refs/heads/'))) {
    return formatVerdict({ commit: commit ?? 'previous', live: false, explanation })
  }
  return `${flatten(ref)}: nothing is deployed, only pushes of ${branch} are.`
}

function readLine(line: string) {
  const [, id = '', ref = ''] = /^\S+ (\S+) (.*)$/.exec(line) ?? []
  return { id, ref }
}

/** The branch that a push is about: for an answer where the settings, which name our branch, cannot be read. */
export function branchIn(input: string): string {
  const branches = input.split('\n').map(line => branchOf(readLine(line).ref))
  return branches.find(branch => branch !== undefined) ?? 'main'
}
