import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { type Check, endOfChecks, formatCheck } from '../protocol/checks.ts'
import { describe } from '../shared/program.ts'
import { checkCommands } from './commands.ts'
import type { Context } from './context.ts'
import { findSources } from './default-commands.ts'
import { readHookEnvFile } from './env-file.ts'
import { findForeignFilesIn } from './foreign-files.ts'
import { checkAddress } from './health.ts'
import { hasContent, isForeignUpdateHook, updateHook } from './install/hook-files.ts'
import { Journal } from './journal.ts'
import { logFolder } from './log.ts'
import { go } from './processes.ts'
import type { Relay } from './relay.ts'
import { Releases } from './releases.ts'
import { Repository } from './repository.ts'
import { checkRoom } from './room.ts'
import {
  askForHealthCheck,
  type HookSettings,
  inFolder,
  lockedFolder,
  lookAtHookSettings,
  releasesFolder,
} from './settings.ts'
import { openSharedPaths } from './shared-paths.ts'
import { activate } from './steps-shell.ts'

/** Says what a deployment of a commit would find here, and deploys nothing. */
export async function reportChecks(gitDir: string, commit: string, relay: Relay): Promise<void> {
  for await (const check of checkServer(gitDir, commit)) relay.say(formatCheck(check))
  relay.say(endOfChecks)
}

/** What a deployment needs on the server, in its order. Changes nothing, and holds no lock. */
async function* checkServer(gitDir: string, commit: string): AsyncGenerator<Check> {
  const ownFolder = join(gitDir, 'pushlive')
  const what = 'settings of the hook'
  let problems: readonly string[]
  try {
    ;({ problems } = readHookEnvFile())
  } catch (error) {
    yield { what, isOk: false, found: describe(error) }
    return
  }
  const { settings, problems: others } = lookAtHookSettings(gitDir, process.env)
  const wrong = [...problems, ...others]
  const fix = `correct it in ${join(gitDir, '.env')}`
  for (const found of wrong) yield { what, isOk: false, found, fix: found.includes(' To do: ') ? undefined : fix }
  if (wrong.length > 0) return
  const { PATH_TO_GIT_WORK_TREE, RELEASES, RESTART, HEALTH_CHECK_URL } = settings
  const releases = new Releases(settings, gitDir)
  const serving = RELEASES === 1 ? PATH_TO_GIT_WORK_TREE : releases.serving()?.path
  const { PATH_TO_VENV, PATH_TO_WSGI } = inFolder(settings, serving ?? PATH_TO_GIT_WORK_TREE)
  yield { what, isOk: true, found: join(gitDir, '.env') }
  if (process.env.HEALTH_CHECK_URL === undefined) {
    yield { what: 'HEALTH_CHECK_URL', isOk: true, isNote: true, found: 'it is not set', fix: askForHealthCheck }
  }
  yield await checkProtection(gitDir, settings)
  yield { what: 'log folder', isOk: true, found: logFolder(gitDir) }
  yield await checkLock([ownFolder, lockedFolder(settings)], new Journal(join(ownFolder, 'journal')))
  yield { what: 'work tree', isOk: true, found: PATH_TO_GIT_WORK_TREE }
  if (RELEASES > 1) {
    yield { what: 'releases', isOk: true, found: releasesFolder(PATH_TO_GIT_WORK_TREE) }
    for (const found of findForeignFilesIn(releasesFolder(PATH_TO_GIT_WORK_TREE))) {
      yield { what: 'files of the releases', isOk: false, found }
    }
  }
  // With releases, each has its own.
  if (PATH_TO_VENV && RELEASES === 1) {
    const bin = join(PATH_TO_VENV, 'bin')
    yield { what: 'virtual environment', isOk: true, found: existsSync(bin) ? bin : `${bin} comes with the install` }
  }
  const repository = new Repository(gitDir)
  // An older deploy does not send it.
  const isKnown = (await repository.findCommit(commit)) !== undefined
  yield checkRoom(settings, releases, isKnown ? await repository.size(commit) : undefined)
  if (RELEASES > 1) yield* checkSharedPaths(isKnown ? commit : undefined, { settings, releases, repository })
  const refusal = isKnown ? await releases.serving()?.workTree.findRefusal(commit) : undefined
  if (refusal) yield { what: 'checkout', isOk: false, found: describe(refusal) }
  const env = yield* checkActivation(settings)
  const sources = isKnown ? await findSources(commit, { settings, releases, repository }) : undefined
  yield* checkCommands({ ...settings, PATH_TO_VENV }, env, sources)
  if (RESTART === undefined && PATH_TO_WSGI) yield { what: 'WSGI file', isOk: true, found: PATH_TO_WSGI }
  if (HEALTH_CHECK_URL) yield await checkAddress(HEALTH_CHECK_URL)
}

async function* checkSharedPaths(
  commit: string | undefined,
  { settings, releases, repository }: Pick<Context, 'settings' | 'releases' | 'repository'>,
): AsyncGenerator<Check> {
  // Nothing is moved, and nothing is logged.
  const deployment = { entry: { started: Date.now() }, log: { say: () => {} } }
  try {
    const shared = openSharedPaths({ settings, releases, repository, deployment })
    await shared.verify(commit, repository, releases.serving()?.path)
  } catch (error) {
    yield { what: 'SHARED_PATHS', isOk: false, found: describe(error) }
  }
}

/** Without hooks/update everything works, but a user who may push may push anything. */
async function checkProtection(gitDir: string, { ACCEPT, BRANCH_NAME }: HookSettings): Promise<Check> {
  const what = 'protection'
  const fix = `post-receive install ${gitDir}`
  const hook = join(gitDir, 'hooks/update')
  const isThere = existsSync(hook) && (statSync(hook).mode & 0o100) !== 0
  const asking = zx({ nothrow: true, quiet: true, cwd: gitDir, stdio: ['ignore', 'pipe', 'pipe'] })
  const denying = await asking`git config --type=bool receive.denyNonFastForwards`
  const takesForce = denying.stdout.trim() !== 'true'
  const force = `deploy --force is ${takesForce ? 'taken' : 'refused'}`
  if (takesForce !== (ACCEPT === 'any') && (isThere || !takesForce)) {
    return { what, isOk: false, found: `ACCEPT is ${ACCEPT}, and ${force} all the same`, fix }
  }
  if (!isThere) {
    const found = `hooks/update is not there, so a user who may push can move tags and push other branches, too, and ${force}`
    return { what, isOk: true, isNote: true, found, fix }
  }
  const isNow = isForeignUpdateHook(hook) || hasContent(hook, Buffer.from(updateHook(BRANCH_NAME)))
  if (!isNow) {
    return { what, isOk: true, isNote: true, found: 'hooks/update is of another version or branch than the hook', fix }
  }
  const forward = takesForce ? '' : ' forward'
  const found = `hooks/update lets in the branch${forward}, new tags and asks, and nothing else; ${force} (ACCEPT is ${ACCEPT})`
  return { what, isOk: true, found }
}

async function checkLock(folders: readonly string[], journal: Journal): Promise<Check> {
  const what = 'lock'
  for (const folder of folders.filter(folder => existsSync(folder))) {
    const quietly = zx({ nothrow: true, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const { exitCode, stderr } = await quietly`flock --nonblock --conflict-exit-code 75 ${folder} true`
    if (exitCode === 75) {
      const running = journal.read()
      const whose = running && running.outcome === undefined ? `the deployment of ${running.commit}` : 'a deployment'
      return { what, isOk: true, isNote: true, found: `${whose} has it now, and the next one would wait` }
    }
    if (exitCode !== 0) return { what, isOk: false, found: `${folder} cannot be locked: ${stderr}` }
  }
  return { what, isOk: true, found: 'it is free' }
}

/** @returns the environment that the steps would find; undefined where that is not known */
async function* checkActivation({
  ACTIVATE_VENV: command,
  PATH_TO_GIT_WORK_TREE: workTree,
  STEP_TIMEOUT: timeout = 60,
}: HookSettings): AsyncGenerator<Check, NodeJS.ProcessEnv | undefined> {
  const what = 'ACTIVATE_VENV'
  if (command === undefined) return process.env
  if (!existsSync(workTree)) {
    yield { what, isOk: true, isNote: true, found: 'not tried before there is a work tree' }
    return undefined
  }
  try {
    const env = await activate(command, workTree, process.env, (text, process) => go(process, { text, timeout }))
    yield { what, isOk: true, found: command }
    return env
  } catch (error) {
    yield { what, isOk: false, found: describe(error) }
    return undefined
  }
}
