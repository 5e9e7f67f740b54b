/**
 * The hook's last line, which is all that deploy believes: at the start of a line, where nothing that a step prints
 * can stand, because everything quoted is indented. The words after the colon are for people.
 */
export interface Verdict {
  readonly commit: string
  readonly live: boolean
  readonly explanation: string
}

const form = /^pushlive: ([0-9a-f]{40}|[0-9a-f]{64}) (is live|is not live)(?:: (.*))?$/

export function formatVerdict({ commit, live, explanation }: Verdict): string {
  return `pushlive: ${commit} ${live ? 'is live' : 'is not live'}${explanation && `: ${explanation.replace(/\s+/g, ' ')}`}`
}

export function parseVerdict(line: string): Verdict | undefined {
  const [, commit, word, explanation = ''] = form.exec(line) ?? []
  return commit === undefined ? undefined : { commit, live: word === 'is live', explanation }
}

/** The hook's first line: a server that says it and gives no verdict has lost its hook half-way. */
export const greeting = 'pushlive post-receive'

/** What only the hook writes, and everybody may read. */
export const liveRef = (branch: string) => `refs/deploy/${branch}/live`
export const failedRef = (branch: string) => `refs/deploy/${branch}/failed`
export const historyRef = (branch: string) => `refs/deploy/${branch}/history`

/**
 * What deploy pushes to make the hook run for a commit that the branch already has, which git alone never does
 * ("Everything up-to-date"). The hook deletes the ref at once.
 * request: deploy the branch's tip unless it is live; again: even if it is; rollback: deploy this older commit.
 */
export const requests = ['request', 'again', 'rollback'] as const
/** check deploys nothing: the hook only looks at what a deployment needs there. */
export type Request = (typeof requests)[number] | 'check'
export const requestRef = (request: Request, branch: string) => `refs/deploy-${request}/${branch}`

/** One thing that a deployment needs; `deploy check` shows them. */
export interface Check {
  readonly what: string
  readonly isWell: boolean
  /** What was found, or what is wrong. */
  readonly found: string
}

/** How the hook says it to deploy, and what it says when it is through. */
export const formatCheck = ({ what, isWell, found }: Check) =>
  `${isWell ? 'well:' : 'wrong:'} ${what}: ${found.replace(/\s+/g, ' ')}`
export const endOfChecks = 'That is all that a deployment needs here.'

export function parseCheck(line: string): Check | undefined {
  const [, word, what = '', found = ''] = /^(well|wrong): (.+?): (.*)$/.exec(line) ?? []
  return word === undefined ? undefined : { what, isWell: word === 'well', found }
}
