import { isAbsolute } from 'node:path'
import { readSettings } from './settings.ts'

const isSeconds = (value: string) => (/^\d+(\.\d+)?$/.test(value) ? undefined : 'is not a number of seconds')

const hookSettings = {
  PATH_TO_GIT_WORK_TREE: {
    means: 'the folder where the code goes, such as /home/seita/flexmeasures',
    required: true,
    problem: (path: string) => (isAbsolute(path) ? undefined : 'is not an absolute path'),
  },
  PATH_TO_VENV: { means: 'the virtual environment whose bin comes first on PATH, such as /home/seita/venv' },
  ACTIVATE_VENV: {
    means: 'a bash command that activates an environment, such as `source /home/seita/venv/bin/activate`',
  },
  PATH_TO_WSGI: { means: 'the file to touch, such as /home/seita/flexmeasures/wsgi.py' },
  INSTALL_DEPS: { means: 'a command in place of `make install-deps`' },
  UPGRADE_DB: { means: 'a command in place of `make upgrade-db`' },
  INSTALL_DEPS_IF_CHANGED: { means: 'git pathspecs, such as `requirements setup.py`' },
  UPGRADE_DB_IF_CHANGED: { means: 'git pathspecs of the migrations, such as `flexmeasures/data/migrations`' },
  RESTART: { means: 'a command in place of touching PATH_TO_WSGI' },
  HEALTH_CHECK_URL: {
    means: 'what answers 2xx when the application serves, such as http://127.0.0.1:8000/ping',
    problem: (url: string) => (/^https?:$/.test(URL.parse(url)?.protocol ?? '') ? undefined : 'is not an http URL'),
  },
  HEALTH_CHECK_TIMEOUT: { means: 'seconds, 60 by default', problem: isSeconds },
  STEP_TIMEOUT: { means: 'seconds that a step may take, without limit by default', problem: isSeconds },
} as const

/** @throws Failure (usage) that names all that is missing or malformed */
export function readHookSettings() {
  const { PATH_TO_WSGI } = hookSettings
  return readSettings({
    ...hookSettings,
    PATH_TO_WSGI: { ...PATH_TO_WSGI, required: process.env.RESTART === undefined },
  })
}

export type HookSettings = ReturnType<typeof readHookSettings>
