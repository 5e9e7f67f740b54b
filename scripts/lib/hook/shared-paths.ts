import { lstatSync, mkdirSync, readlinkSync, realpathSync, rmSync, type Stats, statSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Context } from './context.ts'
import {
  below,
  filesAt,
  foldersAbove,
  fromText,
  type GitPath,
  inside,
  namesIn,
  parentOf,
  pathWithin,
  realPath,
  targetOf,
  toText,
} from './git-paths.ts'
import { copyTree, isSame, leadToSame, mergeFolders, realPathOf } from './merge-folders.ts'
import { mountPoints } from './mount-points.ts'
import type { Release } from './releases.ts'
import { type Deploying, openReplaced, type Replaced } from './replaced.ts'
import type { Repository } from './repository.ts'
import { swap } from './swap.ts'
import { listNames } from './work-tree.ts'

/** What keeps a folder in git, or protects it, and nothing else: it is put into the shared folder, too. */
const skeleton = /^(\.git(keep|ignore|attributes|empty)|\.keep|\.htaccess|\.placeholder|\.empty|web\.config)$/

const isSkeleton = (file: string, path: string) => file !== path && skeleton.test(basename(file))

/** With RELEASES=1 only those that are links, because there were releases before. */
export function openSharedPaths(context: Deploying & Pick<Context, 'settings' | 'releases'>): SharedPaths {
  const { settings, releases, deployment } = context
  const serving = settings.PATH_TO_GIT_WORK_TREE
  const isLinked = (path: string) => leadsTo(join(serving, path), join(releases.shared, path))
  const paths = releases.isInPlace ? settings.SHARED_PATHS.filter(isLinked) : settings.SHARED_PATHS
  return new SharedPaths(paths, releases.shared, note => deployment.log.say(note), openReplaced(context))
}

/** The paths that outlive releases: they are in one folder, and each release has links to them. */
export class SharedPaths {
  readonly #paths: readonly string[]
  readonly #folder: string
  readonly #say: (note: string) => void
  readonly #replaced: Replaced

  /**
   * @param folder that holds them
   * @param say takes messages for the log
   * @param replaced takes what has to give way
   */
  constructor(paths: readonly string[], folder: string, say: (note: string) => void, replaced: Replaced) {
    this.#paths = paths
    this.#folder = folder
    this.#say = say
    this.#replaced = replaced
  }

  /**
   * Checks before anything is changed that they can be shared.
   *
   * @param commit undefined where it keeps the files that it has there
   * @param serving the folder that serves
   * @throws Failure where the commit has a file of its own there, or one of them cannot be moved
   */
  async verify(commit: string | undefined, repository: Repository, serving: string | undefined): Promise<void> {
    if (commit !== undefined) await this.#verifyUntracked(commit, repository)
    for (const path of this.#paths) {
      this.#guard(path, () => {
        const kept = this.#keptAt(path)
        const here = serving && join(serving, path)
        if (!here || !look(here) || look(here)?.isSymbolicLink() || !isMountPoint(here)) return
        throw new Failure(exitCode.failed, `${here}, which SHARED_PATHS names, is a mount point.`, {
          fix: `mount it at ${kept}, and not in a release`,
        })
      })
    }
  }

  async #verifyUntracked(commit: string, repository: Repository): Promise<void> {
    const fix = 'take it out of the commit, or out of SHARED_PATHS'
    const tracked = (await repository.files(commit, this.#paths)).map(toText)
    const own = tracked.find(file => !this.#paths.some(path => isSkeleton(file, path) && file.startsWith(`${path}/`)))
    if (own !== undefined) {
      throw new Failure(exitCode.failed, `The commit has ${flatten(own)}, which SHARED_PATHS names.`, { fix })
    }
    const above = await repository.findNoFolder(commit, this.#paths.flatMap(foldersAbove))
    if (above !== undefined) {
      const path = this.#paths.find(path => path.startsWith(`${above}/`))
      const what = `The commit has ${above} as a file or a link, and SHARED_PATHS names ${path}.`
      throw new Failure(exitCode.failed, what, { fix })
    }
  }

  /**
   * Looks at the release that serves. A file or folder in the place of a link is what the application has there now: an
   * editor or the application itself has replaced the link. So it becomes the shared one. A link of the administrator's
   * is kept, and the next releases lead to the same place.
   *
   * @throws Failure where one cannot be shared
   */
  async takeOver({ path: serving, workTree }: Release): Promise<void> {
    for (const path of this.#paths) {
      const here = join(serving, path)
      const kept = this.#keptAt(path)
      const found = this.#guard(path, () => look(here))
      if (!found || leadsTo(here, kept)) continue
      // Behind a link of a path that was named before.
      if (leadToSame(here, kept)) continue
      if ((await workTree.files(path)).some(file => !isSkeleton(toText(file), path))) {
        const others = found.isDirectory() ? await workTree.others(path) : []
        this.#guard(path, () => {
          // git does not look into another repository, such as an installed plugin's.
          const files = others.flatMap(each => filesAt(serving, each))
          this.#copy(files, serving)
        })
        continue
      }
      this.#guard(path, () => {
        if (found.isSymbolicLink() || this.#isBehindLink(serving, path)) this.#adopt(here, path, serving)
        else this.#takeIn(here, path)
      })
    }
  }

  /** Moves what is no link aside, before another commit is checked out to a release. */
  async clear(release: Release): Promise<void> {
    for (const path of this.#paths) {
      const here = join(release.path, path)
      const found = this.#guard(path, () => look(here))
      if (!found || found.isSymbolicLink() || this.#isBehindLink(release.path, path)) continue
      const hasTracked = (await release.workTree.files(path)).length > 0
      const names = hasTracked ? await release.workTree.others(path) : [fromText(path)]
      this.#guard(path, () => {
        for (const name of names) this.#moveAside(inside(release.path, name), name)
      })
    }
  }

  /**
   * Links them in a release to which a commit was just checked out.
   *
   * @param before those of the release that serves
   * @throws Failure where one cannot be linked
   */
  async link(release: Release, commit: string, repository: Repository, before: readonly string[] = []): Promise<void> {
    for (const path of release.state.shared ?? [])
      if (!this.#paths.includes(path)) this.#unlink(join(release.path, path))
    const linked: string[] = []
    const missing: string[] = []
    for (const path of this.#paths) {
      const here = join(release.path, path)
      const found = this.#guard(path, () => look(here))
      if (found && !leadsTo(here, this.#keptAt(path)) && (await this.#isLeft(path, release, commit, repository)))
        continue
      linked.push(path)
      this.#guard(path, () => {
        this.#makeFolders(release.path, path)
        if (!this.#provide(path, found?.isDirectory() ?? false)) missing.push(path)
        this.#linkSkeleton(here, path, found)
      })
    }
    release.updateState({ shared: linked })
    if (missing.length > 0) this.#say(`NOT THERE YET IN ${this.#folder}: ${listNames(missing)}`)
    const gone = before.filter(path => !this.#paths.includes(path))
    if (gone.length > 0) {
      this.#say(
        `NOT SHARED ANY MORE, because SHARED_PATHS does not name it; it is still in ${this.#folder}: ${listNames(gone)}`,
      )
    }
  }

  /** Makes links again that a step has removed, so that the next step finds them. */
  linkAgain(release: Release): void {
    for (const path of release.state.shared ?? []) {
      const here = join(release.path, path)
      this.#guard(path, () => {
        if (!this.#paths.includes(path) || look(here)) return
        this.#makeFolders(release.path, path)
        symlinkSync(this.#keptAt(path), here)
        this.#say(`LINKED AGAIN, because a step had removed it: ${here}`)
      })
    }
  }

  /**
   * Looks at a release after its steps, or at one that is switched to as it is.
   *
   * @param isNew whether what lies in a link's place is newer than the shared one, because a step has just put it there
   * @throws Failure where one cannot be linked
   */
  async restore(release: Release, commit: string, repository: Repository, isNew: boolean): Promise<void> {
    this.linkAgain(release)
    for (const path of this.#paths) {
      const here = join(release.path, path)
      const kept = this.#keptAt(path)
      const found = this.#guard(path, () => look(here))
      if (!found && isNew) continue
      if (leadsTo(here, kept) || (await this.#isLeft(path, release, commit, repository))) continue
      this.#guard(path, () => {
        this.#makeFolders(release.path, path)
        if (found?.isSymbolicLink()) {
          this.#say(`LINKED AGAIN: ${here} had become a link to ${flatten(readlinkSync(here))}`)
          this.#replaceByLink(here, path)
        } else if (found && (isNew || !look(kept))) this.#takeIn(here, path, true)
        else {
          if (found) this.#moveAside(here, fromText(path))
          symlinkSync(kept, here)
        }
      })
    }
  }

  /** Where a path is kept. @throws Failure where that is a loop of links */
  #keptAt(path: string): string {
    const kept = join(this.#folder, path)
    return this.#guard(path, () => {
      // A link to itself is what a kill has left of an exchange.
      if (look(kept)?.isSymbolicLink() && readlinkSync(kept) === kept) rmSync(kept)
      if (isLoop(kept)) throw new Error(`${kept} is a link that leads to itself`)
      return kept
    })
  }

  /** Makes the folder that holds a path, or the path itself: a name without a dot is taken for a folder's. */
  #provide(path: string, isFolder: boolean): boolean {
    const kept = this.#keptAt(path)
    mkdirSync(dirname(kept), { recursive: true })
    if (!look(kept) && (isFolder || !basename(path).includes('.'))) mkdirSync(kept)
    return realPathOf(kept) !== undefined
  }

  /** A link of the administrator's becomes the shared one, and stays where it is. */
  #adopt(here: string, path: string, serving: string): void {
    const isGone = realPathOf(here) === undefined
    const place = realPathOf(here) ?? targetOf(here)
    const target = String(place)
    // The releases may have been moved to here, with links to where they were.
    if (isGone && (isLoop(here) || target.endsWith(join('.releases/shared', path)))) return
    const kept = this.#keptAt(path)
    if (`${kept}/`.startsWith(`${target}/`)) {
      throw new Failure(
        exitCode.failed,
        `${here}, which SHARED_PATHS names, leads to the folder that holds what is shared.`,
      )
    }
    if (`${target}/`.startsWith(`${realpathSync(serving)}/`)) {
      throw new Failure(exitCode.failed, `${here}, which SHARED_PATHS names, leads into the release itself.`, {
        why: `It leads to ${target}.`,
        fix: `put what is to be shared in ${join(this.#folder, path)} and remove the link, or take ${path} out of SHARED_PATHS`,
      })
    }
    mkdirSync(dirname(kept), { recursive: true })
    if (look(kept)) this.#moveAside(kept, fromText(path))
    symlinkSync(place, kept)
    this.#say(`KEPT, AND SHARED WITH THE NEXT RELEASES: ${here}, which leads to ${flatten(target)}`)
  }

  /** Copies what no commit has out of a folder in which the commit that serves has files, so that nothing changes there. */
  #copy(files: readonly GitPath[], serving: string): void {
    const copied = files.filter(file => {
      const [mine, kept] = [inside(serving, file), inside(this.#folder, file)]
      mkdirSync(parentOf(kept), { recursive: true })
      if (look(kept) && isSame(mine, kept)) return false
      if (look(kept)) this.#moveAside(kept, file)
      copyTree(mine, kept)
      return true
    })
    if (copied.length > 0)
      this.#say(`COPIED TO ${this.#folder}, because the live commit has files there: ${listNames(copied.map(toText))}`)
  }

  /**
   * What lies in a link's place becomes the shared one, and a link takes its place.
   *
   * @param isFromStep whether a step has put it there: then files that a shared folder has stay as they are
   */
  #takeIn(here: string, path: string, isFromStep = false): void {
    const kept = this.#keptAt(path)
    const place = realPathOf(kept) ?? Buffer.from(kept)
    const [mine, theirs] = [look(here), look(place)]
    mkdirSync(parentOf(place), { recursive: true })
    // Where the administrator's link leads, owner and mode are the administrator's, too.
    const isOurs = !look(kept)?.isSymbolicLink()
    if (isOurs && isEmptyFolder(place) && !isMountPoint(place)) rmSync(place, { recursive: true })
    if (!look(place)) {
      this.#exchange(here, kept, place)
      this.#say(`MOVED TO ${this.#folder}, and linked: ${path}`)
      return
    }
    if (mine?.isDirectory() && theirs?.isDirectory()) {
      mergeFolders(Buffer.from(here), place, isOurs && !isFromStep, (mine, theirs) => {
        const name = Buffer.concat([Buffer.from(path), theirs.subarray(place.length)])
        if (isFromStep && skeleton.test(basename(String(name)))) return
        this.#keepAside(isFromStep ? mine : theirs, name)
        if (isFromStep) return
        // SQLite would take what belongs to another file of that name for its own.
        for (const end of ['-wal', '-shm', '-journal'].map(end => Buffer.from(end))) {
          const [own, other] = [Buffer.concat([mine, end]), Buffer.concat([theirs, end])]
          if (look(other) && !look(own)) this.#keepAside(other, Buffer.concat([name, end]))
        }
      })
      this.#replaceByLink(here, path, !isFromStep)
    } else if (isSame(here, place)) this.#replaceByLink(here, path)
    else {
      this.#moveAside(place, fromText(path))
      this.#exchange(here, kept, place)
    }
    this.#say(`TAKEN OVER INTO ${this.#folder}, because it had replaced the link: ${here}`)
  }

  /** Puts something into its shared place, which is free, and a link in its place, in one instant. */
  #exchange(here: string, kept: string, place: Buffer): void {
    if (String(place) !== kept || lstatSync(here).dev !== statSync(parentOf(place)).dev) {
      copyTree(here, place)
      this.#replaceByLink(here, kept.slice(this.#folder.length + 1), true)
      return
    }
    symlinkSync(kept, kept)
    try {
      swap(kept, here)
    } catch (error) {
      rmSync(kept)
      throw error
    }
  }

  /**
   * Puts a link in the place of what is shared already, in one instant.
   *
   * @param isServing whether files may have come there since they were shared: these are moved aside
   */
  #replaceByLink(here: string, path: string, isServing = false): void {
    const folder = dirname(this.#folder)
    const link = join(folder, 'next-shared')
    // A kill may have left it.
    const left = look(link)
    if (left?.isSymbolicLink()) rmSync(link)
    else if (left) this.#keepAside(link, fromText(path))
    symlinkSync(join(this.#folder, path), link)
    swap(link, here)
    for (const file of isServing ? filesAt(folder, fromText('next-shared')) : []) {
      const rest = pathWithin(fromText('next-shared'), file)
      const name = rest ? below(fromText(path), rest) : fromText(path)
      const [mine, theirs] = [inside(folder, file), inside(this.#folder, name)]
      if (!look(theirs) || !isSame(mine, theirs)) this.#keepAside(mine, name)
    }
    rmSync(link, { recursive: true, force: true })
  }

  /** Links a path whose folder the commit may have for its skeleton. */
  #linkSkeleton(here: string, path: string, found: Stats | undefined): void {
    const kept = this.#keptAt(path)
    if (leadsTo(here, kept)) return
    const differing: string[] = []
    const place = realPathOf(kept)
    if (found?.isDirectory() && place) {
      mergeFolders(Buffer.from(here), place, false, mine =>
        differing.push(String(mine).slice(here.length - path.length)),
      )
    } else if (found && !found.isSymbolicLink()) this.#moveAside(here, fromText(path))
    if (look(here)) this.#replaceByLink(here, path)
    else symlinkSync(kept, here)
    if (differing.length > 0)
      this.#say(`LEFT AS IT IS IN ${this.#folder}, where the commit has something else: ${listNames(differing)}`)
  }

  /** Whether a release keeps its own, because its commit has more than a skeleton there: SHARED_PATHS named it later. */
  async #isLeft(path: string, release: Release, commit: string, repository: Repository): Promise<boolean> {
    const isOwn = (await repository.files(commit, [path])).some(file => !isSkeleton(toText(file), path))
    if (isOwn) this.#say(`NOT SHARED IN ${release.path}, because ${commit} has files there: ${path}`)
    return isOwn
  }

  /** Makes the folders above a path. @throws Error where one of them is no folder */
  #makeFolders(release: string, path: string): undefined {
    for (const folder of foldersAbove(path)) {
      const here = join(release, folder)
      this.#unlink(here)
      const found = look(here)
      if (!found) mkdirSync(here)
      else if (!found.isDirectory()) throw new Error(`${here} is ${found.isSymbolicLink() ? 'a link' : 'a file'}`)
    }
  }

  #isBehindLink(release: string, path: string): boolean {
    return foldersAbove(path).some(folder => look(join(release, folder))?.isSymbolicLink())
  }

  /** Removes a link into the shared folder. */
  #unlink(path: string): void {
    if (look(path)?.isSymbolicLink() && readlinkSync(path).startsWith(`${this.#folder}/`)) rmSync(path)
  }

  #moveAside(path: string | Buffer, name: GitPath): void {
    if (isEmptyFolder(path)) rmSync(path, { recursive: true })
    else this.#keepAside(path, name)
  }

  #keepAside(path: string | Buffer, name: GitPath | Buffer): void {
    const place = this.#replaced.take(path, name)
    this.#say(`MOVED ASIDE: ${flatten(String(path))} is ${place} now`)
  }

  /** @throws Failure for what the file system refuses */
  #guard<T>(path: string, action: () => T): T {
    try {
      return action()
    } catch (cause) {
      if (cause instanceof Failure) throw cause
      const why = cause instanceof Error ? cause.message : String(cause)
      // Only who may write in a folder can move it to another one.
      const isForeign = ['EACCES', 'EPERM'].includes((cause as NodeJS.ErrnoException).code ?? '')
      const fix = isForeign ? `as root, move it to ${join(this.#folder, path)}, or give it to the user who deploys` : ''
      throw new Failure(exitCode.failed, `${path}, which SHARED_PATHS names, cannot be shared.`, { why, fix, cause })
    }
  }
}

/** What is there, if it is only a link. */
function look(path: string | Buffer): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch (error) {
    // A file may lie where the path has a folder.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined
    throw error
  }
}

const leadsTo = (link: string, kept: string) =>
  look(link)?.isSymbolicLink() === true && (readlinkSync(link) === kept || leadToSame(link, kept))

function isLoop(path: string): boolean {
  try {
    realpathSync(path)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ELOOP'
  }
}

/** Whether it is a folder in which there are only folders. */
const isEmptyFolder = (path: string | Buffer): boolean =>
  look(path)?.isDirectory() === true && namesIn(path).every(name => isEmptyFolder(inside(path, name)))

const isMountPoint = (path: string | Buffer) => mountPoints().includes(realPath(path))
