import { isCommitId } from './record.ts'

/**
 * What deploy asks of the hook: a ref with a name of its own, pushed in the same `git push` as the branch. It is always
 * new, so the hook always runs, also where the branch is up to date, was refused, or was overtaken. The hook deletes it.
 *
 * deploy: deploy the branch's tip, unless what is asked for serves already; again: even then; rollback: go back, to the
 * commit that is named or to what was live before; downgrade: the same, and the database too; check: only look at what a
 * deployment needs there; log: show that of the commit that is named, or the newest; logs: all of them, shortened.
 */
export const verbs = ['deploy', 'again', 'rollback', 'downgrade', 'check', 'log', 'logs'] as const
export type Verb = (typeof verbs)[number]

export const isRollback = (verb: string | undefined) => verb === 'rollback' || verb === 'downgrade'

export interface Ask {
  readonly verb: Verb
  /** A commit's id; where none has to be named, also the beginning of one, or undefined. */
  readonly commit: string | undefined
}

/** Stands in the name for the commit that was live before the one that is, or for none. */
const previous = 'previous'

/** Those which need no commit, or know a beginning of its id. */
const isFree = (verb: string) => isRollback(verb) || verb === 'log' || verb === 'logs'

export const askFolder = (branch: string) => `refs/deploy-ask/${branch}`

/** @param unique tells this run from all others: letters and digits */
export const askRef = (branch: string, { verb, commit = previous }: Ask, unique: string) =>
  `${askFolder(branch)}/${verb}-${commit}-${unique}`

/** Undefined for a ref that is no ask to this branch. */
export function parseAsk(ref: string, branch: string): Ask | undefined {
  if (!ref.startsWith(`${askFolder(branch)}/`)) return undefined
  const name = ref.slice(askFolder(branch).length + 1)
  const [, verb, commit = ''] =
    /^(deploy|again|rollback|downgrade|check|logs?)-([0-9a-f]{4,64}|previous)-[0-9a-z]{8,64}$/.exec(name) ?? []
  if (verb === undefined || (!isFree(verb) && !isCommitId(commit))) return undefined
  return { verb: verb as Verb, commit: commit === previous ? undefined : commit }
}

/** What an ask points at that has no more to say than its name: objects that every git knows without having them. */
export const emptyTrees: readonly string[] = [
  '4b825dc642cb6eb9a060e54bf8d69288fbee4904',
  '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321',
]
