import { settings } from './settings.ts'

/**
 * Takes the inputs of build/action.yml for the settings that they name. An empty one is one that was not given. What is
 * started by us gets none, the key among them.
 *
 * @returns the arguments that the input `command` has
 */
export function takeActionInputs(env: NodeJS.ProcessEnv = process.env): string[] {
  const take = (name: string) => {
    const variable = `INPUT_${name.replaceAll('_', '-')}`
    const value = env[variable]
    delete env[variable]
    return value
  }
  for (const name of Object.keys(settings)) {
    const value = take(name)
    if (value) env[name] = value
  }
  return take('COMMAND')?.split(/\s+/).filter(Boolean) ?? []
}
