import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { type Check, endOfChecks, formatCheck } from '../protocol/checks.ts'
import { describe } from '../shared/program.ts'
import { checkCommands } from './commands.ts'
import { readHookEnvFile } from './env-file.ts'
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
  lookAtHookSettings,
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
  for (const found of wrong) yield { what, isOk: false, found }
  if (wrong.length > 0) return
  const { PATH_TO_GIT_WORK_TREE, RELEASES, ACTIVATE_VENV, RESTART } = settings
  const serving = RELEASES === 1 ? PATH_TO_GIT_WORK_TREE : new Releases(settings, gitDir).serving()?.path
  const { PATH_TO_VENV, PATH_TO_WSGI } = inFolder(settings, serving ?? PATH_TO_GIT_WORK_TREE)
  const unasked = process.env.HEALTH_CHECK_URL === undefined ? `; ${askForHealthCheck}` : ''
  yield { what, isOk: true, found: join(gitDir, '.env') + unasked }
  yield checkProtection(gitDir)
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
  if (ACTIVATE_VENV) yield await checkActivation(ACTIVATE_VENV, settings)
  else yield* checkCommands({ ...settings, PATH_TO_VENV })
  if (RESTART === undefined && PATH_TO_WSGI) yield { what: 'WSGI file', isOk: true, found: PATH_TO_WSGI }
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
