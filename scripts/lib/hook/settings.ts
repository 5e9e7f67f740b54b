import { existsSync, realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { readSettings, seconds } from '../shared/settings.ts'

const absolutePath = (path: string) => {
  if (!isAbsolute(path)) throw new Error('is not an absolute path')
  return resolve(path)
}
const plainPath = (path: string) => {
  if (/^~|\$/.test(path)) throw new Error('has ~ or $ in it, which no shell replaces here')
  return path
}
const pathspecs = (text: string): readonly string[] => text.split(/\s+/).filter(Boolean)

const hookSettings = {
  BRANCH_NAME: { means: 'the one branch that deploys', default: 'main' },
  PATH_TO_GIT_WORK_TREE: {
    means: 'the folder where the code goes, such as /home/seita/flexmeasures',
    required: true,
    read: absolutePath,
  },
  PATH_TO_VENV: {
    means: 'the virtual environment whose bin comes first on PATH, such as /home/seita/venv',
    read: plainPath,
  },
  ACTIVATE_VENV: {
    means: 'a bash command that activates an environment, such as `source /home/seita/venv/bin/activate`',
  },
  PATH_TO_WSGI: { means: 'the file to touch, such as /home/seita/flexmeasures/wsgi.py', read: plainPath },
  INSTALL_DEPS: { means: 'a command in place of `make install-deps`', default: 'make install-deps', mayBeEmpty: true },
  UPGRADE_DB: { means: 'a command in place of `make upgrade-db`', default: 'make upgrade-db', mayBeEmpty: true },
  INSTALL_DEPS_IF_CHANGED: { means: 'git pathspecs, such as `requirements setup.py`', default: ' ', read: pathspecs },
  UPGRADE_DB_IF_CHANGED: {
    means: 'git pathspecs of the migrations, such as `flexmeasures/data/migrations`',
    default: ' ',
    read: pathspecs,
  },
  RESTART: { means: 'a command in place of touching PATH_TO_WSGI', mayBeEmpty: true },
  HEALTH_CHECK_URL: {
    means: 'what answers 2xx when the application serves, such as http://127.0.0.1:8000/ping',
    read: (url: string) => {
      if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) throw new Error('is not an http URL')
      return url
    },
  },
  HEALTH_CHECK_TIMEOUT: { means: 'seconds, 60 by default', default: '60', read: seconds },
  STEP_TIMEOUT: { means: 'seconds that a step may take, without limit by default', read: seconds },
} as const

/** What only `.env` may set. */
export const settingNames: ReadonlySet<string> = new Set(Object.keys(hookSettings))

export type HookSettings = ReturnType<typeof readHookSettings>

/**
 * The hook's settings, each finished: absolute paths, numbers, lists.
 *
 * @throws Failure (usage) that names all that is missing, malformed, or cannot be right
 */
export function readHookSettings(gitDir: string) {
  const values = readSettings(hookSettings, process.env, join(gitDir, '.env'), values => {
    const { PATH_TO_GIT_WORK_TREE: workTree, PATH_TO_VENV, PATH_TO_WSGI, RESTART } = values
    const problems: string[] = []
    if (workTree && lieInOneAnother(workTree, gitDir)) {
      problems.push(`PATH_TO_GIT_WORK_TREE (${workTree}) and the repository (${gitDir}) lie in one another`)
    }
    if (RESTART === undefined && PATH_TO_WSGI === undefined) {
      problems.push(`PATH_TO_WSGI is missing: ${hookSettings.PATH_TO_WSGI.means}; or set RESTART`)
    }
    // What lies in the work tree comes with the code, or is made by its install.
    const isElsewhere = (path: string) => workTree && !`${resolve(workTree, path)}/`.startsWith(`${workTree}/`)
    if (PATH_TO_VENV && isElsewhere(PATH_TO_VENV) && !isFolder(join(PATH_TO_VENV, 'bin'))) {
      problems.push(`PATH_TO_VENV (${PATH_TO_VENV}) is no virtual environment: it has no bin`)
    }
    if (RESTART === undefined && PATH_TO_WSGI && isElsewhere(PATH_TO_WSGI) && !existsSync(PATH_TO_WSGI)) {
      problems.push(`PATH_TO_WSGI (${PATH_TO_WSGI}) is not there: touching it would restart nothing`)
    }
    return problems
  })
  const { PATH_TO_GIT_WORK_TREE, PATH_TO_VENV, PATH_TO_WSGI } = values
  return {
    ...values,
    PATH_TO_VENV: PATH_TO_VENV && resolve(PATH_TO_GIT_WORK_TREE, PATH_TO_VENV),
    PATH_TO_WSGI: PATH_TO_WSGI && resolve(PATH_TO_GIT_WORK_TREE, PATH_TO_WSGI),
  }
}

export const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false

/** Whether one of two folders, which need not be there yet, is the other or lies in it. */
export function lieInOneAnother(one: string, other: string): boolean {
  const [a, b] = [`${realPathOf(one)}/`, `${realPathOf(other)}/`]
  return a.startsWith(b) || b.startsWith(a)
}

/** Where a path leads, or will once it is made. */
function realPathOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : join(realPathOf(dirname(path)), path.slice(dirname(path).length))
}
