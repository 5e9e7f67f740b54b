import type { Shell } from 'zx/core'
import type { StepRecord } from './journal.ts'
import { exit, Failure } from './program.ts'
import { explainPushFailure } from './push-failure.ts'
import { historyRef } from './verdict.ts'

/** One deployment, as the hook wrote it down. Times are milliseconds since 1970. */
export interface HistoryEntry {
  readonly commit: string
  readonly previous?: string
  readonly live: boolean
  readonly request?: string
  readonly who: string
  readonly started: number
  readonly ended: number
  readonly steps: readonly StepRecord[]
  readonly explanation?: string
}

/** The server's refs for one branch, by their names. @throws Failure where the server cannot be asked */
export async function readRefs($: Shell, remote: string, branch: string): Promise<Map<string, string>> {
  const listed = await $`git ls-remote ${remote} ${`refs/heads/${branch}`} ${`refs/deploy/${branch}/*`}`.nothrow()
  if (!listed.ok) throw explainPushFailure(listed.stderr)
  return new Map(listed.stdout.split('\n').map(line => line.split('\t').reverse() as [string, string]))
}

/** Whether refs that the server lists show that its hook is ours: nothing else writes there. */
export const showOurHook = (refs: ReadonlyMap<string, string>) =>
  [...refs.keys()].some(ref => ref.startsWith('refs/deploy/'))

/** All deployments of a branch, newest first. @throws Failure where the server cannot be asked */
export async function readHistory($: Shell, remote: string, branch: string): Promise<HistoryEntry[]> {
  const newest = (await readRefs($, remote, branch)).get(historyRef(branch))
  if (newest === undefined) return []
  await fetchCommit($, remote, newest, historyRef(branch))
  const messages = (await $`git log -z --format=%b ${newest} --`).stdout
  return messages
    .split('\0')
    .filter(Boolean)
    .map(message => JSON.parse(message))
}

/** Gets a commit's objects, unless they are here, and writes no ref. */
export async function fetchCommit($: Shell, remote: string, commit: string, ref: string): Promise<void> {
  if ((await $`git cat-file -e ${`${commit}^{commit}`}`.nothrow()).ok) return
  const fetched = await $`git fetch --quiet --no-tags --no-write-fetch-head ${remote} ${ref}`.nothrow()
  if (!fetched.ok) throw explainPushFailure(fetched.stderr)
}

/** The commit to go back to: the one that is named, or the one that was live before. @throws Failure where there is none */
export async function findRollback(
  $: Shell,
  remote: string,
  branch: string,
  name: string | undefined,
): Promise<string> {
  if (name === undefined) {
    const [live, ...earlier] = (await readHistory($, remote, branch)).filter(entry => entry.live)
    const previous = earlier.find(({ commit }) => commit !== live?.commit)?.commit
    if (previous) return verifyCommit($, remote, branch, previous)
    throw new Failure(exit.usage, 'There is nothing to go back to: no other commit was live before.')
  }
  return verifyCommit($, remote, branch, name)
}

async function verifyCommit($: Shell, remote: string, branch: string, name: string): Promise<string> {
  const find = () => $`git rev-parse --quiet --verify --end-of-options ${`${name}^{commit}`}`.nothrow()
  let found = await find()
  if (!found.ok) {
    await fetchCommit($, remote, name, `refs/heads/${branch}`)
    found = await find()
  }
  if (found.ok) return found.stdout.trim()
  throw new Failure(exit.usage, `${name} is not a commit of this repository.`, {
    fix: 'deploy history lists what was live',
  })
}

export function formatStatus(history: readonly HistoryEntry[]): string {
  const { live, failed } = summarize(history)
  const lines = [live ? `live    ${formatEntry(live)}` : 'Nothing was ever live.']
  if (failed) lines.push(`failed  ${formatEntry(failed)}`)
  return lines.join('\n')
}

export const formatHistory = (history: readonly HistoryEntry[]) =>
  history.map(entry => `${entry.live ? 'live  ' : 'failed'}  ${formatEntry(entry)}`).join('\n') ||
  'Nothing was ever deployed.'

/** The deployment that is live, and the last that failed since. */
export function summarize(history: readonly HistoryEntry[]) {
  const failed = history[0]?.live === false ? history[0] : undefined
  return { live: history.find(entry => entry.live), failed }
}

function formatEntry({ commit, who, started, ended, steps, request, explanation, live }: HistoryEntry): string {
  const how = request === 'rollback' ? ', rolled back' : ''
  const times = steps.map(({ name, seconds }) => `${name} ${seconds === undefined ? 'not finished' : `${seconds} s`}`)
  return [
    `${commit}  ${new Date(ended).toISOString()}  by ${who}${how}, took ${(ended - started) / 1000} s`,
    ...times.map(line => `          ${line}`),
    ...(live || !explanation ? [] : [`          ${explanation}`]),
  ].join('\n')
}
