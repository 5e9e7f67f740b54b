import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type HookSettings, readHookSettings } from './hook-settings.ts'
import { Journal } from './journal.ts'
import { describe } from './program.ts'
import { activate } from './step.ts'
import type { Check } from './verdict.ts'

/** What a deployment will meet on the server, in its order. Changes nothing, and takes no lock for longer than a look. */
export async function* checkServer(gitDir: string): AsyncGenerator<Check> {
  const ownFolder = join(gitDir, 'pushlive')
  let settings: HookSettings
  try {
    settings = readHookSettings()
  } catch (error) {
    yield { what: 'settings of the hook', isWell: false, found: describe(error) }
    return
  }
  const { PATH_TO_GIT_WORK_TREE, PATH_TO_VENV, ACTIVATE_VENV, PATH_TO_WSGI = '', RESTART } = settings
  const wsgi = resolve(PATH_TO_GIT_WORK_TREE, PATH_TO_WSGI)
  yield { what: 'settings of the hook', isWell: true, found: join(gitDir, '.env') }
  yield look('log folder', join(ownFolder, 'log'), verifyCanBeMade)
  yield await checkLock([ownFolder, PATH_TO_GIT_WORK_TREE], new Journal(join(ownFolder, 'journal')))
  yield look('work tree', PATH_TO_GIT_WORK_TREE, path => {
    if (statSync(join(path, '.git'), { throwIfNoEntry: false })?.isDirectory()) {
      throw new Error(`${path} is a repository of its own`)
    }
    verifyCanBeMade(path)
  })
  if (PATH_TO_VENV)
    yield look('virtual environment', join(resolve(PATH_TO_GIT_WORK_TREE, PATH_TO_VENV), 'bin'), verifyFolder)
  if (ACTIVATE_VENV) yield await checkActivation(ACTIVATE_VENV, PATH_TO_GIT_WORK_TREE)
  if (RESTART === undefined) yield look('WSGI file', wsgi, path => verifyCanBeTouched(path, PATH_TO_GIT_WORK_TREE))
}

function look(what: string, path: string, verify: (path: string) => void): Check {
  try {
    verify(path)
    return { what, isWell: true, found: path }
  } catch (error) {
    return { what, isWell: false, found: (error as Error).message }
  }
}

function verifyFolder(path: string): void {
  if (!statSync(path).isDirectory()) throw new Error(`${path} is no folder`)
}

/** A folder that is there has to be writable, and for one that is not, the one where it would be made. */
function verifyCanBeMade(path: string): void {
  let folder = path
  while (!existsSync(folder)) folder = dirname(folder)
  verifyFolder(folder)
  accessSync(folder, constants.W_OK | constants.X_OK)
}

function verifyCanBeTouched(file: string, workTree: string): void {
  if (existsSync(file)) accessSync(file, constants.W_OK)
  // What is in the work tree comes with the code.
  else if (!file.startsWith(`${workTree}/`)) verifyCanBeMade(dirname(file))
}

async function checkLock(folders: readonly string[], journal: Journal): Promise<Check> {
  const { $ } = await import('zx/core')
  const what = 'lock'
  for (const folder of folders.filter(folder => existsSync(folder))) {
    const quietly = $({ nothrow: true, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const { exitCode, stderr } = await quietly`flock --nonblock --conflict-exit-code 75 ${folder} true`
    if (exitCode === 75) {
      const running = journal.read()
      const whose = running?.ended === undefined && running ? `the deployment of ${running.commit}` : 'a deployment'
      return { what, isWell: true, found: `${whose} has it now, and the next one would wait` }
    }
    if (exitCode !== 0) return { what, isWell: false, found: `${folder} cannot be locked: ${stderr}` }
  }
  return { what, isWell: true, found: 'it is free' }
}

async function checkActivation(command: string, workTree: string): Promise<Check> {
  const what = 'ACTIVATE_VENV'
  if (!existsSync(workTree)) return { what, isWell: true, found: 'not tried before there is a work tree' }
  try {
    await activate(command, workTree, process.env)
    return { what, isWell: true, found: command }
  } catch (error) {
    return { what, isWell: false, found: describe(error) }
  }
}
