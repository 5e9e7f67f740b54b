import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { isCommitId } from '../protocol/ids.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { sync } from '../shared/replace-file.ts'
import { openFolderLike } from './folder-mode.ts'
import type { GitPath } from './git-paths.ts'
import type { Mover, Served } from './journal.ts'
import { findForeign } from './place.ts'
import { isBystander, type ReleaseProcess, ReleaseProcesses } from './release-processes.ts'
import { type HookSettings, releasesFolder, sharedFolder } from './settings.ts'
import { readStateFile, replaceStateFile } from './state-file.ts'
import { swap } from './swap.ts'
import { WorkTree } from './work-tree.ts'

/** What is known of a release. A part that cannot be read is unknown, and is done again. */
interface ReleaseState {
  /** The commit that is complete here: its files are there, its dependencies installed, its test passed. */
  readonly complete?: string | undefined
  /** The commit for which INSTALL_DEPS last exited with 0, and with which settings. */
  readonly installed?: { readonly commit: string; readonly settingsFile: string } | undefined
  /** The number of the deployment that put it live. Absent for a release that never was live, or was rolled back. */
  readonly live?: number | undefined
  /** Whether it could not be used again, because files of other users are there. */
  readonly isForeign?: boolean | undefined
  /** Those of SHARED_PATHS that are links here. */
  readonly shared?: readonly string[] | undefined
  /** Whether nothing lies in the folder that was there before this hook used it. */
  readonly isOurs?: boolean | undefined
  /** What DB_REVISION printed then. */
  readonly database?: string | undefined
}

/** A folder with the code of one commit and all that it needs. With RELEASES=1 it is the only one. */
export class Release {
  /** 0 for the folder that serves in place. */
  readonly number: number
  /** Its own path, and not that of the link. */
  readonly path: string
  readonly workTree: WorkTree
  readonly #stateFile: string
  readonly #installedFile: string

  /** @param shared the folder for SHARED_PATHS */
  constructor(number: number, path: string, gitDir: string, shared: string) {
    this.number = number
    this.path = path
    const own = ownFolder(gitDir, number)
    this.workTree = new WorkTree(path, gitDir, own, shared, number === 0)
    this.#stateFile = join(own, 'release')
    this.#installedFile = join(own, 'installed')
  }

  /** The untracked files and folders that the last install has left, undefined where that is not known. */
  get installedPaths(): readonly GitPath[] | undefined {
    try {
      return JSON.parse(readStateFile(this.#installedFile) ?? '')
    } catch {
      return undefined
    }
  }

  set installedPaths(paths: readonly GitPath[]) {
    replaceStateFile(this.#installedFile, JSON.stringify(paths))
  }

  get state(): ReleaseState {
    try {
      const state: unknown = JSON.parse(readStateFile(this.#stateFile) ?? '')
      return isState(state) && this.workTree.isLinked() ? state : {}
    } catch {
      return {}
    }
  }

  /** @param isLasting whether a power cut right after it may not take it back */
  updateState(changes: ReleaseState, isLasting = false): void {
    replaceStateFile(this.#stateFile, JSON.stringify({ ...this.state, ...changes }), isLasting)
  }
}

/** Below pushlive/, and not below worktrees/, where git would look at every push. */
const ownFolder = (gitDir: string, number: number) =>
  number === 0 ? join(gitDir, 'pushlive/work-tree') : join(gitDir, 'pushlive/releases', String(number))

/** The releases, and the link to the one that serves. With RELEASES=1 there is one only: the folder that serves. */
export class Releases {
  readonly isInPlace: boolean
  readonly #count: number
  readonly #link: string
  readonly #gitDir: string
  readonly #folder: string
  /** The folder for SHARED_PATHS. */
  readonly shared: string
  readonly #processes: ReleaseProcesses

  constructor({ RELEASES, PATH_TO_GIT_WORK_TREE }: HookSettings, gitDir: string) {
    this.isInPlace = RELEASES === 1
    this.#count = RELEASES
    this.#link = PATH_TO_GIT_WORK_TREE
    this.#gitDir = gitDir
    this.#folder = releasesFolder(PATH_TO_GIT_WORK_TREE)
    this.shared = sharedFolder(PATH_TO_GIT_WORK_TREE)
    this.#processes = new ReleaseProcesses(this.#folder)
  }

  /** Keeps what a step does to git's configuration from the repository, in each folder. @throws Failure */
  separate(): void {
    const numbers = listFolder(join(this.#gitDir, 'pushlive/releases')).map(Number)
    for (const number of [0, ...numbers]) this.#at(number).workTree.separate()
  }

  /** Where PATH_TO_GIT_WORK_TREE leads; undefined where it is not there, or leads to no release. */
  serving(): Release | undefined {
    const found = lstatSync(this.#link, { throwIfNoEntry: false })
    const number = found?.isSymbolicLink() ? this.#numberOf(resolve(dirname(this.#link), readlinkSync(this.#link))) : 0
    if (number === undefined) return this.isInPlace ? this.#at(0) : undefined
    return number !== 0 || found?.isDirectory() || this.isInPlace ? this.#at(number) : undefined
  }

  /** Whether exactly this commit's files are where the web server looks. */
  async serves(commit: string): Promise<boolean> {
    return (await this.serving()?.workTree.holds(commit)) ?? false
  }

  /** All that are there, complete or not. */
  present(): Release[] {
    return listFolder(this.#folder)
      .filter(name => /^[1-9]\d*$/.test(name))
      .map(Number)
      .sort((a, b) => a - b)
      .map(number => this.#at(number))
      .filter(({ path }) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory())
  }

  /** The complete ones. */
  kept(): Release[] {
    if (this.isInPlace) return []
    return this.present().filter(({ state, workTree }) => state.complete !== undefined && workTree.isAt(state.complete))
  }

  /** The release where a commit is complete: of several the one that served, or that was live last. */
  findComplete(commit: string | undefined, served: Served | undefined): Release | undefined {
    const rank = ({ path, state }: Release) => (path === served?.folder ? Number.POSITIVE_INFINITY : (state.live ?? 0))
    return this.kept()
      .filter(({ state }) => state.complete === commit)
      .sort((a, b) => rank(b) - rank(a))[0]
  }

  /** The same, unless its files have been changed since. */
  async findIntact(commit: string, served: Served | undefined): Promise<Release | undefined> {
    const release = this.findComplete(commit, served)
    return (await release?.workTree.holds(commit)) ? release : undefined
  }

  /** The release that the link led to, where it is there and there is still a link, which one rename leads back. */
  findLeft(served: Served | undefined): Release | undefined {
    const number = served?.folder && this.#numberOf(served.folder)
    if (!number || !lstatSync(this.#link, { throwIfNoEntry: false })?.isSymbolicLink()) return undefined
    const release = this.#at(number)
    if (!lstatSync(release.path, { throwIfNoEntry: false })?.isDirectory()) return undefined
    return release
  }

  /**
   * The release that has a commit's code checked out, complete or not.
   *
   * @param number of several, this one; otherwise one that is complete
   */
  findAtHead(commit: string, number?: number): Release | undefined {
    const numbers = this.isInPlace ? [0] : Array.from({ length: this.#count }, (_, index) => index + 1)
    const rank = (each: Release) => (each.number === number ? 2 : each.state.complete === commit ? 1 : 0)
    return numbers
      .map(number => this.#at(number))
      .filter(({ workTree }) => workTree.isAt(commit))
      .sort((a, b) => rank(b) - rank(a))[0]
  }

  /**
   * The release for the next commit: neither the one that the link leads to, nor what served, nor the one to which a
   * rollback would go. Of the others, one from which no process runs, the oldest first.
   *
   * @param movers whose releases alone know the way back from where the database is: these are taken last
   */
  choose(served: Served | undefined, movers: readonly Mover[], processes = this.processes()): Release {
    if (this.isInPlace) return this.#at(0)
    const numbers = Array.from({ length: this.#count }, (_, index) => index + 1)
    const age = ({ state }: Release) => state.live ?? 0
    const [serving, complete] = [this.serving(), this.findComplete(served?.commit, served)]
    const needed = [serving?.path, complete?.path, served?.folder]
    const free = numbers
      .map(number => this.#at(number))
      .filter(({ path }) => !needed.includes(path))
      .sort((a, b) => age(a) - age(b))
    const previous = free.findLast(each => age(each) > 0 && each.state.complete !== served?.commit)
    const waysBack = movers.map(({ commit, release }) => this.findAtHead(commit, release)?.number)
    const isWayBack = ({ number }: Release) => waysBack.includes(number)
    // One that cannot be cleaned stops no commit where there is another.
    const others = free
      .filter(each => each !== previous && !isWayBack(each))
      .sort((a, b) => Number(a.state.isForeign ?? false) - Number(b.state.isForeign ?? false))
    const unused = others.find(each => !isInUse(each, processes)) ?? others[0]
    const spare = previous && !isWayBack(previous) ? previous : undefined
    // The newest of those that may have moved the database is the likeliest to have done so.
    return (
      unused ?? spare ?? (free.sort((a, b) => waysBack.indexOf(b.number) - waysBack.indexOf(a.number))[0] as Release)
    )
  }

  /** The processes that run from any of the releases. In place none can be told from others. */
  processes(): ReleaseProcess[] {
    return this.isInPlace ? [] : this.#processes.find()
  }

  /** Whether any look so far has found a server of a release. */
  get haveServed(): boolean {
    return this.#processes.hasFoundServer
  }

  /**
   * Leads the link to a release by one rename: it leads to the old one or the new one, also after a power cut.
   *
   * @throws Failure where there is something else in the link's place
   */
  switchTo(release: Release): void {
    if (this.serving()?.number === release.number) return
    this.#verifyOurs()
    const next = join(this.#folder, 'next')
    rmSync(next, { force: true })
    symlinkSync(this.#targetOf(release.number), next)
    renameSync(next, this.#link)
    sync(dirname(this.#link))
  }

  /** @param isBack whether this is a rollback: what went live since is then nothing to go back to */
  markLive(release: Release, number: number, database: string | undefined, isBack: boolean): void {
    if (this.isInPlace) return
    const { live = number } = isBack ? release.state : {}
    release.updateState({ live, ...(database !== undefined && { database }) }, true)
    for (const each of this.kept()) if ((each.state.live ?? 0) > live) each.updateState({ live: undefined })
  }

  /**
   * Turns a folder that serves into a release and a link to it, or the other way round, as RELEASES wants it. The path
   * exists at every instant.
   *
   * @returns messages for the log
   * @throws Failure where the link cannot be replaced, or leads to no release
   */
  convertLayout(): string[] {
    const found = lstatSync(this.#link, { throwIfNoEntry: false })
    const serving = this.serving()
    if (this.isInPlace) return serving && serving.number > 0 ? this.#convertToFolder(serving.number) : []
    this.#verifyOurs()
    try {
      mkdirSync(this.#folder, { recursive: true })
      if (found) openFolderLike(this.#folder, this.#link)
      accessSync(dirname(this.#link), constants.W_OK)
    } catch (cause) {
      if (cause instanceof Failure) throw cause
      const why = String(cause)
      throw new Failure(exitCode.failed, `${this.#link} cannot be made a link to its releases.`, { why, cause })
    }
    return found?.isDirectory() ? this.#convertToLink() : []
  }

  /** Makes a folder to which another program has checked a commit out a release that a rollback can go to. */
  async takeOver(release: Release, commit: string): Promise<void> {
    await release.workTree.takeOver(commit)
    release.updateState({ complete: commit, live: 1 })
  }

  #verifyOurs(): void {
    const foreign = findForeign(this.#link, this.#folder)
    if (foreign === undefined) return
    throw new Failure(exitCode.failed, foreign, { fix: 'move it away, or change PATH_TO_GIT_WORK_TREE' })
  }

  #convertToLink(): string[] {
    let number = 1
    while (lstatSync(join(this.#folder, String(number)), { throwIfNoEntry: false })?.isDirectory()) number++
    const path = join(this.#folder, String(number))
    rmSync(path, { force: true })
    symlinkSync(this.#targetOf(number), path)
    this.#swap(path, this.#link, () => rmSync(path))
    this.#moveState(0, number)
    return [`${this.#link} IS A LINK NOW: what was there is release ${number}, in ${path}`]
  }

  #convertToFolder(number: number): string[] {
    const path = join(this.#folder, String(number))
    this.#swap(this.#link, path)
    // What was installed there has its path in it.
    rmSync(path)
    symlinkSync(join('..', basename(this.#link)), path)
    this.#moveState(number, 0)
    return [`${this.#link} IS NO LINK ANY MORE: what was release ${number} is there now`]
  }

  /** @throws Failure where no rename can move the folder: it is a mount point, or in the lower layer of an overlay */
  #swap(link: string, folder: string, cleanUp = () => {}): void {
    try {
      swap(link, folder)
    } catch (cause) {
      cleanUp()
      const { code = '' } = cause as NodeJS.ErrnoException
      if (!['EXDEV', 'EBUSY'].includes(code)) throw cause
      throw new Failure(exitCode.failed, `${folder} cannot be renamed.`, {
        why: String(cause),
        fix: `copy it (cp -a), and put the copy in its place: it is mounted, or comes with a container's image`,
        cause,
      })
    }
  }

  #moveState(from: number, to: number): void {
    const { live = 1, database } = this.#at(from).state
    const { workTree } = this.#at(to)
    this.#at(from).workTree.moveTo(workTree)
    // Its environment was made for another path.
    rmSync(join(ownFolder(this.#gitDir, to), 'release'), { force: true })
    const { head } = workTree
    if (to > 0 && head && workTree.isAt(head)) this.#at(to).updateState({ complete: head, live, database })
  }

  #at(number: number): Release {
    return new Release(
      number,
      number === 0 ? this.#link : join(this.#folder, String(number)),
      this.#gitDir,
      this.shared,
    )
  }

  #targetOf = (number: number) => join(basename(this.#folder), String(number))

  #numberOf(target: string): number | undefined {
    const name = basename(target)
    return dirname(target) === this.#folder && /^[1-9]\d*$/.test(name) ? Number(name) : undefined
  }
}

/** Whether a process runs from a release, and not only stands there. */
export const isInUse = ({ number }: Release, processes: readonly ReleaseProcess[]) =>
  processes.some(each => each.releases.has(number) && !isBystander(each))

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const isString = (value: unknown) => typeof value === 'string'

function isState(value: unknown): value is ReleaseState {
  const state = value as ReleaseState | null
  return (
    typeof state === 'object' &&
    state !== null &&
    (state.complete === undefined || isCommitId(state.complete)) &&
    (state.live === undefined || Number.isSafeInteger(state.live)) &&
    (state.shared === undefined || (Array.isArray(state.shared) && state.shared.every(isString))) &&
    (state.installed === undefined || isCommitId(state.installed?.commit))
  )
}
