import { execFile } from 'node:child_process'
import { accessSync, closeSync, constants, openSync, readSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Shell } from 'zx/core'
import { isPartOfId } from '../protocol/ids.ts'
import { flatten, quote } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { findForeignClone } from '../ssh/explain-failure.ts'
import { makePrivateFolder } from '../ssh/private-folder.ts'
import type { Environment, SshSession } from '../ssh/session.ts'
import type { Ci } from './ci/ci.ts'
import type { DeploySettings } from './settings.ts'

/** What a command works with. */
export interface Session extends Omit<SshSession, 'env'> {
  readonly settings: DeploySettings
  readonly options: Options
  /** Undefined for a person, or for a CI that deploy does not know. */
  readonly ci: Ci | undefined
  /** What follows the command's name. */
  readonly argument: string | undefined
  readonly $: Shell
  /** git and its options: with them `server` is STAGING_REMOTE_REPO, whatever this clone's configuration says. */
  readonly git: readonly string[]
  readonly server: string
}

export interface Options {
  readonly again?: boolean | undefined
  readonly force?: boolean | undefined
  readonly database?: boolean | undefined
  readonly 'dry-run'?: boolean | undefined
  readonly json?: boolean | undefined
  readonly all?: boolean | undefined
  readonly number?: string | undefined
  readonly verbose?: boolean | undefined
  readonly 'env-file'?: string | undefined
}

/**
 * Every command passes here first, so that none takes what is wrong with this clone for a fault of the server.
 *
 * @param env what the ssh session adds to the environment
 * @throws Failure (usage) where git does not work here, or there is no bash: all commands run in it
 */
export async function openClone(url: string, env: Promise<Environment>) {
  // While the connection is made.
  const [{ $: zx }, ssh, objects] = await Promise.all([import('zx/core'), env, findObjects()])
  if (zx.quote === undefined) {
    throw new Failure(exitCode.usage, 'There is no bash program here.', {
      fix: 'install bash (Alpine: apk add bash), or let PATH lead to it',
    })
  }
  const server = `pushlive-${newUnique()}`
  return {
    $: zx({ env: { ...process.env, ...ssh, ...placeForNew(objects) }, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] }),
    // Not the URL itself: the clone may send it elsewhere by url.*.insteadOf, of which the longest wins, and the first of
    // these. A random name has no settings of its own either (remote.*.pushurl, mirror, receivepack ...).
    git: ['git', '-c', `url.${url}.insteadOf=${server}`, '-c', `url.${url}.pushInsteadOf=${server}`],
    server,
  }
}

/** The folder of this clone's objects. @throws Failure (usage) where git does not work here */
async function findObjects(): Promise<string> {
  const { error, stdout, stderr } = await new Promise<{ error: Error | null; stdout: string; stderr: string }>(done => {
    const env = { ...process.env, LC_ALL: 'C' }
    execFile('git', ['rev-parse', '--git-path', 'objects'], { env }, (error, stdout, stderr) =>
      done({ error, stdout, stderr }),
    )
  })
  if (error) throw explainUnusable(error, stderr)
  return resolve(stdout.replace(/\n$/, ''))
}

/** Why git does not work here, from its error and its standard error. */
export function explainUnusable({ code, message }: NodeJS.ErrnoException, why: string): Failure {
  const failure = (what: string, fix: string) => new Failure(exitCode.usage, what, { why, fix })
  if (code === 'ENOENT') {
    return failure('There is no git program here.', 'install git (Debian: apt-get install git), or let PATH lead to it')
  }
  if (typeof code === 'string') return new Failure(exitCode.usage, 'No program can be started here.', { why: message })
  const foreign = findForeignClone(why)
  if (foreign) {
    return failure(
      'git does not work in this clone, because it belongs to another user.',
      `run deploy as that user; in a container: git config --global --add safe.directory '${foreign}'`,
    )
  }
  if (/not a git repository/.test(why)) {
    return failure(
      'This is no clone of a repository.',
      'run deploy in one (actions/checkout makes one only where git was installed before it)',
    )
  }
  return failure(
    'git does not work in this clone.',
    "mend what git names; `git config --list --show-origin` shows where each of this clone's settings comes from",
  )
}

/** Where the clone cannot be written, what is fetched lies beside it, for as long as this runs. */
function placeForNew(objects: string): Environment {
  try {
    accessSync(objects, constants.W_OK)
    return {}
  } catch {
    const folder = makePrivateFolder(() => ({}))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    const { GIT_ALTERNATE_OBJECT_DIRECTORIES: others } = process.env
    // git takes what is in double quotes for one path, whatever it holds.
    const alternates = [JSON.stringify(objects), ...(others ? [others] : [])].join(':')
    return { GIT_OBJECT_DIRECTORY: folder, GIT_ALTERNATE_OBJECT_DIRECTORIES: alternates }
  }
}

/** What nothing else has for a name: 32 hexadecimal digits. From the system, because node:crypto takes 3 ms to load. */
export function newUnique(): string {
  const random = openSync('/dev/urandom', 'r')
  try {
    const bytes = Buffer.alloc(16)
    readSync(random, bytes)
    return bytes.toString('hex')
  } finally {
    closeSync(random)
  }
}

/**
 * The commit to deploy. CI checks out a detached HEAD; elsewhere the branch itself is meant, whatever is checked out. With
 * --force it is what is named, or what is checked out.
 *
 * @throws Failure (usage) where there is none
 */
export async function findCommit({ $, settings, options, argument }: Session): Promise<string> {
  const named = options.force ? (argument ?? 'HEAD') : ''
  // One bash for both, because each process is one that every deployment waits for.
  const found = await $`
    name=${named || `refs/heads/${settings.BRANCH_NAME}`}
    [ -n ${named} ] || git symbolic-ref --quiet HEAD >/dev/null || [ $? != 1 ] || name=HEAD
    echo "$name"
    git rev-parse --verify --end-of-options "$name^{commit}"`.nothrow()
  const { stdout, stderr } = found
  const [name, commit] = stdout.split('\n')
  if (commit) return commit
  throw new Failure(exitCode.usage, `There is no commit to deploy: ${name} is not to be found here.`, {
    why: stderr,
    fix: `run deploy in a clone of the repository, and check ${named ? 'what you name: a commit, a branch or a tag of this clone' : 'BRANCH_NAME'}`,
  })
}

/** The tags at a commit that `git push --follow-tags` leaves out: those that are no objects of their own. */
export async function findLightweightTags({ $ }: Session, commit: string): Promise<string[]> {
  const format = '--format=%(objecttype) %(refname:short)'
  const { stdout } = await $`exec git for-each-ref --points-at ${commit} ${format} refs/tags`.nothrow()
  return [...stdout.matchAll(/^commit (.*)$/gm)].map(([, name = '']) => flatten(name))
}

/** As DEPLOY.sh does it, for people who work in this clone by hand: deploy itself does not push by this name. */
export async function setRemote({ $, settings: { STAGING_REMOTE_REPO } }: Session, name: string): Promise<void> {
  const { url } = STAGING_REMOTE_REPO
  const set = await $`git remote add ${name} ${url} 2>/dev/null ||
    git config --replace-all ${`remote.${name}.url`} ${url}`.nothrow()
  if (!set.ok) console.log(`The remote ${name} could not be set, which stops nothing:\n${quote(set.stderr)}`)
}

/** What a CI fetches by default, to save time: a clone that lacks the commits before. */
export async function isShallow({ $ }: Session): Promise<boolean> {
  return (await $`git rev-parse --is-shallow-repository`.nothrow()).stdout.trim() === 'true'
}

/**
 * The commit that an argument names. A shallow clone lacks most commits: an id goes as it is to the hook, which has them.
 *
 * @returns undefined where no name is given
 * @throws Failure (usage) for a name that means nothing here
 */
export async function findNamedCommit({ $ }: Session, name: string | undefined): Promise<string | undefined> {
  if (name === undefined) return undefined
  const found = await $`git rev-parse --quiet --verify --end-of-options ${`${name}^{commit}`}`.nothrow()
  if (found.ok) return found.stdout.trim()
  if (isPartOfId(name.toLowerCase())) return name.toLowerCase()
  throw new Failure(exitCode.usage, `${name} is not a commit of this repository.`, {
    fix: 'deploy history lists what was live',
  })
}
