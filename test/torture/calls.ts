import type { Commit } from './commits.ts'
import type { Call, Trouble } from './history.ts'
import type { Look } from './look.ts'
import type { Ended, Server } from './server.ts'

/** The state before and after a call that ran alone. */
export interface Around {
  readonly before: Look
  readonly after: Look
  /** The steps that have begun. */
  readonly begun: readonly string[]
  /** The local changes that were there. */
  readonly edits: readonly string[]
  /** Of the server's branch, before. */
  readonly tip: Commit | undefined
  /** Whether the commit's files and untracked ones cannot lie beside each other. */
  readonly collides: boolean
  readonly trouble: Trouble | undefined
}

export interface Called extends Ended {
  readonly call: Call
  readonly target: Commit
}

export type Calls = ReturnType<typeof newCalls>

/** What commits and calls are called, in messages and on the command line. */
export function newCalls(server: Server) {
  const shortName = (commit: Commit | undefined) =>
    commit ? `c${server.commits.indexOf(commit) + 1} (${commit.kind}, ${commit.id.slice(0, 10)})` : 'nothing'
  const rollbackTarget = (call: Call) => server.commits[call.to % server.commits.length]

  function argumentsOf(call: Call): string[] {
    if (call.verb === 'again') return ['--again']
    if (call.verb === 'deploy') return []
    if (call.verb === 'force') return ['--force', server.branch()]
    if (call.verb === 'rollback to') return ['rollback', rollbackTarget(call)?.id ?? '']
    if (call.verb === 'rollback with database') return ['rollback', '--database']
    return [call.verb]
  }

  const describeCall = (call: Call) =>
    `deploy ${argumentsOf(call).join(' ')}${call.verb === 'rollback to' ? ` (${shortName(rollbackTarget(call))})` : ''}`.trim()

  const chosenBy = (output: string) => {
    const [, id] = /^([0-9a-f]{40,64}) IS (LIVE|IN PLACE)/m.exec(output) ?? []
    return server.commits.find(each => each.id === id)
  }

  return { shortName, argumentsOf, describeCall, rollbackTarget, chosenBy }
}
