import { readEnvFile } from '../shared/settings.ts'
import { settingNames } from './settings.ts'

/**
 * Makes the environment for the hook and its steps. Settings come from `.env` alone: no variable that came over ssh
 * (SendEnv), or from a user who pushes to a local path, changes one. The variables that git sets for its hook are removed:
 * with them, a recipe that calls git would reach the bare repository (`GIT_DIR=.`), or fail. And no shell reads start-up
 * files: Debian's bash reads ~/.bashrc for a hook over ssh while SHLVL is below 2, BASH_ENV names another file, and
 * functions can come in variables.
 *
 * @throws Failure (usage) where `.env` is there and cannot be read
 */
export function enterEnvironment(): void {
  const isForeign = /^(GIT_.*|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|BASH_FUNC_.*)$/
  for (const name of Object.keys(process.env)) {
    if (settingNames.has(name) || isForeign.test(name)) delete process.env[name]
  }
  Object.assign(process.env, readEnvFile())
  delete process.env.BASH_ENV
  process.env.SHLVL = '1'
}
