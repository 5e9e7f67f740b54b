import type { Deployment } from './journal.ts'
import { failedRef, historyRef, liveRef, requestRef, requests } from './verdict.ts'

/** Who the hook's own commits are by: the server's user need not have told git who it is. */
export const identity = {
  GIT_AUTHOR_NAME: 'pushlive',
  GIT_AUTHOR_EMAIL: 'pushlive@localhost',
  GIT_COMMITTER_NAME: 'pushlive',
  GIT_COMMITTER_EMAIL: 'pushlive@localhost',
}

/** The bare repository's refs: what is asked for, what is live, what failed, and the history of both. */
export class Repository {
  readonly gitDir: string

  constructor(gitDir: string) {
    this.gitDir = gitDir
  }

  /** The commits that the branch and its deployments stand at; each may be missing. */
  async refs(branch: string) {
    const git = await this.#git()
    const format = '%(objectname) %(refname)'
    const { stdout } =
      await git`git for-each-ref --format=${format} ${`refs/heads/${branch}`} ${`refs/deploy/${branch}`}`
    const refs = new Map(stdout.split('\n').map(line => [line.slice(line.indexOf(' ') + 1), line.split(' ')[0]]))
    return {
      tip: refs.get(`refs/heads/${branch}`),
      live: refs.get(liveRef(branch)),
      failed: refs.get(failedRef(branch)),
      history: refs.get(historyRef(branch)),
    }
  }

  /** Whether this is a commit that the repository has. */
  async isCommit(name: string): Promise<boolean> {
    const git = await this.#git()
    return (await git`git cat-file -e ${`${name}^{commit}`}`.nothrow()).ok
  }

  async contains(newer: string, older: string): Promise<boolean> {
    const git = await this.#git()
    return (await git`git merge-base --is-ancestor ${older} ${newer}`.nothrow()).ok
  }

  /** Whether anything under the pathspecs does; also where git cannot tell. */
  async differs(before: string, after: string, pathspecs: readonly string[]): Promise<boolean> {
    const git = await this.#git()
    return !(await git`git diff --quiet ${before} ${after} -- ${pathspecs}`.nothrow()).ok
  }

  /** Files that are in the one commit and not in the other, under the pathspecs. */
  async addedFiles(before: string, after: string, pathspecs: readonly string[] = []): Promise<string[]> {
    if (pathspecs.length === 0) return []
    const git = await this.#git()
    const added = await git`git diff --name-only -z --diff-filter=A ${before} ${after} -- ${pathspecs}`.nothrow()
    return added.stdout.split('\0').filter(Boolean)
  }

  /** What git sets for hooks and must not reach a step. */
  async localEnvironmentNames(): Promise<string[]> {
    const git = await this.#git()
    return (await git`git rev-parse --local-env-vars`).stdout.trim().split('\n')
  }

  /** So that the same request can be pushed again. */
  async deleteRequests(branch: string): Promise<void> {
    const git = await this.#git()
    const commands = requests.map(request => `delete ${requestRef(request, branch)}\0\0`).join('')
    await git({ input: commands })`git update-ref -z --stdin`
  }

  /**
   * Writes down what became of a deployment: live or failed, and one more commit on the history (its newest so far),
   * whose message holds the record. All in one transaction, so that they cannot disagree.
   *
   * @throws ProcessOutput with git's words, such as on a full disk
   */
  async record(deployment: Deployment, branch: string, history: string | undefined, live: boolean): Promise<void> {
    const git = await this.#git()
    const { commit, previous, request, who, started, ended, steps, explanation } = deployment
    const record = { commit, previous, live, request, who, started, ended, steps, explanation }
    const message = `${commit} ${live ? 'is live' : 'is not live'}\n\n${JSON.stringify(record)}\n`
    const parent = history === undefined ? [] : ['-p', history]
    const tree =
      history === undefined ? (await git`git hash-object -w -t tree /dev/null`).stdout.trim() : `${history}^{tree}`
    const entry = (await git({ input: message })`git commit-tree ${parent} ${tree}`).stdout.trim()
    const outcome = live
      ? `update ${liveRef(branch)}\0${commit}\0\0delete ${failedRef(branch)}\0\0`
      : `update ${failedRef(branch)}\0${commit}\0\0`
    const transaction = `${outcome}update ${historyRef(branch)}\0${entry}\0\0`
    await git({ input: transaction })`git update-ref --create-reflog -m ${`pushlive: ${who}`} -z --stdin`
  }

  async #git() {
    const { $ } = await import('zx/core')
    const env = { ...process.env, ...identity, GIT_DIR: this.gitDir }
    // A session of its own: Ctrl-C at a push to a local path must not end git in the middle.
    return $({ env, cwd: this.gitDir, quiet: true, detached: true })
  }
}
