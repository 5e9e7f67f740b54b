import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Shell, $ as zx } from 'zx/core'
import { isCommitId } from '../protocol/ids.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { type FileStates, isSame, readFileStates } from './file-states.ts'
import {
  canBeWritten,
  filesAt,
  foldersAbove,
  type GitPath,
  inside,
  quotePath,
  readPaths,
  topOf,
  toText,
  unquotePath,
  withoutSlash,
} from './git-paths.ts'
import { waitForNextSecond } from './mtime.ts'
import { forgetConfiguration, separate } from './own-git.ts'
import { findOwner } from './place.ts'
import { goPipe, type Start, strict, waitForGo } from './processes.ts'
import type { Replaced } from './replaced.ts'
import { identity } from './repository.ts'
import { readStateFile, replaceStateFile } from './state-file.ts'

const shownNames = 10

/**
 * The folder with the deployed code. Its git directory has an index and a HEAD of its own, and the bare repository's
 * objects and refs: so git inside it knows the deployed commit and its tags, and a deployment never moves the bare
 * repository's HEAD. It does not lie below `worktrees`, where git looks at every push: a HEAD there that is damaged, or at
 * the branch, would make git refuse all pushes. A step's git goes by the configuration there, and the hook's by the
 * repository's, which no step changes.
 *
 * HEAD is always the last commit whose checkout was completed. While another one is checked out, a file beside HEAD names
 * that one, so that after a kill it is known which files may lie there. If one of them cannot be read, the state is
 * found out from the files in the folder.
 */
export class WorkTree {
  readonly path: string
  readonly #repository: string
  readonly #gitDir: string
  readonly #shared: string
  readonly #isServed: boolean
  readonly #head: string
  readonly #index: string
  readonly #unfinished: string
  readonly #left: string

  /**
   * @param gitDir in the repository, for this one's index and HEAD
   * @param shared the folder to which links may lead in place of folders that the commit has
   * @param isServed whether users may have files of their own there; otherwise files that are in the way are moved aside
   */
  constructor(path: string, repository: string, gitDir: string, shared: string, isServed: boolean) {
    this.path = path
    this.#shared = shared
    this.#repository = repository
    this.#gitDir = gitDir
    this.#isServed = isServed
    this.#head = join(this.#gitDir, 'HEAD')
    this.#index = join(this.#gitDir, 'index')
    this.#unfinished = join(this.#gitDir, 'unfinished')
    this.#left = join(this.#gitDir, 'left-by-steps')
  }

  /**
   * Whether exactly this commit's files are there, but for those that its own steps have changed: these have to be as the
   * steps left them. It compares the files, and needs no intact state for that.
   */
  async holds(commit: string): Promise<boolean> {
    if (existsSync(this.#unfinished) || (isCommitId(this.head) && this.head !== commit)) return false
    if (this.isAt(commit) && existsSync(this.#index)) {
      const changed = await this.#findChanged()
      if (changed) return isSame(readFileStates(this.path, changed), this.#readLeft(commit)?.files ?? {})
    }
    return this.#recognize(commit)
  }

  /** Whether exactly this commit's files are there, where the state is lost. If so, writes the state again. */
  async #recognize(commit: string): Promise<boolean> {
    try {
      this.verifyOwn()
    } catch {
      return false
    }
    const index = join(this.#repository, 'pushlive', 'index')
    const git = this.#git({ GIT_DIR: this.#repository, GIT_INDEX_FILE: index })
    for (const file of [index, `${index}.lock`]) rmSync(file, { force: true })
    // HEAD or the index has to tell what was there last: otherwise files of another commit would look untracked.
    const isKnown = this.head === commit
    if (!isKnown && existsSync(this.#index)) copyFileSync(this.#index, index)
    const compare = isKnown ? ['read-tree', commit] : ['diff-index', '--cached', '--quiet', commit]
    const looked = await git`
      git ${compare} || exit
      git update-index -q --ignore-submodules --refresh || true
      git diff-files --name-only --ignore-submodules`.nothrow()
    if (!looked.ok || !readPaths(looked.stdout).every(path => this.#isShared(path))) return false
    this.#link()
    renameSync(index, this.#index)
    replaceStateFile(this.#head, `${commit}\n`, true)
    replaceStateFile(join(this.path, '.git'), this.#dotGit)
    return true
  }

  /** Names of tracked files that were changed by hand; empty where that cannot be told. */
  async edited(): Promise<string> {
    if (!this.isLinked()) return ''
    const changed = (await this.#findChanged()) ?? []
    return listNames(this.#findUnexpected(changed).map(toText))
  }

  /** Writes down what the steps have made of the commit's files: it belongs to the release. */
  async settle(): Promise<void> {
    const { head } = this
    const changed = head && (await this.#findChanged())
    if (changed) this.#writeLeft({ commit: head, files: readFileStates(this.path, changed) })
  }

  /** The commit's files that differ from it, also in the index alone; undefined where git cannot tell. */
  async #findChanged(): Promise<GitPath[] | undefined> {
    const { ok, stdout } = await this.#git({ GIT_OPTIONAL_LOCKS: '0' })`${status}`.nothrow()
    return ok ? this.#readStatus(stdout).map(({ path }) => path) : undefined
  }

  /** The changed files that are not as the steps have left them. */
  #findUnexpected(changed: readonly GitPath[]): GitPath[] {
    const left = (this.head && this.#readLeft(this.head)?.files) || {}
    const now = readFileStates(
      this.path,
      changed.filter(path => path in left),
    )
    return changed.filter(path => now[path] === undefined || now[path] !== left[path])
  }

  #writeLeft(left: LeftBySteps): void {
    replaceStateFile(this.#left, JSON.stringify(left))
  }

  #readLeft(commit: string): LeftBySteps | undefined {
    try {
      const left: LeftBySteps | null = JSON.parse(readStateFile(this.#left) ?? '')
      return left?.commit === commit ? left : undefined
    } catch {
      return undefined
    }
  }

  /** The changes that git status prints. To git, files behind a link to the shared folder are deleted. */
  #readStatus(printed: string): Change[] {
    return readStatus(printed).filter(({ letters, path }) => letters !== ' D' || !this.#isShared(path))
  }

  /** Whether a link to the shared folder is in the place of one of a file's folders. */
  #isShared(file: GitPath): boolean {
    return foldersAbove(file).some(folder => this.#isSharedLink(folder))
  }

  #isSharedLink(path: GitPath): boolean {
    const isLink = this.#stat(path)?.isSymbolicLink() ?? false
    return isLink && readlinkSync(this.#at(path)).startsWith(`${this.#shared}/`)
  }

  /**
   * Untracked files and folders at the top. A folder's path ends with a slash.
   *
   * @param commit the next one: where nothing tells which files are tracked, those that it has are
   */
  async untracked(commit: string): Promise<GitPath[]> {
    const names = await this.#list(['--others', '--directory', '--no-empty-directory'], commit)
    return [...new Set(names.map(topOf))].filter(name => toText(name) !== '.git')
  }

  /** Tracked files at or below a path. */
  files(path: string): Promise<GitPath[]> {
    return this.#list(['--cached', '--', path])
  }

  /** Untracked files below a path. */
  async others(path: string): Promise<GitPath[]> {
    return (await this.#list(['--others', '--', path])).map(withoutSlash)
  }

  /** Where the state is not known, the bare repository's index tells what the bash hook has checked out. */
  async #list(args: readonly string[], commit?: string): Promise<GitPath[]> {
    const bareIndex = join(this.#repository, 'index')
    const index =
      existsSync(bareIndex) || commit === undefined ? bareIndex : join(this.#repository, 'pushlive', 'index')
    const isKnown = this.isLinked()
    const git = this.#git(isKnown ? {} : { GIT_DIR: this.#repository, GIT_INDEX_FILE: index })
    if (!isKnown && index !== bareIndex) await git`git read-tree ${commit}`.nothrow()
    return readPaths((await git`git --literal-pathspecs ls-files ${args}`.nothrow()).stdout)
  }

  /** Untracked files, and folders that have no file of git's. A folder's path ends with a slash. */
  async listUntracked(): Promise<GitPath[]> {
    return readPaths((await this.#git()`git ${listUntracked}`).stdout)
  }

  /** What a checkout leaves to others: the folders of submodules, and the files that git LFS keeps elsewhere. */
  async leftToOthers(): Promise<{ submodules: GitPath[]; largeFiles: GitPath[] }> {
    const [entries, files] = await Promise.all([
      this.#git()`git ls-files --stage`,
      this.#git()`git ls-files -- ${':(attr:filter=lfs)'}`,
    ])
    const links = [...entries.stdout.matchAll(/^160000 .*?\t(.*)$/gm)]
    return { submodules: links.map(([, path = '']) => unquotePath(path)), largeFiles: readPaths(files.stdout) }
  }

  /** Whether this commit's checkout was the last to be completed. Its files may have been changed since. */
  isAt(commit: string): boolean {
    return this.isLinked() && !existsSync(this.#unfinished) && this.head === commit
  }

  /** Whether it is the steps that have changed files: they were not through when a deployment ended. */
  get #areStepsAtWork(): boolean {
    const left = this.head && this.#readLeft(this.head)
    return left !== undefined && left !== '' && left.files === undefined
  }

  /** The last commit whose checkout was completed. */
  get head(): string | undefined {
    return readStateFile(this.#head)?.trim()
  }

  /** Whether the folder and its state still name each other. */
  isLinked(): boolean {
    return this.isOurs() && readStateFile(join(this.#gitDir, 'gitdir')) === this.#wayBack
  }

  /** Whether the folder names this state; the state may be lost, or be another folder's by now. */
  isOurs(): boolean {
    return readStateFile(join(this.path, '.git')) === this.#dotGit
  }

  /** Whether nothing lies there that could serve. */
  isEmpty(): boolean {
    try {
      return readdirSync(this.path).every(name => name === '.git')
    } catch {
      return true
    }
  }

  /** Writes the state of a folder to which another program has checked a commit out. It can run again after a kill. */
  async takeOver(commit: string): Promise<void> {
    this.#link()
    replaceStateFile(join(this.path, '.git'), this.#dotGit)
    await this.#git({ GIT_DIR: this.#repository, GIT_INDEX_FILE: this.#index })`git read-tree ${commit}`
    replaceStateFile(this.#head, `${commit}\n`, true)
  }

  /** The state is another folder's where PATH_TO_GIT_WORK_TREE was changed. */
  get #isOfOther(): boolean {
    const dotGit = readStateFile(join(this.#gitDir, 'gitdir'))
    return dotGit !== undefined && /^\/.*\/\.git\n$/.test(dotGit) && dotGit !== this.#wayBack
  }

  /** Moves the state to where the folder was moved. A kill meanwhile leaves the state unknown. */
  moveTo(other: WorkTree): void {
    rmSync(other.#gitDir, { recursive: true, force: true })
    if (this.#isOfOther || !existsSync(this.#gitDir)) return
    mkdirSync(dirname(other.#gitDir), { recursive: true, mode: 0o700 })
    renameSync(this.#gitDir, other.#gitDir)
    other.#link()
    replaceStateFile(join(other.path, '.git'), other.#dotGit)
  }

  #link(): void {
    mkdirSync(this.#gitDir, { recursive: true })
    separate(this.#gitDir, this.#repository)
    replaceStateFile(join(this.#gitDir, 'gitdir'), this.#wayBack)
  }

  /** Keeps what a step does to git's configuration from the repository. Changes nothing where there is no state yet. */
  separate(): void {
    if (existsSync(this.#gitDir)) separate(this.#gitDir, this.#repository)
  }

  /** Takes away what steps have configured, hooks too. */
  forgetConfiguration(): void {
    forgetConfiguration(this.#gitDir)
    this.separate()
  }

  /**
   * Checks out exactly this commit's files. Local changes of tracked files are undone. Files that the last commit had and
   * this one lacks are removed. Untracked files stay; if they are in the way, nothing is begun. It can run again after it
   * was killed or failed at any point.
   *
   * @throws Failure with the names of what is in the way, or with git's words
   */
  async checkOut(commit: string, checkout: Checkout): Promise<void> {
    const { found, findCandidates, start, onChange, clear, replaced, say } = checkout
    try {
      mkdirSync(this.path, { recursive: true })
      this.verifyOwn()
      // HEAD is what comes back, and what is named, where this commit is refused.
      if (found && this.head === undefined && !this.isOurs()) await this.takeOver(found)
      // Python recognises compiled code by its source's size and its time in whole seconds. After two checkouts in one
      // second, only the size would tell two versions of a file apart.
      for (const file of [this.#head, this.#unfinished]) await waitForNextSecond(file)
      // Only the hook whose turn it is runs git here: these locks are from a run that was killed.
      for (const file of [this.#index, this.#head]) rmSync(`${file}.lock`, { force: true })

      const isSound = this.isLinked() && isCommitId(readStateFile(this.#head)?.trim()) && existsSync(this.#index)
      let recovered =
        isSound && !existsSync(this.#unfinished) ? undefined : await this.#recover(await findCandidates(), onChange)
      const look = () => this.#look(commit, start, clear !== undefined)
      const there = await look().catch(async () => {
        recovered = await this.#recover(await findCandidates(), onChange)
        return look()
      })
      clear?.(there.untracked)
      this.#clearTheWay(there, recovered, { replaced, say })

      const edited = this.#findEdited(there.changed, recovered)
      const areSteps = this.#areStepsAtWork
      if (edited.length > 0 && !areSteps) say(`LOCAL CHANGES UNDONE: ${listNames(edited.map(toText))}`)
      if (edited.length > 0 && areSteps && this.#isServed) {
        say(`UNDONE, because it was changed after the checkout: ${listNames(edited.map(toText))}`)
      }
      onChange()
      this.#writeLeft({ commit })
      replaceStateFile(this.#unfinished, commit, true)
      const head = this.head ?? ''
      // A checkout that cannot write a file moves HEAD all the same.
      const put = this.#gated()`
        git checkout --force --quiet --detach ${commit} || { git update-ref --no-deref HEAD ${head}; exit 1; }`
      await start('git checkout', put)
      rmSync(this.#unfinished)
    } catch (error) {
      if (error instanceof Failure) throw error
      const gitsWords =
        error instanceof Error && 'stderr' in error ? String(error.stderr || (error.cause ?? '')) : String(error)
      const why = gitsWords.trim() || 'git gives no reason, as where a post-checkout hook of the repository fails.'
      throw new Failure(exitCode.failed, `The code cannot be checked out to ${this.path}.`, { why, cause: error })
    }
  }

  /**
   * What differs in the folder from HEAD, and between HEAD and a commit.
   *
   * @throws ProcessOutput where git cannot tell
   */
  async #look(commit: string, start: Start, withUntracked: boolean): Promise<Found> {
    for (let isAgain = false; ; isAgain = true) {
      // Both at the same time: most of the time that they take is their start.
      const reading = this.#git()`
        git ls-files -v; echo; git diff-tree -r --no-renames HEAD ${commit}; echo
        ! ${withUntracked} || git ${listUntracked}`.nothrow()
      const looked = await start('git status', this.#gated()`${status}`)
      const read = await reading
      if (!read.ok) throw read
      const [files = '', differences = '', untracked] = read.stdout.split(/^\n/m)
      // git would not look at files that were marked as unchanged, or left out as sparse.
      const isMarked = /^[a-zS]/m.test(files)
      if (isMarked && !isAgain) {
        await start('git read-tree', this.#gated()`rm -f -- "$GIT_DIR/index" && git read-tree HEAD`)
        continue
      }
      const changes = this.#readStatus(looked.stdout)
      // What was staged by hand is taken out of the index: a file that was added is untracked again.
      const isStaged = changes.some(({ letters }) => letters[0] !== ' ')
      if (!isStaged || isAgain) {
        return {
          changed: changes.map(({ path }) => path),
          diff: readDifferences(differences),
          untracked: readPaths(untracked),
        }
      }
      await start('git read-tree', this.#gated()`git read-tree HEAD`)
    }
  }

  /** @throws Failure where files that git does not know would be overwritten or removed */
  #clearTheWay(found: Found, recovered: Recovered | undefined, { replaced, say }: Pick<Checkout, 'replaced' | 'say'>) {
    const names = this.#findAllInTheWay(found, recovered)
    if (names.length === 0) return
    if (!recovered?.isLost && this.#isServed) throw this.#explainInTheWay(names)
    for (const path of names) replaced.take(this.#at(path), path)
    say(`MOVED TO ${replaced.place}, because they belong to no known commit: ${listNames(names.map(toText))}`)
  }

  /**
   * What would be refused of a commit's checkout, where the state is known. Changes nothing.
   *
   * @returns the Failure of the checkout
   */
  async findRefusal(commit: string): Promise<Failure | undefined> {
    if (!this.isLinked() || existsSync(this.#unfinished)) return undefined
    const { ok, stdout } = await this.#git()`git diff-tree -r --no-renames HEAD ${commit}`.nothrow()
    if (!ok) return undefined
    try {
      const names = this.#findAllInTheWay({ changed: [], diff: readDifferences(stdout) }, undefined)
      return names.length > 0 && this.#isServed ? this.#explainInTheWay(names) : undefined
    } catch (error) {
      if (error instanceof Failure) return error
      throw error
    }
  }

  #explainInTheWay(names: readonly GitPath[]): Failure {
    const what = `Files that git does not know are in the way in ${this.path}: ${listNames(names.map(toText))}.`
    return new Failure(exitCode.failed, what, { fix: 'move them away on the server, or take them out of the commit' })
  }

  /** @throws Failure for a path that git never writes */
  #findAllInTheWay({ changed, diff }: Pick<Found, 'changed' | 'diff'>, recovered: Recovered | undefined): GitPath[] {
    const removed = new Set(diff.filter(({ status }) => status === 'D').map(({ path }) => path))
    const added = diff.filter(({ status }) => status === 'A')
    const impossible = added.find(({ path }) => !canBeWritten(path))
    if (impossible) {
      const what = `The code cannot be checked out to ${this.path}: no git writes a file ${flatten(toText(impossible.path))}.`
      throw new Failure(exitCode.failed, what, { fix: 'take it out of the commit' })
    }
    const inTheWay = new Set<GitPath>()
    for (const path of changed) this.#findInTheWay(path, removed, inTheWay, true)
    for (const { path, isSubmodule } of added) if (!isSubmodule) this.#findInTheWay(path, removed, inTheWay, false)
    if (inTheWay.size === 0) return []

    // A file whose content git has is not lost.
    const ids = new Map(added.map(({ path, id }) => [path, new Set([id])]))
    for (const path of this.#findUnchanged([...inTheWay], path => ids.get(path) ?? recovered?.known.get(path)))
      inTheWay.delete(path)
    return [...inTheWay]
  }

  /** Adds the untracked files that lie where a file or one of its folders will be written. */
  #findInTheWay(path: GitPath, removed: ReadonlySet<GitPath>, found: Set<GitPath>, mayBeLink: boolean): void {
    for (const folder of foldersAbove(path)) {
      const stat = this.#stat(folder)
      if (stat === undefined) return
      if (stat.isDirectory()) continue
      const isLink = stat.isSymbolicLink() && (mayBeLink || this.#isSharedLink(folder))
      if (!removed.has(folder) && !isLink) found.add(folder)
      return
    }
    const stat = this.#stat(path)
    if (stat?.isDirectory()) for (const file of filesAt(this.path, path)) if (!removed.has(file)) found.add(file)
    if (stat && !stat.isDirectory() && !mayBeLink) found.add(path)
  }

  /** Where the state is lost, content found in no commit counts as edited. */
  #findEdited(changed: readonly GitPath[], recovered: Recovered | undefined): GitPath[] {
    const isExpected = (path: GitPath) => recovered?.expected.has(path)
    const unexpected = this.#findUnexpected(changed).filter(path => !isExpected(path))
    if (!recovered?.isLost) return unexpected
    const files = changed.filter(path => isExpected(path) && this.#stat(path)?.isFile())
    const unchanged = new Set(this.#findUnchanged(files, path => recovered.known.get(path)))
    return [...unexpected, ...files.filter(path => !unchanged.has(path))]
  }

  #at(path: GitPath): Buffer {
    return inside(this.path, path)
  }

  #stat(path: GitPath): Stats | undefined {
    try {
      return lstatSync(this.#at(path))
    } catch {
      // A file may stand in the place of one of its folders.
      return undefined
    }
  }

  /** The files whose content is the one that git has for them. */
  #findUnchanged(paths: readonly GitPath[], idsOf: (path: GitPath) => ReadonlySet<string> | undefined): GitPath[] {
    const files = paths.filter(path => idsOf(path) && this.#stat(path)?.isFile())
    if (files.length === 0) return []
    const env = { ...process.env, GIT_DIR: this.#repository, GIT_WORK_TREE: this.path }
    const options = {
      cwd: this.path,
      env,
      input: files.map(file => `${quotePath(file)}\n`).join(''),
      maxBuffer: 2 ** 30,
    }
    const ids = execFileSync('git', ['hash-object', '--stdin-paths'], options).toString().split('\n')
    return files.filter((file, index) => idsOf(file)?.has(ids[index] ?? ''))
  }

  /**
   * Writes the state again: links the folder, and finds a commit for HEAD. Files that a killed checkout has added are
   * removed; those that it has changed are written again by the next checkout.
   */
  async #recover(known: readonly string[], onChange: () => void): Promise<Recovered> {
    // Where version 0.1.0 had it.
    const before = join(this.#repository, 'worktrees', 'pushlive')
    if (this.#isServed && existsSync(before) && !existsSync(this.#gitDir)) renameSync(before, this.#gitDir)
    const isOfOther = this.#isOfOther
    if (isOfOther) for (const file of [this.#head, this.#index, this.#unfinished]) rmSync(file, { force: true })
    // What lies in another folder is its users' own, unless the folder was ours before.
    if (isOfOther && !this.isOurs()) known = []
    const unfinished = readStateFile(this.#unfinished)?.trim()
    const { head } = this
    const isFirst = head === undefined && !existsSync(this.#unfinished) && !this.isLinked() && known.length === 0
    const isLost = !isFirst && !(isCommitId(head) && (unfinished === undefined || isCommitId(unfinished)))
    this.#link()
    // If this is killed before the checkout begins, the HEAD that is written here must not pass for a known one.
    if (isLost) replaceStateFile(this.#unfinished, 'unknown', true)

    const git = this.#git({ ...identity, GIT_DIR: this.#repository, GIT_INDEX_FILE: this.#index })
    let base: string | undefined
    for (const commit of [head, ...known]) {
      rmSync(this.#index, { force: true })
      if (isCommitId(commit) && (await git`git read-tree ${`${commit}^{commit}`}`.nothrow()).ok) base = commit
      if (base) break
    }
    base ??= await this.#takeOver(git)
    replaceStateFile(this.#head, `${base}\n`, true)
    replaceStateFile(join(this.path, '.git'), this.#dotGit)

    const isUnfinishedKnown = isCommitId(unfinished) && unfinished !== base
    const trees = await this.#listFiles(git, [...new Set([base, ...(isUnfinishedKnown ? [unfinished] : []), ...known])])
    const ofBase = trees.get(base) ?? new Map()
    const ofUnfinished = (isUnfinishedKnown && trees.get(unfinished)) || new Map<GitPath, string>()
    const ids = new Map<GitPath, Set<string>>()
    for (const files of trees.values()) {
      for (const [path, id] of files) ids.set(path, (ids.get(path) ?? new Set()).add(id))
    }
    const isThere = (path: GitPath) => this.#stat(path)?.isDirectory() === false
    const others = [...ids.keys()].filter(path => !ofBase.has(path) && isThere(path))
    const unchanged = isLost ? this.#findUnchanged(others, path => ids.get(path)) : []
    for (const path of new Set([...others.filter(path => ofUnfinished.has(path)), ...unchanged])) {
      onChange()
      rmSync(this.#at(path))
    }
    return { isLost, expected: new Set(isLost ? ids.keys() : ofUnfinished.keys()), known: ids }
  }

  /**
   * The bash hook's `GIT_WORK_TREE=... git checkout -f` used the bare repository's index: it tells which of the files
   * there are git's, so that those which are gone by now are removed. Without it none are known to be.
   */
  async #takeOver(git: Shell): Promise<string> {
    const bareIndex = join(this.#repository, 'index')
    rmSync(this.#index, { force: true })
    if (this.#isServed && existsSync(bareIndex)) copyFileSync(bareIndex, this.#index)
    let tree = await git`git write-tree --missing-ok`.nothrow()
    if (!tree.ok) {
      rmSync(this.#index, { force: true })
      tree = await git`git read-tree --empty && git write-tree`
    }
    return (await git`git commit-tree -m ${'What pushlive found here'} ${tree.stdout.trim()}`).stdout.trim()
  }

  async #listFiles(git: Shell, commits: readonly string[]) {
    const trees = new Map<string, Map<GitPath, string>>()
    for (const commit of commits) {
      const listed = await git`git ls-tree -r --full-tree ${commit}`.nothrow()
      const blobs = listed.stdout.matchAll(/^\d+ blob (\S+)\t(.*)$/gm)
      const files = Array.from(blobs, ([, id = '', path = '']) => [unquotePath(path), id] as const)
      if (listed.ok) trees.set(commit, new Map(files.filter(([path]) => canBeWritten(path))))
    }
    return trees
  }

  /** @throws Failure for a folder that belongs to another repository */
  verifyOwn(): void {
    const owner = findOwner(this.path, this.#repository)
    if (owner === undefined) return
    throw new Failure(exitCode.failed, owner.what, { fix: `${owner.fix}, or change PATH_TO_GIT_WORK_TREE` })
  }

  /** What `gitdir` in the state holds: where the folder names the state. */
  get #wayBack() {
    return `${join(this.path, '.git')}\n`
  }

  get #dotGit() {
    return `gitdir: ${this.#gitDir}\n`
  }

  #git(more: Record<string, string> = {}) {
    const places = { GIT_DIR: this.#gitDir, GIT_COMMON_DIR: this.#repository, GIT_WORK_TREE: this.path }
    const env = { ...process.env, ...ownConfiguration, ...places, ...more }
    return zx({ cwd: this.path, env, quiet: true, detached: true, stdio: ['ignore', 'pipe', 'pipe'], prefix: strict })
  }

  /** A git that changes something waits until the journal has it. */
  #gated() {
    return this.#git()({ stdio: ['ignore', 'pipe', 'pipe', goPipe], prefix: waitForGo + strict })
  }
}

/** The repository's configuration may leave files out, or ask a daemon what has changed. */
const ownConfiguration = {
  GIT_CONFIG_COUNT: '4',
  GIT_CONFIG_KEY_0: 'core.sparseCheckout',
  GIT_CONFIG_VALUE_0: 'false',
  GIT_CONFIG_KEY_1: 'core.fsmonitor',
  GIT_CONFIG_VALUE_1: 'false',
  GIT_CONFIG_KEY_2: 'core.logAllRefUpdates',
  GIT_CONFIG_VALUE_2: 'false',
  GIT_CONFIG_KEY_3: 'core.quotePath',
  GIT_CONFIG_VALUE_3: 'true',
}

const status = 'git status --porcelain --untracked-files=no --no-renames --ignore-submodules=all'.split(' ')

interface Checkout {
  /** The commit that another program has checked out, where this has checked none out yet. */
  readonly found: string | undefined
  /** Tells which commits may have been checked out here, the likeliest first, where the state is lost. */
  readonly findCandidates: () => Promise<readonly string[]>
  readonly start: Start
  /** Is called before the first file is changed. */
  readonly onChange: () => void
  /** Is called with the untracked files and folders before anything is checked out, and may remove them. */
  readonly clear?: ((untracked: readonly GitPath[]) => void) | undefined
  /** Takes files that are in the way and belong to no known commit. */
  readonly replaced: Replaced
  /** Takes messages for the log. */
  readonly say: (note: string) => void
}

interface Change {
  /** For the index and for the work tree. */
  readonly letters: string
  readonly path: GitPath
}

/** The output of `git status --porcelain`. */
function readStatus(output: string): Change[] {
  const lines = output.split('\n').slice(0, -1)
  return lines.map(line => ({ letters: line.slice(0, 2), path: unquotePath(line.slice(3)) }))
}

/** What the steps of a commit have made of its files; nothing yet while they are at work. */
interface LeftBySteps {
  readonly commit: string
  readonly files?: FileStates
}

/** Also what is ignored. */
const listUntracked = 'ls-files --others --directory'.split(' ')

interface Found {
  readonly changed: readonly GitPath[]
  readonly diff: readonly Difference[]
  readonly untracked: readonly GitPath[]
}

/** What was found out where the state was lost, or a checkout was not completed. */
interface Recovered {
  /** Whether it is unknown which commit was being checked out. */
  readonly isLost: boolean
  /** Files that may differ because of that, and not because they were edited. */
  readonly expected: ReadonlySet<GitPath>
  /** The ids that git has for each path, in any of the commits that may have been there. */
  readonly known: ReadonlyMap<GitPath, ReadonlySet<string>>
}

interface Difference {
  readonly status: string
  readonly path: GitPath
  readonly id: string
  readonly isSubmodule: boolean
}

/** The output of `git diff-tree -r`. */
function readDifferences(output: string): Difference[] {
  const lines = output.matchAll(/^:\d+ (\d+) \S+ (\S+) (\w)\t(.*)$/gm)
  return Array.from(lines, ([, mode, id = '', status = '', path = '']) => {
    return { status, path: unquotePath(path), id, isSubmodule: mode === '160000' }
  })
}

export function listNames(names: readonly string[], most = shownNames): string {
  const more = names.length - most
  return names.slice(0, most).map(flatten).join(', ') + (more > 0 ? `, and ${more} more` : '')
}
