import { existsSync, lstatSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { $ as zx } from 'zx/core'
import { isOnPath } from '../../shared/on-path.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import { parseEnvLines, readEnvLines } from '../../shared/settings.ts'
import { type HookEnvFile, lookAtEnvLines, readHookEnvFile } from '../env-file.ts'
import { environmentWith } from '../environment.ts'
import { thisUser } from '../folder-mode.ts'
import { canBeEntered, existingFolder, explainMissing, explainNotWritable, isFolder, isWritable } from '../place.ts'
import { lookAtHookSettings } from '../settings.ts'
import { hasContent, isForeignHook, isForeignUpdateHook } from './hook-files.ts'
import { isNewRepository } from './server-files.ts'
import { isLink } from './shared-hook.ts'

/** What is to be installed, and where. */
export interface Wanted {
  readonly repository: string
  /**
   * Makes the settings that are to be there, of those in a file that is there; undefined where these stay.
   *
   * @throws Failure where it cannot read or change them
   */
  readonly makeSettings: (env: string | undefined) => Buffer | undefined
  /** The branch that will be pushed, if that is known. */
  readonly branch?: string | undefined
}

/** A file of settings, byte for byte. @throws Failure (usage) where it cannot be read */
export function readSettingsFile(file: string): Buffer {
  readEnvLines(file)
  return readFileSync(file)
}

export type Installable = Awaited<ReturnType<typeof verifyInstallable>>

/**
 * git in a folder, without the repository that the caller's environment names. SHLVL keeps Debian's bash from reading
 * ~/.bashrc, which may print, where this runs over ssh.
 */
export function gitIn(cwd: string) {
  const { GIT_DIR: _, GIT_WORK_TREE: __, ...env } = process.env
  return zx({ cwd, env: { ...env, SHLVL: '1' }, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
}

/**
 * Checks everything that an installation needs, and says what there is to do.
 *
 * @param what what the Failure says first
 * @param fix what it says last
 * @throws Failure (usage) that names everything that is wrong
 */
export async function verifyInstallable(
  { repository, makeSettings, branch: expected }: Wanted,
  what = 'Nothing was installed, and nothing was changed.',
  fix = 'correct this, and install again',
) {
  const problems: string[] = []
  const addProblem = (what: string, fix: string) => problems.push(`${what} To do: ${fix}.`)

  const isNew = isNewRepository(repository)
  const env = join(repository, '.env')
  const hasSettings = canBeEntered(repository) && lstatSync(env, { throwIfNoEntry: false }) !== undefined
  let place = env
  let file: HookEnvFile | undefined
  let text: Buffer | undefined
  try {
    text = makeSettings(hasSettings ? env : undefined)
    if (text !== undefined) {
      place = 'the settings given'
      file = lookAtEnvLines(parseEnvLines(place, text.toString()))
    } else if (hasSettings) file = readHookEnvFile(env)
    else
      addProblem(
        'There are no settings for the hook.',
        `write them as .env.example shows, to ${env}, or from your machine: setup-ssh --hook SERVER_ENV`,
      )
  } catch (error) {
    const { message, why, fix } = error as Partial<Failure>
    addProblem(why ? `${message} ${why}.` : `${message}`, fix || 'write them as .env.example shows')
  }

  const { PATH = '' } = process.env
  // The git that receives a push has the PATH of this program, and the hook has that of .env, if it is set there.
  const missing = ['git', 'bash'].filter(program => !isOnPath(program, PATH))
  const hookEnv = environmentWith(file?.values ?? {})
  if (hookEnv.PATH !== PATH || file === undefined) {
    problems.push(...missing.map(program => explainMissing(program, PATH)))
  }
  const looked = lookAtHookSettings(repository, hookEnv)
  if (file) problems.push(...file.problems, ...looked.problems)

  const branch = hookEnv.BRANCH_NAME || 'main'
  if (expected !== undefined && expected !== branch) {
    addProblem(`${branch} is the branch that is deployed here, and not ${expected}.`, `set BRANCH_NAME in ${place}`)
  }
  if (isNew) {
    const folder = existingFolder(repository)
    if (!isWritable(folder))
      addProblem(`${repository} cannot be made: ${explainNotWritable(folder)}.`, 'make it, for the user who pushes')
  }
  const mayLook = !isNew && missing.length === 0
  const hooksPath = mayLook ? await checkRepository(repository, addProblem) : undefined

  if (problems.length > 0) {
    throw new Failure(exitCode.usage, what, { why: problems.join('\n'), fix })
  }
  return {
    repository,
    isNew,
    settings: text,
    branch,
    workTree: hookEnv.PATH_TO_GIT_WORK_TREE ?? '',
    accept: looked.settings.ACCEPT,
    hookSettings: looked.settings,
    hooksPath,
    lacksHealthCheck: hookEnv.HEALTH_CHECK_URL === undefined,
  }
}

/** @returns the repository's own core.hooksPath, where that leads git away from the hooks there */
async function checkRepository(
  repository: string,
  addProblem: (what: string, fix: string) => void,
): Promise<string | undefined> {
  if (!canBeEntered(repository)) {
    addProblem(`${repository} is no folder that ${thisUser()} can enter.`, 'take another path, or move it away')
    return undefined
  }
  const git = gitIn(repository)({ nothrow: true })
  // From inside, so that git checks the owner, too, as it does at a push.
  const found = await git`git rev-parse --is-bare-repository --git-dir --git-path hooks`
  const [isBare, gitDir, hooksFolder] = found.stdout.split('\n')
  if (isBare !== 'true' || gitDir !== '.') {
    const why = found.ok ? '' : `: ${found.stderr.trim()}`
    addProblem(
      `${repository} is no bare repository that git lets ${thisUser()} use${why}.`,
      'take another path, or give it to the user who pushes',
    )
    return undefined
  }
  const isElsewhere = hooksFolder !== 'hooks'
  const own = isElsewhere ? (await git`git config --file config --get-all core.hooksPath`).stdout : ''
  if (isElsewhere && (await git`git config --get-all core.hooksPath`).stdout !== own) {
    addProblem(`git looks for hooks in ${hooksFolder}.`, 'unset core.hooksPath for the user')
  }
  for (const name of ['.', 'hooks', 'objects', 'refs']) {
    const folder = join(repository, name)
    if (existsSync(folder) && !isWritable(folder))
      addProblem(`${explainNotWritable(folder)}.`, 'give it to the user who pushes')
  }
  const hook = join(repository, 'hooks/post-receive')
  const update = join(repository, 'hooks/update')
  for (const file of [hook, update, join(repository, '.env'), join(repository, '.env.before')]) {
    if (isFolder(file)) addProblem(`${file} is a folder.`, 'move it away')
  }
  // If both names are of the same file, or it is a copy of what a link leads to, an installation was killed here.
  if (isForeignHook(hook) && isTaken(`${hook}.before`, hook)) {
    addProblem(`${hook} is another hook, and ${basename(hook)}.before is there already.`, 'move one of the two away')
  }
  if (isForeignUpdateHook(update) && isTaken(`${update}.local`, update)) {
    addProblem(
      `${update} is another update hook, and update.local is there too.`,
      'make one of the two, as update.local',
    )
  }
  return own.trim() || undefined
}

function isTaken(name: string, file: string): boolean {
  const taken = lstatSync(name, { throwIfNoEntry: false })
  if (taken === undefined || taken.ino === lstatSync(file).ino) return false
  return !(isLink(file) && taken.isFile() && hasContent(file, readFileSync(name)))
}
