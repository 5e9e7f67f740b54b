import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { deployRefs } from '../../protocol/record.ts'
import { readArguments } from '../../shared/arguments.ts'
import { flatten } from '../../shared/foreign-text.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import { replaceFile } from '../../shared/replace-file.ts'
import { changeConfiguration } from '../configuration.ts'
import { findUnset } from '../default-commands.ts'
import { findForeignFilesIn } from '../foreign-files.ts'
import { Releases } from '../releases.ts'
import { Repository } from '../repository.ts'
import { askForHealthCheck, type HookSettings, releasesFolder, sharedFolder } from '../settings.ts'
import { gitIn, type Installable, readSettingsFile, verifyInstallable } from './checks.ts'
import { removeDamaged } from './damage.ts'
import { mergeEnv } from './edit-env.ts'
import {
  hasContent,
  isForeignHook,
  isForeignUpdateHook,
  isOfHookTool,
  isThisProgram,
  placeProgram,
  updateHook,
} from './hook-files.ts'
import { placeServerFiles } from './server-files.ts'
import { findSharedHook, isLink, leadsTo, shareProgram } from './shared-hook.ts'

const help = `Usage: post-receive install REPOSITORY [--settings FILE [--keep-settings | --merge]] [--files FOLDER]
                            [--branch NAME]
       post-receive settings REPOSITORY set | unset | get

Makes REPOSITORY, on this machine, a bare repository that deploys what is pushed to it: creates it if it is not there,
copies the settings and this program into it, and restricts what can be pushed. It checks everything before it changes
anything, can run any number of times, and replaces the hook in one step, even while the old one deploys. Exits with
  0  the hook is installed
  2  something is wrong: it names everything that is, and has changed nothing

  --settings FILE   the hook's settings, in place of those in REPOSITORY/.env, which are kept in .env.before
  --keep-settings   keep those in REPOSITORY/.env, if it is there
  --merge           change only what has changed in FILE since it was given before: what was set on the server stays
  --files FOLDER    what belongs on the server beside the hook, such as units: copied to REPOSITORY/server, as a whole
  --branch NAME     the branch that will be pushed: refuses if the settings name another
  --version
  -h, --help`

/** Makes a repository on this machine one that deploys. Checks everything before it changes anything. */
export async function install(args: readonly string[]): Promise<number> {
  const given = readInstallArguments(args)
  if (given === undefined) return 0
  const merged: Merged = { kept: [], overruled: [] }
  const { repository, settingsFile, branch: expected, files } = given
  const makeSettings = (env: string | undefined) => chooseSettings(given, env, merged)
  // First, because root may have to install git.
  const hasNewFiles = files !== undefined && (await placeServerFiles(repository, files))
  const wanted = { repository, makeSettings, branch: expected }
  const found = await verifyInstallable(
    wanted,
    hasNewFiles ? 'Nothing else was installed, and nothing else was changed.' : undefined,
  )
  const { isNew, settings, branch, workTree, hookSettings, lacksHealthCheck } = found
  const env = join(repository, '.env')
  const hook = join(repository, 'hooks/post-receive')

  console.log(`${isNew ? 'CREATING' : 'KEEPING'} THE REPOSITORY (${repository}) ...`)
  if (isNew) await createRepository(repository, branch)
  mkdirSync(dirname(hook), { recursive: true })

  if (settings === undefined || hasContent(env, settings)) {
    console.log(`KEEPING THE SETTINGS (${env}) ...`)
    // A file of another user, such as root's for a group, keeps its mode.
    if (statSync(env).uid === process.getuid?.()) chmodSync(env, 0o600)
  } else {
    console.log(`COPYING THE SETTINGS (${env}) ...`)
    await replaceSettings(env, settings)
  }
  if (merged.kept.length > 0) console.log(`  set on the server, and kept: ${merged.kept.join(', ')}`)
  if (merged.overruled.length > 0) {
    console.log(`  set on the server, but changed in the file, too, which counts: ${merged.overruled.join(', ')}`)
  }
  if (settings !== undefined && settingsFile !== undefined) {
    await replaceFile(givenFile(repository), readSettingsFile(settingsFile))
  }

  await placeHook(repository, hook)

  await takePushes(found)
  for (const found of findForeignFilesIn(releasesFolder(workTree))) console.log(`  ${found}`)
  const unshared = findUnshared(hookSettings)
  if (unshared.length > 0) {
    console.log(
      `TO DO: SHARED_PATHS names ${unshared.join(', ')}: unless the application makes it, put it into ${sharedFolder(workTree)}.`,
    )
  }
  if (lacksHealthCheck) console.log(`TO DO in ${env}: HEALTH_CHECK_URL is not set: ${askForHealthCheck}.`)
  for (const line of await explainDefaults(repository, hookSettings)) console.log(`TO DO in ${env}: ${line}`)
  console.log(`A push of ${branch} is deployed to ${workTree} now.`)
  return 0
}

/** Replaces the settings in one step, and keeps the old ones beside them. */
export async function replaceSettings(env: string, settings: Uint8Array): Promise<void> {
  if (existsSync(env)) {
    await replaceFile(`${env}.before`, readFileSync(env))
    console.log(`  the old ones are in ${env}.before`)
  }
  await replaceFile(env, settings)
}

/** The file as it was given last, beside the settings that count now. */
const givenFile = (repository: string) => join(repository, '.env.given')

/** The names of the settings that were set on the server. */
interface Merged {
  kept: readonly string[]
  overruled: readonly string[]
}

/** @param merged is told what was set on the server */
function chooseSettings(
  { repository, settingsFile, keepSettings, merges }: InstallArguments,
  env: string | undefined,
  merged: Merged,
): Buffer | undefined {
  if (settingsFile === undefined || (keepSettings && env !== undefined)) return undefined
  const file = readSettingsFile(settingsFile)
  if (!merges || env === undefined) return file
  const given = givenFile(repository)
  const before = existsSync(given) ? readFileSync(given) : undefined
  const server = readSettingsFile(env)
  // Also with comments of its own.
  if (before?.equals(file)) return server
  const { text, ...others } = mergeEnv(`${file}`, `${server}`, before?.toString(), env)
  Object.assign(merged, others)
  return others.kept.length === 0 ? file : Buffer.from(text)
}

/**
 * Lets in what may be pushed, and nothing else; removes what would be in the way.
 *
 * @param installed what verifyInstallable has found
 */
export async function takePushes({
  repository,
  branch,
  accept,
  hooksPath,
}: Pick<Installable, 'repository' | 'branch' | 'accept' | 'hooksPath'>): Promise<void> {
  const git = gitIn(repository)
  const how = accept === 'any' ? 'with deploy --force any commit' : 'only forward'
  console.log(`PROTECTING THE REPOSITORY (only ${branch} can be pushed, ${how}, and new tags) ...`)
  await protect(repository, branch, accept)
  await removeForeignHooks(repository, hooksPath)
  for (const note of await removeDamaged(repository, branch)) console.log(`  ${note}`)
  // An empty blob, by which deploy recognises pushlive's hook before the first deployment has written other refs.
  const { stdout: empty } = await git`git hash-object -w --stdin`
  const { hook: hookRef } = deployRefs(branch)
  // Only an installation writes this ref: the lock is from one that was killed.
  rmSync(join(repository, `${hookRef}.lock`), { force: true })
  await git`git update-ref ${hookRef} ${empty.trim()}`
}

/** Makes the hook a link to the file that all repositories of the login share, or a copy where that cannot be. */
async function placeHook(repository: string, hook: string): Promise<void> {
  const shared = findSharedHook(repository, hook)
  // A link that leads elsewhere is the administrator's.
  const isInPlace = isLink(hook) ? shared.why === undefined || !leadsTo(hook, shared.file) : shared.why !== undefined
  if (isThisProgram(hook) && isInPlace) return console.log(`KEEPING THE HOOK (${hook}) ...`)
  if (isLink(hook) && !existsSync(hook))
    console.log(`  ${hook} was a link to ${readlinkSync(hook)}, which is not there`)
  if (isForeignHook(hook)) {
    keepAs(`${hook}.before`, hook)
    console.log(`  another hook was there: it is in ${hook}.before, and git no longer runs it`)
  }
  const why = shared.why ?? (await shareProgram(shared.file, hook))
  if (why === undefined) return
  if (isThisProgram(hook) && !isLink(hook)) return console.log(`KEEPING THE HOOK (${hook}) ...`)
  console.log(`COPYING THE HOOK (${hook}) ...`)
  console.log(`  a copy of its own: ${why}`)
  await placeProgram(hook)
}

/** Commands that nobody has set: what lacks in the branch, as far as it is there, or what each branch has to have. */
async function explainDefaults(repository: string, settings: HookSettings): Promise<string[]> {
  const { unset, BRANCH_NAME } = settings
  if (unset.length === 0) return []
  // As in gitIn.
  process.env.SHLVL = '1'
  const known = new Repository(repository)
  const tip = await known.findCommit(`refs/heads/${BRANCH_NAME}`)
  if (tip === undefined) {
    const commands = unset.map(name => `\`${settings[name]}\``)
    const are = unset.length > 1 ? 'are' : 'is'
    return [`${unset.join(' and ')} ${are} not set: the Makefile has to have what ${commands.join(' and ')} asks for.`]
  }
  const lack = await findUnset(unset, tip, {
    settings,
    repository: known,
    releases: new Releases(settings, repository),
  })
  return lack ? [`${lack.what} To do: ${lack.fix}.`] : []
}

/** The shared paths that are nowhere yet, and that no deployment makes: a name without a dot is taken for a folder's. */
function findUnshared({ RELEASES, SHARED_PATHS, PATH_TO_GIT_WORK_TREE: workTree }: HookSettings): readonly string[] {
  if (RELEASES === 1) return []
  const places = [workTree, sharedFolder(workTree)]
  return SHARED_PATHS.filter(
    path => basename(path).includes('.') && !places.some(place => existsSync(join(place, path))),
  )
}

/** A kill leaves nothing that is half a repository, unless its folder was made by somebody else. */
async function createRepository(repository: string, branch: string): Promise<void> {
  // Not --initial-branch, which is new in git 2.28.
  const init = async (path: string) => {
    await gitIn('/')`git -c ${`init.defaultBranch=${branch}`} init --quiet --bare ${path}`
  }
  // The owner and the mode of a folder that is there stay.
  if (existsSync(repository)) return init(repository)
  mkdirSync(dirname(repository), { recursive: true })
  await replaceFile(repository, init, 0o777 & ~process.umask())
}

/** Restricts pushes: `hooks/update` judges each ref by its name, and git's own settings judge the commits. */
async function protect(repository: string, branch: string, accept: HookSettings['ACCEPT']): Promise<void> {
  const update = join(repository, 'hooks/update')
  if (isForeignUpdateHook(update)) {
    keepAs(`${update}.local`, update)
    console.log(`  another update hook was there: it is in ${update}.local, and runs after this one`)
  }
  await replaceFile(update, updateHook(branch), 0o755)

  const settings = [
    ['receive.denyNonFastForwards', accept === 'forward' ? 'true' : 'false'],
    ['receive.denyDeletes', 'true'],
    // The hook detaches the work tree's HEAD. If someone checks the branch out there, pushes are still deployed.
    ['receive.denyCurrentBranch', 'ignore'],
    // By default git does not sync small objects: after a power cut the branch may name an empty one, and git refuses
    // every push then. git before 2.36 does not know this setting.
    ['core.fsync', 'committed'],
  ] as const
  const git = gitIn(repository)({ nothrow: true })
  await changeConfiguration(repository, async file => {
    // 0.1.0 hid everything but single refs.
    const old = '^(refs|!refs/(heads|tags|deploy-[a-z]+)(/.*)?)$'
    await git`git config --file ${file} --unset-all receive.hideRefs ${old}`
    const results = [await git`git config --file ${file} --replace-all receive.hideRefs refs/deploy ${'^refs/deploy$'}`]
    for (const [name, value] of settings)
      results.push(await git`git config --file ${file} --replace-all ${name} ${value}`)
    const failed = results.find(({ ok }) => !ok)
    if (failed) throw new Failure(exitCode.usage, `git cannot write ${repository}/config.`, { why: failed.stderr })
  })
}

/** Before steps had a git of their own, an installer of hooks such as husky turned off the hooks here. */
async function removeForeignHooks(repository: string, hooksPath: string | undefined): Promise<void> {
  const folder = join(repository, 'hooks')
  for (const name of readdirSync(folder).filter(name => isOfHookTool(folder, name))) {
    renameSync(join(folder, name), join(folder, `${name}.before`))
    console.log(`  hooks/${flatten(name)} was for clones: it is in ${flatten(name)}.before, and git no longer runs it`)
  }
  if (hooksPath === undefined) return
  await changeConfiguration(repository, async file => {
    await gitIn(repository)`git config --file ${file} --unset-all core.hooksPath`
  })
  console.log(`  core.hooksPath was ${flatten(hooksPath)}, so git ran none of the hooks here: it is unset`)
}

interface InstallArguments {
  readonly repository: string
  readonly settingsFile: string | undefined
  readonly keepSettings: boolean
  readonly merges: boolean
  readonly files: string | undefined
  readonly branch: string | undefined
}

function readInstallArguments(args: readonly string[]): InstallArguments | undefined {
  const options = {
    settings: { type: 'string' },
    'keep-settings': { type: 'boolean' },
    merge: { type: 'boolean' },
    files: { type: 'string' },
    branch: { type: 'string' },
  } as const
  const read = readArguments('post-receive install', help, options, [...args])
  if (read === undefined) return undefined
  const [repository, ...others] = read.positionals
  if (!repository || others.length > 0) {
    throw new Failure(exitCode.usage, 'install takes one repository.', { fix: help })
  }
  return {
    repository: findRepository(repository),
    settingsFile: read.options.settings,
    keepSettings: read.options['keep-settings'] ?? false,
    merges: read.options.merge ?? false,
    files: read.options.files,
    branch: read.options.branch,
  }
}

/** The path as git-receive-pack finds it at a push, which runs in the same folder, with the same HOME. */
export function findRepository(path: string): string {
  if (path.startsWith('~/')) return join(homedir(), path.slice(2))
  if (path.startsWith('~')) {
    throw new Failure(exitCode.usage, `${path} names a user's home folder.`, { fix: 'write the whole path' })
  }
  return resolve(path)
}

/** Gives a file a second name, so that the first one is never missing. What a link led to may be replaced. */
function keepAs(kept: string, file: string): void {
  // If it is there, it is the same file: an installation was killed here.
  if (existsSync(kept)) return
  if (isLink(file)) copyFileSync(file, kept, constants.COPYFILE_EXCL)
  else linkSync(file, kept)
}
