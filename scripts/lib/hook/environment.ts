import { isBranchName } from '../shared/settings.ts'
import { readHookEnvFile } from './env-file.ts'
import { readHookSettings, settingNames } from './settings.ts'

/**
 * Makes the environment for the hook and its steps. Settings come from `.env` alone: no variable that came over ssh
 * (SendEnv), or from a user who pushes to a local path, changes one. The variables that git sets for its hook are removed:
 * with them, a recipe that calls git would reach the bare repository (`GIT_DIR=.`), or fail. And no shell reads start-up
 * files: Debian's bash reads ~/.bashrc for a hook over ssh while SHLVL is below 2, BASH_ENV names another file, and
 * functions can come in variables.
 *
 * @throws Failure (usage) where `.env` is there and cannot be read, or says something else than it seems to
 */
export function enterEnvironment(gitDir: string): void {
  const { values, problems } = readHookEnvFile()
  const env = environmentWith(values)
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name]
  Object.assign(process.env, env)
  // All that is wrong is named at once.
  // A push of no branch is for a name that none can have.
  if (problems.length > 0 || !isBranchName(env.BRANCH_NAME || 'main')) readHookSettings(gitDir, problems)
}

/** The environment that the hook has with these settings. */
export function environmentWith(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const isForeign = /^(GIT_.*|BASH_ENV|ENV|SHELLOPTS|BASHOPTS|BASH_FUNC_.*)$/
  const others = Object.entries(process.env).filter(([name]) => !settingNames.has(name) && !isForeign.test(name))
  const { BASH_ENV: _, ...env } = { ...Object.fromEntries(others), ...settings }
  return { ...env, SHLVL: '1' }
}
