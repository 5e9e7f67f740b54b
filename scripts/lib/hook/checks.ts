import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { $ as zx } from 'zx/core'
import { type Check, endOfChecks, formatCheck } from '../protocol/checks.ts'
import { describe } from '../shared/program.ts'
import { findForeignFilesIn } from './foreign-files.ts'
import { Journal } from './journal.ts'
import { logFolder } from './log.ts'
import { go } from './processes.ts'
import type { Relay } from './relay.ts'
import { Releases } from './releases.ts'
import {
  askForHealthCheck,
  type HookSettings,
  inFolder,
  lockedFolder,
  readHookSettings,
  releasesFolder,
} from './settings.ts'
import { activate } from './steps-shell.ts'

/** Says what a deployment would find here, and deploys nothing. */
export async function reportChecks(gitDir: string, relay: Relay): Promise<void> {
  for await (const check of checkServer(gitDir)) relay.say(formatCheck(check))
  relay.say(endOfChecks)
}

/** What a deployment needs on the server, in its order. Changes nothing, and holds no lock. */
async function* checkServer(gitDir: string): AsyncGenerator<Check> {
  const ownFolder = join(gitDir, 'pushlive')
  let settings: HookSettings
  try {
    settings = readHookSettings(gitDir)
  } catch (error) {
    yield { what: 'settings of the hook', isOk: false, found: describe(error) }
    return
  }
  const { PATH_TO_GIT_WORK_TREE, RELEASES, ACTIVATE_VENV, RESTART } = settings
  const serving = RELEASES === 1 ? PATH_TO_GIT_WORK_TREE : new Releases(settings, gitDir).serving()?.path
  const { PATH_TO_VENV, PATH_TO_WSGI } = inFolder(settings, serving ?? PATH_TO_GIT_WORK_TREE)
  const unasked = process.env.HEALTH_CHECK_URL === undefined ? `; ${askForHealthCheck}` : ''
  yield { what: 'settings of the hook', isOk: true, found: join(gitDir, '.env') + unasked }
  yield checkProtection(gitDir)
  yield checkPath('log folder', logFolder(gitDir), verifyCanBeMade)
  yield await checkLock([ownFolder, lockedFolder(settings)], new Journal(join(ownFolder, 'journal')))
  yield checkPath('work tree', PATH_TO_GIT_WORK_TREE, path => {
    if (statSync(join(path, '.git'), { throwIfNoEntry: false })?.isDirectory()) {
      throw new Error(`${path} is a repository of its own`)
    }
    verifyCanBeMade(path)
  })
  if (RELEASES > 1) {
    yield checkPath('releases', dirname(PATH_TO_GIT_WORK_TREE), verifyCanBeMade)
    for (const found of findForeignFilesIn(releasesFolder(PATH_TO_GIT_WORK_TREE))) {
      yield { what: 'files of the releases', isOk: false, found }
    }
  }
  // With releases, each has its own.
  if (PATH_TO_VENV && RELEASES === 1) yield checkPath('virtual environment', join(PATH_TO_VENV, 'bin'), verifyFolder)
  if (ACTIVATE_VENV) yield await checkActivation(ACTIVATE_VENV, settings)
  if (RESTART === undefined && PATH_TO_WSGI) {
    yield checkPath('WSGI file', PATH_TO_WSGI, path => verifyCanBeTouched(path, PATH_TO_GIT_WORK_TREE))
  }
}

/** Without hooks/update everything works, but a user who may push may push anything. */
function checkProtection(gitDir: string): Check {
  const what = 'protection'
  const hook = join(gitDir, 'hooks/update')
  const isThere = existsSync(hook) && (statSync(hook).mode & 0o100) !== 0
  const found = isThere
    ? 'hooks/update lets in the branch forward, new tags and asks, and nothing else'
    : 'none: hooks/update is not there, so a user who may push can move tags and push other branches, too; `post-receive install` puts it there'
  return { what, isOk: true, found }
}

function checkPath(what: string, path: string, verify: (path: string) => void): Check {
  try {
    verify(path)
    return { what, isOk: true, found: path }
  } catch (error) {
    return { what, isOk: false, found: (error as Error).message }
  }
}

function verifyFolder(path: string): void {
  if (!statSync(path).isDirectory()) throw new Error(`${path} is no folder`)
}

/** A folder has to be writable; for one that is not there yet, the folder where it would be made. */
function verifyCanBeMade(path: string): void {
  let folder = path
  while (!existsSync(folder)) folder = dirname(folder)
  verifyFolder(folder)
  accessSync(folder, constants.W_OK | constants.X_OK)
}

function verifyCanBeTouched(file: string, workTree: string): void {
  // What is in the work tree comes with the code.
  if (existsSync(file) || !file.startsWith(`${workTree}/`)) accessSync(file, constants.W_OK)
}

async function checkLock(folders: readonly string[], journal: Journal): Promise<Check> {
  const what = 'lock'
  for (const folder of folders.filter(folder => existsSync(folder))) {
    const quietly = zx({ nothrow: true, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const { exitCode, stderr } = await quietly`flock --nonblock --conflict-exit-code 75 ${folder} true`
    if (exitCode === 75) {
      const running = journal.read()
      const whose = running && running.outcome === undefined ? `the deployment of ${running.commit}` : 'a deployment'
      return { what, isOk: true, found: `${whose} has it now, and the next one would wait` }
    }
    if (exitCode !== 0) return { what, isOk: false, found: `${folder} cannot be locked: ${stderr}` }
  }
  return { what, isOk: true, found: 'it is free' }
}

async function checkActivation(
  command: string,
  { PATH_TO_GIT_WORK_TREE: workTree, STEP_TIMEOUT: timeout = 60 }: HookSettings,
): Promise<Check> {
  const what = 'ACTIVATE_VENV'
  if (!existsSync(workTree)) return { what, isOk: true, found: 'not tried before there is a work tree' }
  try {
    await activate(command, workTree, process.env, (text, process) => go(process, { text, timeout }))
    return { what, isOk: true, found: command }
  } catch (error) {
    return { what, isOk: false, found: describe(error) }
  }
}
