import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Deployment } from './journal.ts'
import { failedRef, historyRef, liveRef, type Request, requestRef } from './verdict.ts'

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

  readonly #ownFolder: string

  constructor(gitDir: string) {
    this.gitDir = gitDir
    this.#ownFolder = join(gitDir, 'pushlive')
  }

  /** The environment variables that git sets for hooks and that must not reach a step. */
  async localEnvironmentNames(): Promise<string[]> {
    const git = await this.#git()
    return (await git`git rev-parse --local-env-vars`).stdout.split('\n').filter(Boolean)
  }

  /** The commits that the branch and its deployments stand at, each of which may be missing. */
  async refs(branch: string) {
    const git = await this.#git()
    const format = '%(refname) %(objectname)'
    const patterns = [`refs/heads/${branch}`, `refs/deploy/${branch}`]
    const { stdout } = await git`git for-each-ref --format=${format} ${patterns}`
    const refs = new Map(stdout.split('\n').map(line => line.split(' ') as [string, string]))
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

  /** So that the same request can be pushed again. */
  async deleteRequest(request: Request, branch: string): Promise<void> {
    const git = await this.#git()
    const ref = requestRef(request, branch)
    await this.#whileDeleting(ref, () => git`git update-ref -d ${ref}`)
  }

  /**
   * What git has left when it was killed with its hook. Only the holder of the deployment's lock writes the deployment's
   * refs. Locks of anything else are somebody's, and git's own message names them.
   */
  removeStaleLocks(branch: string): void {
    const remove = (ref: string) => rmSync(join(this.gitDir, `${ref}.lock`), { force: true })
    for (const ref of [liveRef(branch), failedRef(branch), historyRef(branch)]) remove(ref)
    for (const name of readdirSync(this.#ownFolder)) {
      const [, pid] = /^deleting-(\d+)$/.exec(name) ?? []
      if (pid === undefined || isAlive(Number(pid))) continue
      const mark = join(this.#ownFolder, name)
      const ref = readFileSync(mark, 'utf8')
      const lock = statSync(join(this.gitDir, 'packed-refs.lock'), { throwIfNoEntry: false })
      if (lock && lock.mtimeMs >= statSync(mark).mtimeMs) remove('packed-refs')
      if (ref) remove(ref)
      rmSync(mark)
    }
  }

  /** A deletion locks packed-refs, which is not ours alone: a mark tells that such a lock may be of a killed hook. */
  async #whileDeleting(ref: string, action: () => Promise<unknown>): Promise<void> {
    const mark = join(this.#ownFolder, `deleting-${process.pid}`)
    mkdirSync(this.#ownFolder, { recursive: true, mode: 0o700 })
    writeFileSync(mark, ref)
    await action()
    rmSync(mark)
  }

  /**
   * Writes down what became of a deployment: live or failed, and one more commit on the history, whose message holds
   * the record. All in one transaction, so that they cannot disagree.
   *
   * @throws ProcessOutput with git's words, such as on a full disk
   */
  async record(
    deployment: Deployment,
    branch: string,
    before: Awaited<ReturnType<Repository['refs']>>,
    live: boolean,
  ): Promise<void> {
    const git = await this.#git()
    const { history, failed } = before
    const { commit, previous, request, who, started, ended, steps, explanation } = deployment
    const record = { commit, previous, live, request, who, started, ended, steps, explanation }
    const message = `${commit} ${live ? 'is live' : 'is not live'}\n\n${JSON.stringify(record)}`
    const parent = history === undefined ? [] : ['-p', history]
    const tree =
      history === undefined ? (await git`git hash-object -w -t tree /dev/null`).stdout.trim() : `${history}^{tree}`
    const success = [`update ${liveRef(branch)} ${commit}`, ...(failed ? [`delete ${failedRef(branch)}`] : [])]
    const outcome = live ? success : [`update ${failedRef(branch)} ${commit}`]
    const transaction = [...outcome, `update ${historyRef(branch)} `].join('\n')
    // A here-string and not zx's stdin: that is a socket, for which bash takes itself for rsh's and reads ~/.bashrc.
    const write = () => git`
      entry=$(git commit-tree ${parent} -m ${message} ${tree})
      git update-ref --create-reflog -m ${`pushlive: ${who}`} --stdin <<< ${transaction}$entry`
    if (live && failed) await this.#whileDeleting(failedRef(branch), write)
    else await write()
  }

  async #git() {
    const { $ } = await import('zx/core')
    const env = { ...process.env, ...identity, GIT_DIR: this.gitDir }
    // A session of its own: Ctrl-C at a push to a local path must not end git in the middle.
    return $({ env, cwd: this.gitDir, quiet: true, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
