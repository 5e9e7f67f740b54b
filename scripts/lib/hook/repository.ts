import { copyFileSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ProcessPromise, type Shell, $ as zx } from 'zx/core'
import { askFolder } from '../protocol/asks.ts'
import { emptyTrees, isCommitId } from '../protocol/ids.ts'
import { longestOrigin, type Origin, parseOrigin } from '../protocol/origin.ts'
import {
  type DeploymentRecord,
  deployRefs,
  formatRecord,
  logOfRecords,
  parseRecords,
  plainLog,
} from '../protocol/record.ts'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { changeConfiguration } from './configuration.ts'
import { type GitPath, readPaths } from './git-paths.ts'
import { makefileNames, type Sources } from './make-targets.ts'
import { goPipe, type Start, strict, waitForGo } from './processes.ts'
import { readStateFile } from './state-file.ts'

/** The author of the hook's own commits: the server's user need not have configured one. */
export const identity = {
  GIT_AUTHOR_NAME: 'pushlive',
  GIT_AUTHOR_EMAIL: 'pushlive@localhost',
  GIT_COMMITTER_NAME: 'pushlive',
  GIT_COMMITTER_EMAIL: 'pushlive@localhost',
}

/** The repository's configuration may say otherwise. */
const quoted = ['-c', 'core.quotePath=true']

/** What git writes is on the disk before a ref names it. git before 2.36 does not know this setting. */
const onTheDisk = {
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'core.fsync',
  GIT_CONFIG_VALUE_0: 'committed',
}

/** The refs of the branch and its deployments. Each may be missing. */
export interface Refs {
  readonly tip: string | undefined
  readonly live: string | undefined
  readonly failed: string | undefined
  readonly history: string | undefined
  readonly kept: string | undefined
  /** Asks that are still there. */
  readonly asks: readonly string[]
}

/** What files take on a disk. */
export interface Size {
  readonly bytes: number
  readonly files: number
}

/** In characters. */
const longestSubject = 300

/** Most file systems give a file whole blocks. */
const blockSize = 4096

/** The bare repository: its commits, and the refs that tell what is live, what failed, and every deployment. */
export class Repository {
  readonly gitDir: string
  readonly #git: Shell

  constructor(gitDir: string) {
    this.gitDir = gitDir
    const env = { ...process.env, ...identity, ...onTheDisk, GIT_DIR: gitDir }
    // A session of its own: Ctrl-C at a push to a local path must not end git in the middle.
    this.#git = zx({ env, cwd: gitDir, quiet: true, detached: true, stdio: ['ignore', 'pipe', 'pipe'], prefix: strict })
  }

  async refs(branch: string): Promise<Refs> {
    const format = '%(refname) %(objectname)'
    const patterns = [`refs/heads/${branch}`, `refs/deploy/${branch}`, askFolder(branch)]
    const { stdout } = await this.#git`git for-each-ref --format=${format} ${patterns}`
    const refs = new Map(stdout.split('\n').map(line => line.split(' ') as [string, string]))
    const { live, failed, history, kept } = deployRefs(branch)
    return {
      tip: refs.get(`refs/heads/${branch}`),
      live: refs.get(live) ?? (await this.#findLive(refs.get(history))),
      failed: refs.get(failed),
      history: refs.get(history),
      kept: refs.get(kept),
      asks: [...refs.keys()].filter(ref => ref.startsWith(askFolder(branch))),
    }
  }

  /** Who has asked, as the ask's object tells. Most are the empty tree, and tell nothing. */
  async origin(object: string | undefined): Promise<Origin> {
    if (object === undefined || emptyTrees.includes(object)) return {}
    // What is cut is no JSON any more.
    const cut = await this.#git`git cat-file blob ${object} | head --bytes ${longestOrigin}`.nothrow()
    return parseOrigin(cut.stdout)
  }

  /** For people. Undefined where git cannot tell. */
  async subject(commit: string): Promise<string | undefined> {
    const { stdout } = await this.#git`git log -1 ${plainLog} --format=%s ${commit} --`.nothrow()
    return flatten(stdout).slice(0, longestSubject) || undefined
  }

  /** The commit of this name, or whose id begins so. */
  async findCommit(name: string): Promise<string | undefined> {
    const found = await this.#git`git rev-parse --quiet --verify --end-of-options ${`${name}^{commit}`}`.nothrow()
    return found.ok ? found.stdout.trim() : undefined
  }

  /** Those of the ids that are commits of this repository. */
  async commitsAmong(ids: readonly string[]): Promise<string[]> {
    const lines = ids.join('\n')
    const { stdout } = await this.#git`git cat-file --batch-check <<< ${lines}`
    return stdout.split('\n').flatMap(line => /^([0-9a-f]+) commit /.exec(line)?.[1] ?? [])
  }

  /** Also false where one of them is not there. */
  async contains(newer: string, older: string): Promise<boolean> {
    return (await this.#git`git merge-base --is-ancestor ${older} ${newer}`.nothrow()).ok
  }

  /** Whether anything under the pathspecs does; also where git cannot tell. */
  async differs(before: string, after: string, pathspecs: readonly string[]): Promise<boolean> {
    return !(await this.#git`git diff --quiet ${before} ${after} -- ${pathspecs}`.nothrow()).ok
  }

  /** Files that are in the one commit and not in the other, under the pathspecs. */
  async addedFiles(before: string, after: string, pathspecs: readonly string[]): Promise<GitPath[]> {
    if (pathspecs.length === 0) return []
    const options = ['--name-only', '--diff-filter=A', before, after]
    return readPaths((await this.#git`git ${quoted} diff ${options} -- ${pathspecs}`.nothrow()).stdout)
  }

  /** A commit's files at or below the paths. */
  async files(commit: string, paths: readonly string[]): Promise<GitPath[]> {
    if (paths.length === 0) return []
    const listed = await this.#git`git ${quoted} ls-tree -r --name-only --full-tree ${commit} -- ${paths}`
    return readPaths(listed.stdout)
  }

  /** What a commit's files take; nothing for those that a partial repository lacks. */
  async size(commit: string): Promise<Size> {
    // Not --format, which is new in git 2.36.
    const { stdout } = await this.#git`git ls-tree -r -l --full-tree ${commit}`.nothrow()
    const sizes = Array.from(stdout.matchAll(/^\d+ blob \w+ +(\d+)\t/gm), ([, size]) =>
      Math.ceil(Number(size) / blockSize),
    )
    return { bytes: sizes.reduce((sum, blocks) => sum + blocks, 0) * blockSize, files: sizes.length }
  }

  /** The names at the top of a commit, and its Makefile. */
  async sources(commit: string): Promise<Sources> {
    const listed = await this.#git`git ${quoted} ls-tree --full-tree ${commit}`.nothrow()
    const entries = new Map(
      Array.from(listed.stdout.matchAll(/^(\d+) \w+ (\w+)\t(.*)$/gm), ([, mode, id, name = '']) => [
        name,
        { mode, id },
      ]),
    )
    const found = entries.get(makefileNames.find(name => entries.has(name)) ?? '')
    const isFile = found?.mode?.startsWith('100')
    const makefile = isFile ? (await this.#git`git cat-file blob ${found?.id ?? ''}`.nothrow()).stdout : undefined
    return { names: [...entries.keys()], makefile }
  }

  /** The first of the paths that a commit has as something else than a folder. */
  async findNoFolder(commit: string, paths: readonly string[]): Promise<string | undefined> {
    if (paths.length === 0) return undefined
    const names = paths.map(path => `${commit}:${path}`).join('\n')
    const { stdout } = await this.#git`git cat-file --batch-check=${'%(objecttype)'} <<< ${names}`
    return paths[stdout.split('\n').indexOf('blob')]
  }

  /** All deployments of the branch, newest first. */
  async records({ history }: Pick<Refs, 'history'>): Promise<DeploymentRecord[]> {
    return history === undefined ? [] : parseRecords((await this.#git`git ${logOfRecords} ${history} --`).stdout)
  }

  /**
   * The newest commit whose files the bash hook's `GIT_WORK_TREE=... git checkout -f` has put into the work tree, as the
   * bare repository's index tells.
   */
  async findCheckedOut(): Promise<string | undefined> {
    const index = join(this.gitDir, 'index')
    if (!existsSync(index)) return undefined
    // A copy, because git writes to the index that it reads.
    const copy = join(this.gitDir, 'pushlive/index')
    copyFileSync(index, copy)
    const found = await this.#git`
      tree=$(GIT_INDEX_FILE=${copy} git write-tree --missing-ok)
      git log --all --format='%T %H' | awk -v tree="$tree" '$1 == tree && !found { found = $2 } END { print found }'`.nothrow()
    return found.stdout.trim() || undefined
  }

  /** The history still tells what was live where that ref is lost. */
  async #findLive(history: string | undefined): Promise<string | undefined> {
    const live = (await this.records({ history })).find(record => record.live)?.commit
    return live && this.findCommit(live)
  }

  /**
   * Removes what a killed hook and its git have left: locks, and refs that are empty or damaged, which would stop the next
   * record. Only the hook whose turn it is writes these refs.
   */
  cleanUp(branch: string): void {
    for (const ref of Object.values(deployRefs(branch))) {
      rmSync(join(this.gitDir, `${ref}.lock`), { force: true })
      const content = readStateFile(join(this.gitDir, ref))
      if (content !== undefined && !isCommitId(content.replace(/\n$/, ''))) rmSync(join(this.gitDir, ref))
    }
  }

  /**
   * What a push writes is on the disk before it is believed, also where nobody has run `post-receive install`. git is
   * asked once for each repository.
   */
  async syncPushes(): Promise<void> {
    if (/^\s*fsync\s*=/im.test(readStateFile(join(this.gitDir, 'config')) ?? '')) return
    const change = async (file: string) => {
      await this.#git`git config --file ${file} core.fsync committed`
    }
    await changeConfiguration(this.gitDir, change).catch(() => {})
  }

  /**
   * Keeps commits from `git gc` for as long as the history names them, whatever the branch becomes: by commits without
   * files, of which they are the parents. The first one is for all that the history names so far.
   *
   * @throws Failure with git's words, such as on a full disk
   */
  async keep(commits: readonly (string | undefined)[], branch: string, refs: Refs): Promise<void> {
    const before = refs.kept ? [] : (await this.records(refs)).flatMap(({ commit, previous }) => [commit, previous])
    const ids = new Set([...commits, ...before].filter(id => id !== undefined))
    const parents = [...(refs.kept ? [refs.kept] : []), ...(await this.commitsAmong([...ids]))]
    const { ok, stderr } = await this.#git`
      tree=$(git hash-object -w -t tree /dev/null)
      kept=$(git commit-tree ${parents.flatMap(parent => ['-p', parent])} -m 'Kept from git gc' "$tree")
      git update-ref ${deployRefs(branch).kept} "$kept"`.nothrow()
    if (!ok) throw new Failure(exitCode.failed, 'What is deployed could not be kept from git gc.', { why: stderr })
  }

  /** Removes asks that are not files any more, because they were packed. If git is locked, the next hook removes them. */
  async removeAsks(asks: readonly string[]): Promise<void> {
    for (const ref of asks) await this.#git`git update-ref -d ${ref}`.nothrow()
  }

  /**
   * Writes down how a deployment ended: the ref `live` or `failed`, and one more commit on the history, whose message
   * holds the record. Both in one transaction, so that they cannot disagree.
   *
   * @throws Failure with git's words, such as on a full disk
   */
  async record(record: DeploymentRecord, branch: string, { history }: Refs, start: Start): Promise<void> {
    const refs = deployRefs(branch)
    const parent = history === undefined ? [] : ['-p', history]
    const tree = history === undefined ? '' : `${history}^{tree}`
    const gated = this.#git({ stdio: ['ignore', 'pipe', 'pipe', goPipe], prefix: waitForGo + strict, nothrow: true })
    const transaction = `update ${record.live ? refs.live : refs.failed} ${record.commit}\nupdate ${refs.history} `
    // Not as an argument, which holds no more than 128 KiB.
    const message = join(this.gitDir, 'pushlive/record')
    writeFileSync(message, formatRecord(record))
    // A here-string and not zx's stdin: bash would take itself for rsh's.
    const writing: ProcessPromise = gated`
      tree=${tree}
      [ -n "$tree" ] || tree=$(git hash-object -w -t tree /dev/null)
      entry=$(git -c i18n.commitEncoding=UTF-8 commit-tree ${parent} -F ${message} "$tree")
      git update-ref --create-reflog -m ${`pushlive: ${record.who}`} --stdin <<< ${transaction}$entry`
    const { ok, stderr } = await start('git update-ref', writing)
    if (!ok) throw new Failure(exitCode.failed, 'The result of the deployment could not be recorded.', { why: stderr })
  }
}
