import { isCommitId, partOfId, wholeId } from './ids.ts'

/** What tells one verb from another. */
interface Rules {
  /** Whether the ask names a commit by its whole id. Others name one by a beginning of its id, or none. */
  readonly needsCommit?: boolean
  readonly goesBack?: boolean
}

/**
 * What deploy asks of the hook: a ref with a name of its own, pushed in the same `git push` as the branch. The ref is
 * always new, so the hook always runs: also where the branch is up to date, was refused, or was overtaken. The hook
 * deletes it. This table is all that says which asks there are: hooks/update is made from it, too.
 */
const verbs = {
  /** Deploy the branch's tip, unless the commit serves already. */
  deploy: { needsCommit: true },
  /** The same, even if it does. */
  again: { needsCommit: true },
  /** Go back to the commit that is named, or to the one that was live before. */
  rollback: { goesBack: true },
  /** The same, and the database too. */
  downgrade: { goesBack: true },
  /** Only look at what a deployment needs there. */
  check: { needsCommit: true },
  /** Show the log of the newest deployment, or of the newest of a commit. */
  log: {},
  /** Show the ends of all logs. */
  logs: {},
  /** Tell what is deployed at this moment. */
  status: {},
} as const satisfies Record<string, Rules>

export type Verb = keyof typeof verbs
export const verbNames = Object.keys(verbs) as Verb[]

const rulesOf = (verb: string | undefined): Rules => (Object.hasOwn(verbs, verb ?? '') ? verbs[verb as Verb] : {})
export const isRollback = (verb: string | undefined) => rulesOf(verb).goesBack === true

export interface Ask {
  readonly verb: Verb
  /** A commit's id. A verb that needs no commit may have the beginning of one, or undefined. */
  readonly commit: string | undefined
}

/** In the name of an ask that names no commit. */
const previous = 'previous'
/** What tells a run from all others: how many letters and digits. */
const [shortestUnique, longestUnique] = [8, 64]

const askRefs = 'refs/deploy-ask/'
export const isAskRef = (ref: string) => ref.startsWith(askRefs)
export const askFolder = (branch: string) => `${askRefs}${branch}`

/** @param unique tells this run from all others: letters and digits */
export const askRef = (branch: string, { verb, commit = previous }: Ask, unique: string) =>
  `${askFolder(branch)}/${verb}-${commit}-${unique}`

const form = new RegExp(
  `^(${verbNames.join('|')})-(${partOfId}|${previous})-[0-9a-z]{${shortestUnique},${longestUnique}}$`,
)

/** Undefined for a ref that is no ask to this branch. */
export function parseAsk(ref: string, branch: string): Ask | undefined {
  if (!ref.startsWith(`${askFolder(branch)}/`)) return undefined
  const [, verb, commit = ''] = form.exec(ref.slice(askFolder(branch).length + 1)) ?? []
  if (verb === undefined || (rulesOf(verb).needsCommit && !isCommitId(commit))) return undefined
  return { verb: verb as Verb, commit: commit === previous ? undefined : commit }
}

/** The commit that an ask names whose form is not known here: another version of deploy waits for an answer about it. */
export const commitInUnknownAsk = (ref: string) => new RegExp(`-(${wholeId})-\\w+$`).exec(ref)?.[1]

/** The branch that a ref is about: an ask's, or a branch itself. */
export const branchOf = (ref: string): string | undefined =>
  /^refs\/heads\/(.+)$/.exec(ref)?.[1] ?? /^refs\/deploy-ask\/(.+)\/[^/]+$/.exec(ref)?.[1]

const verbsInSh = (needsCommit: boolean) =>
  verbNames.filter(verb => (rulesOf(verb).needsCommit ?? false) === needsCommit).join(' | ')

/** A function of sh, for hooks/update: whether a name is that of an ask (parseAsk). It starts no process. */
export const isAskInSh = `\
is_hex() { case $1 in *[!0-9a-f]*) return 1 ;; esac; }
is_ask() { # NAME: <verb>-<commit>-<unique>
  verb=\${1%%-*} unique=\${1##*-} commit=\${1#*-} commit=\${commit%-*}
  [ "$1" = "$verb-$commit-$unique" ] || return 1
  case $unique in *[!0-9a-z]*) return 1 ;; esac
  [ \${#unique} -ge ${shortestUnique} ] && [ \${#unique} -le ${longestUnique} ] || return 1
  case $verb in
    ${verbsInSh(true)}) is_hex "$commit" && { [ \${#commit} = 40 ] || [ \${#commit} = 64 ]; } ;;
    ${verbsInSh(false)}) [ "$commit" = ${previous} ] || { is_hex "$commit" && [ \${#commit} -ge 4 ] && [ \${#commit} -le 64 ]; } ;;
    *) return 1 ;;
  esac
}`
