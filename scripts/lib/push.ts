import { formatVerdict, type Request, requestRef, requests } from './verdict.ts'

/** What a push asks of the hook. */
export interface Push {
  readonly commit: string
  /** What kind of request ref was pushed; without one the branch itself was. */
  readonly request?: Request
}

/**
 * Finds what is to be deployed in the hook's standard input: lines of `old new ref`.
 *
 * @returns the lines that the pusher is to be told where nothing is
 */
export function findPush(input: string, branch: string): Push | string {
  const refs = input.split('\n').filter(Boolean).map(readLine)
  const pushed = new Map(refs.filter(({ commit }) => !/^0+$/.test(commit)).map(({ ref, commit }) => [ref, commit]))
  for (const request of requests) {
    const commit = pushed.get(requestRef(request, branch))
    if (commit) return { commit, request }
  }
  const commit = pushed.get(`refs/heads/${branch}`)
  if (commit) return { commit }
  const checked = pushed.get(requestRef('check', branch))
  if (checked) return { commit: checked, request: 'check' }
  return refs.map(({ ref, commit }) => explainRefusal(ref, commit, branch)).join('\n')
}

function explainRefusal(ref: string, commit: string, branch: string): string {
  const isDeleted = /^0+$/.test(commit)
  if (isDeleted && ref === `refs/heads/${branch}`)
    return `${branch} is deleted: nothing is deployed, what is live stays so.`
  // Only of these deploy expects an answer.
  const isMeant = !isDeleted && /^refs\/(heads|deploy-[a-z]+)\//.test(ref)
  if (isMeant) return formatVerdict({ commit, live: false, explanation: `only pushes of ${branch} are deployed here` })
  return `${ref}: nothing is deployed, only pushes of ${branch} are.`
}

function readLine(line: string) {
  const [, commit = '', ref = ''] = /^\S+ (\S+) (.*)$/.exec(line) ?? []
  return { commit, ref }
}
