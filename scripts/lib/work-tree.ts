import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Shell } from 'zx/core'
import { exit, Failure } from './program.ts'
import { identity } from './repository.ts'

/**
 * The folder that holds the deployed code, as a linked work tree (git-worktree(1)) of the bare repository: it has an
 * index and a HEAD of its own, so that git inside it knows the deployed commit and its tags, and a deployment never
 * moves the bare repository's HEAD.
 *
 * HEAD is always the last commit that was put there completely. While another one is being put there, a file beside it
 * names that one, so that whoever comes after a kill knows which files may lie there.
 */
export class WorkTree {
  readonly path: string
  readonly #repository: string
  readonly #gitDir: string
  readonly #head: string
  readonly #index: string
  readonly #unfinished: string

  constructor(path: string, repository: string) {
    this.path = path
    this.#repository = repository
    this.#gitDir = join(repository, 'worktrees', 'pushlive')
    this.#head = join(this.#gitDir, 'HEAD')
    this.#index = join(this.#gitDir, 'index')
    this.#unfinished = join(this.#gitDir, 'unfinished')
  }

  /** Whether exactly this commit was the last that was put there, and by this repository. */
  holds(commit: string): boolean {
    return this.#isLinked() && !existsSync(this.#unfinished) && readFileSync(this.#head, 'utf8').trim() === commit
  }

  /**
   * Puts exactly this commit's files into the folder: local changes are undone, files that the last commit had and
   * this one lacks are removed, untracked files stay. May be run again after it was killed or failed at any point.
   *
   * @param touched the file that restarts the application: its time has changed and it is not to be written for that,
   * because the server would reload at once
   * @param lockFd inherited by git, so that a git that outlives a killed hook keeps the deployment's lock
   * @throws Failure with git's words
   */
  async checkOut(commit: string, touched: string, lockFd: number): Promise<void> {
    const { $ } = await import('zx/core')
    const env = { ...process.env, GIT_DIR: this.#gitDir, GIT_WORK_TREE: this.path }
    const git = $({ cwd: this.path, env, quiet: true, detached: true, stdio: ['ignore', 'pipe', 'pipe', lockFd] })
    try {
      // Python takes compiled code for a source's by its size and its time in whole seconds: what two checkouts in one
      // second write would be told apart by the size alone.
      for (const file of [this.#head, this.#unfinished]) await waitForNextSecond(file)
      if (!this.#isLinked()) await this.#link(git)
      // Only the holder of the lock runs git on this git dir: these are from a run that was killed.
      for (const file of [this.#index, this.#head]) rmSync(`${file}.lock`, { force: true })
      if (existsSync(this.#unfinished)) await this.#undo(git, readFileSync(this.#unfinished, 'utf8').trim())
      writeFileSync(this.#unfinished, commit)
      // A checkout that cannot write some file moves HEAD all the same.
      const head = readFileSync(this.#head, 'utf8').trim()
      const put = () => git`
        git update-index -- ${touched} 2>/dev/null || true
        git checkout --force --quiet --detach ${commit} || { git update-ref --no-deref HEAD ${head}; exit 1; }`
      if (!existsSync(this.#index) || !(await put().nothrow()).ok) {
        await this.#undo(git, commit)
        await put()
      }
      rmSync(this.#unfinished)
    } catch (error) {
      const why = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
      throw new Failure(exit.failed, `The code cannot be checked out to ${this.path}.`, { why, cause: error })
    }
  }

  /**
   * Goes back to HEAD from a commit that may be there in part. The index is made anew as that commit's, since a killed
   * git leaves one that does not know the files it had written, and a power cut one that cannot be read.
   */
  async #undo(git: Shell, unfinished: string) {
    rmSync(this.#index, { force: true })
    await git`git read-tree --reset ${unfinished}`
    await git`git read-tree --reset -u HEAD`
  }

  #isLinked(): boolean {
    const dotGit = join(this.path, '.git')
    return (
      existsSync(this.#head) &&
      existsSync(dotGit) &&
      statSync(dotGit).isFile() &&
      readFileSync(dotGit, 'utf8') === this.#dotGit
    )
  }

  get #dotGit() {
    return `gitdir: ${this.#gitDir}\n`
  }

  /**
   * What `git worktree add` writes (gitrepository-layout(5)), which itself can neither take over a folder that has
   * files nor be run again after it was killed.
   */
  async #link(git: Shell) {
    const dotGit = join(this.path, '.git')
    if (statSync(dotGit, { throwIfNoEntry: false })?.isDirectory()) {
      throw new Error(`${dotGit} is a repository of its own: move it away if pushes are to deploy to this folder.`)
    }
    mkdirSync(this.#gitDir, { recursive: true })
    writeFileSync(join(this.#gitDir, 'commondir'), '../..\n')
    writeFileSync(join(this.#gitDir, 'gitdir'), `${dotGit}\n`)
    if (!existsSync(this.#head)) {
      // The bash hook's `GIT_WORK_TREE=... git checkout -f` used the bare repository's index: it tells which of the
      // files there are git's, so that those which are gone by now are removed. Without it none are known to be.
      const bareIndex = join(this.#repository, 'index')
      if (existsSync(bareIndex)) copyFileSync(bareIndex, this.#index)
      const asRepository = git({
        env: { ...process.env, ...identity, GIT_DIR: this.#repository, GIT_INDEX_FILE: this.#index },
      })
      const tree = (await asRepository`git write-tree --missing-ok`).stdout.trim()
      const commit = (await asRepository`git commit-tree -m ${'What pushlive found here'} ${tree}`).stdout
      writeFileSync(this.#head, commit)
    }
    writeFileSync(dotGit, this.#dotGit)
  }
}

/** Servers reload when the WSGI file's time changes: a checkout that writes it must not be what restarts them. */
export async function withTimeKept(file: string, action: () => Promise<void>): Promise<void> {
  const timeOf = () => {
    const found = statSync(file, { throwIfNoEntry: false, bigint: true })
    return found?.isFile() ? found.mtimeNs : undefined
  }
  const before = timeOf()
  try {
    await action()
  } finally {
    const after = timeOf()
    if (before !== undefined && after !== undefined && before !== after) {
      const { $ } = await import('zx/core')
      // Node's own utimes knows no nanoseconds.
      await $({
        quiet: true,
      })`touch --date=${`@${before / 1_000_000_000n}.${String(before % 1_000_000_000n).padStart(9, '0')}`} -- ${file}`
    }
  }
}

/** Waits until a file's time lies in a second that is over; not at all where there is no such file. */
export async function waitForNextSecond(file: string): Promise<void> {
  const changed = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const over = Math.floor(changed / 1000) * 1000 + 1000
  const rest = over - Date.now()
  // A time that lies in the future is not waited for.
  if (rest > 0) await sleep(Math.min(rest, 1000))
}
