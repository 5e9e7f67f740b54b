import { constants, existsSync, statSync } from 'node:fs'
import { isAbsolute, join, normalize, resolve } from 'node:path'
import { branchName, lookAtSettings, seconds, verifyRight } from '../shared/settings.ts'
import {
  explainNotWritable,
  findProblemsOfPath,
  findProblemsOfPlace,
  findProblemsOfRepository,
  isAllowed,
  isFolder,
  lieInOneAnother,
} from './place.ts'

const absolutePath = (path: string) => {
  if (!isAbsolute(path)) throw new Error(`is not an absolute path (${path})`)
  return resolve(path)
}
const plainPath = (path: string) => {
  if (/^~|\$/.test(path)) throw new Error('has ~ or $ in it, which no shell replaces here')
  return path
}
const wordsOf = (text: string): readonly string[] => text.split(/\s+/).filter(Boolean)
const numberOfReleases = (text: string) => {
  const number = Number(text)
  if (number === 2) throw new Error('is 2: a deployment that fails would overwrite what a rollback goes to')
  if (!/^\d{1,3}$/.test(text.trim()) || number === 0) throw new Error('is not 1, nor a number from 3 to 999')
  return number
}
const relativePaths = (text: string) => {
  const paths = [...new Set(wordsOf(text).map(path => normalize(path).replace(/\/$/, '')))]
  const odd = paths.find(path => /["'`,;]/.test(path))
  if (odd !== undefined) {
    throw new Error(`names ${odd}: is a quote missing? Paths stand between blanks, without quotes or commas`)
  }
  const wrong = paths.find(path => isAbsolute(path) || /^(\.?\.|\.git)?(\/|$)/.test(path))
  if (wrong !== undefined) throw new Error(`names ${wrong}, which is not a path inside of a release`)
  for (const path of paths) {
    const inside = paths.find(other => other.startsWith(`${path}/`))
    if (inside !== undefined) throw new Error(`names ${path}, and ${inside}, which lies in it: name one of the two`)
  }
  return paths
}

const hookSettings = {
  BRANCH_NAME: { means: 'the one branch that deploys, such as main', default: 'main', read: branchName },
  ACCEPT: {
    means: '`forward`, where the branch only grows, or `any`, where deploy --force puts any commit on it, for staging',
    default: 'forward',
    read: (text: string) => {
      const accepted = (['forward', 'any'] as const).find(each => each === text.trim())
      if (accepted === undefined) throw new Error('is neither forward nor any')
      return accepted
    },
  },
  PATH_TO_GIT_WORK_TREE: {
    means: 'the folder where the code goes, such as /home/seita/flexmeasures',
    required: true,
    read: absolutePath,
  },
  RELEASES: {
    means: 'how many releases are kept side by side, such as 3; 1 changes the folder that serves',
    default: '1',
    read: numberOfReleases,
  },
  SHARED_PATHS: {
    means: 'untracked paths that outlive releases, such as `instance .env media`',
    default: ' ',
    read: relativePaths,
  },
  KEEP_PATHS: {
    means: 'untracked paths that stay when a release folder is used again, such as `node_modules target`',
    default: ' ',
    read: relativePaths,
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
  BUILD: { means: 'a command after INSTALL_DEPS, which runs for each commit, such as `npm run build`' },
  UPGRADE_DB: { means: 'a command in place of `make upgrade-db`', default: 'make upgrade-db', mayBeEmpty: true },
  INSTALL_DEPS_IF_CHANGED: { means: 'git pathspecs, such as `requirements setup.py`', default: ' ', read: wordsOf },
  UPGRADE_DB_IF_CHANGED: {
    means: 'git pathspecs of the migrations, such as `flexmeasures/data/migrations`',
    default: ' ',
    read: wordsOf,
  },
  SMOKE_TEST: { means: 'a command in the new release before it serves', mayBeEmpty: true },
  DB_REVISION: { means: 'a command that prints where the database is, such as `flask db current`' },
  DOWNGRADE_DB: { means: 'a command such as `flask db downgrade "$DEPLOY_DB_REVISION"`' },
  VERIFY: { means: 'a command in the repository before anything else, such as `git verify-commit "$DEPLOY_COMMIT"`' },
  NOTIFY: { means: 'a command after the verdict, which $DEPLOY_OUTCOME tells' },
  RESTART: {
    means: 'the command that restarts the application, such as `sudo -n /usr/bin/systemctl reload-or-restart shop`',
    mayBeEmpty: true,
  },
  HEALTH_CHECK_URL: {
    means:
      'what answers 2xx when the application serves, such as http://127.0.0.1:8000/ping; empty if nothing is to be asked',
    mayBeEmpty: true,
    read: (text: string) => {
      if (text.trim() === '') return undefined
      const url = URL.parse(text)
      if (!url || !/^https?:$/.test(url.protocol)) throw new Error('is not an http URL')
      return url
    },
  },
  HEALTH_CHECK_TIMEOUT: { means: 'seconds, 60 by default', default: '60', read: seconds },
  STEP_TIMEOUT: { means: 'seconds that a command may take, without limit by default', read: seconds },
} as const

/** The commands that run a target of the commit's Makefile unless they are set. */
const byDefault = ['INSTALL_DEPS', 'UPGRADE_DB'] as const

/** For whoever installs the hook: the one setting that nothing can stand in for. */
export const askForHealthCheck = 'set it, so that a deployment is live only if the application answers, or set it empty'

/** Names that only `.env` may set. */
export const settingNames: ReadonlySet<string> = new Set(Object.keys(hookSettings))

export type HookSettings = ReturnType<typeof lookAtHookSettings>['settings']

/**
 * The hook's settings, each finished: absolute paths, numbers, lists.
 *
 * @param given problems that are known already
 * @throws Failure (usage) that names all that is missing, malformed, or cannot be right here
 */
export function readHookSettings(gitDir: string, given: readonly string[] = []): HookSettings {
  const { settings, problems } = lookAtHookSettings(gitDir, process.env)
  verifyRight([...given, ...problems], `in ${join(gitDir, '.env')}`)
  return settings
}

/**
 * Looks at the settings, and at the place where they are to hold. A push, `deploy check` and `post-receive install` all
 * ask this, so they agree. The settings are finished where there is no problem.
 *
 * @param env the hook's, with what `.env` sets
 */
export function lookAtHookSettings(gitDir: string, env: NodeJS.ProcessEnv) {
  const { values, problems } = lookAtSettings(hookSettings, env, values => {
    const { PATH_TO_GIT_WORK_TREE: workTree, PATH_TO_VENV, PATH_TO_WSGI, RESTART, RELEASES, DOWNGRADE_DB } = values
    const problems = [...findProblemsOfPath(env.PATH ?? ''), ...findProblemsOfRepository(gitDir)]
    const releases = workTree && RELEASES !== 1 ? releasesFolder(workTree) : undefined
    if (workTree && [workTree, releases ?? workTree].some(folder => lieInOneAnother(folder, gitDir))) {
      problems.push(`PATH_TO_GIT_WORK_TREE (${workTree}) and the repository (${gitDir}) lie in one another`)
    } else if (workTree) problems.push(...findProblemsOfPlace(workTree, releases, gitDir))
    if (DOWNGRADE_DB && values.DB_REVISION === undefined) {
      problems.push(
        `DB_REVISION is missing: ${hookSettings.DB_REVISION.means}; DOWNGRADE_DB has nowhere to go without it`,
      )
    }
    if (RELEASES !== 1) problems.push(...findSharedEnvironments(PATH_TO_VENV, env, values.SHARED_PATHS))
    if (RESTART === undefined && PATH_TO_WSGI === undefined) {
      problems.push(
        `RESTART and PATH_TO_WSGI are missing, one of which is needed: RESTART is ${hookSettings.RESTART.means}, or empty, which is right for static files and PHP; PATH_TO_WSGI is ${hookSettings.PATH_TO_WSGI.means}`,
      )
    }
    // A path in the work tree comes with the code, or is made by its install.
    const isElsewhere = (path: string) => workTree && !`${resolve(workTree, path)}/`.startsWith(`${workTree}/`)
    if (PATH_TO_VENV && RELEASES === 1 && isElsewhere(PATH_TO_VENV) && !isFolder(join(PATH_TO_VENV, 'bin'))) {
      problems.push(`PATH_TO_VENV (${PATH_TO_VENV}) is no virtual environment: it has no bin`)
    }
    const watched = RESTART === undefined && PATH_TO_WSGI ? resolve(workTree ?? '/', PATH_TO_WSGI) : undefined
    if (watched && existsSync(watched) && !isAllowed(watched, constants.W_OK)) {
      problems.push(`PATH_TO_WSGI (${PATH_TO_WSGI}) cannot be touched: ${explainNotWritable(watched)}`)
    }
    if (watched && isElsewhere(watched) && !existsSync(watched)) {
      problems.push(`PATH_TO_WSGI (${PATH_TO_WSGI}) is not there: touching it would restart nothing`)
    }
    return problems
  })
  const { PATH_TO_GIT_WORK_TREE, PATH_TO_VENV, PATH_TO_WSGI } = values
  const finish = (path: string | undefined) => path && resolve(PATH_TO_GIT_WORK_TREE ?? '/', path)
  const finished = {
    ...values,
    PATH_TO_VENV: finish(PATH_TO_VENV),
    PATH_TO_WSGI: finish(PATH_TO_WSGI),
    unset: byDefault.filter(name => env[name] === undefined),
  }
  return { settings: finished, problems }
}

/** Next to where PATH_TO_GIT_WORK_TREE is or will be, so that one rename replaces the link. */
export const releasesFolder = (workTree: string) => `${workTree}.releases`

/** Where SHARED_PATHS are, and each release has links to. */
export const sharedFolder = (workTree: string) => join(releasesFolder(workTree), 'shared')

/** The folder that a deployment locks, beside the repository's own. */
export const lockedFolder = ({ RELEASES, PATH_TO_GIT_WORK_TREE }: HookSettings) =>
  RELEASES === 1 ? PATH_TO_GIT_WORK_TREE : releasesFolder(PATH_TO_GIT_WORK_TREE)

/** The settings for a release: paths in the work tree are moved there. */
export function inFolder(settings: HookSettings, folder: string): HookSettings {
  const { PATH_TO_GIT_WORK_TREE: workTree, PATH_TO_VENV, PATH_TO_WSGI } = settings
  const move = (path: string | undefined) =>
    path?.startsWith(`${workTree}/`) ? folder + path.slice(workTree.length) : path
  return {
    ...settings,
    PATH_TO_GIT_WORK_TREE: folder,
    PATH_TO_VENV: move(PATH_TO_VENV),
    PATH_TO_WSGI: move(PATH_TO_WSGI),
  }
}

/**
 * Installing into one environment for all releases, be it a shared path or reached through the link, would change what
 * serves.
 */
function findSharedEnvironments(
  PATH_TO_VENV: string | undefined,
  { UV_PROJECT_ENVIRONMENT }: NodeJS.ProcessEnv,
  shared: readonly string[] = [],
): string[] {
  return Object.entries({ PATH_TO_VENV, UV_PROJECT_ENVIRONMENT }).flatMap(([name, path]) => {
    if (!path) return []
    if (normalize(`${path}/`) === './') {
      return `${name} (${path}) is the release itself: give it a folder of its own there, such as .venv`
    }
    const isOutside = isAbsolute(path) || normalize(path).startsWith('..')
    if (isOutside) return `${name} (${path}) is one for all releases: give it relative to each, such as .venv`
    const here = `${normalize(path)}/`.replace(/\/+$/, '/')
    const sharing = shared.find(each => here.startsWith(`${each}/`) || `${each}/`.startsWith(here))
    if (sharing === undefined) return []
    return `SHARED_PATHS names ${sharing}, and ${name} is ${path}: each release needs an environment of its own`
  })
}

/** Identifies a state of `.env`: steps depend on all that it holds. */
export function identifySettings(): string {
  const file = statSync('.env', { throwIfNoEntry: false, bigint: true })
  return file ? `${file.ino} ${file.size} ${file.ctimeNs}` : ''
}
