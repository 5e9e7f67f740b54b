import { readFileSync } from 'node:fs'
import dotenv from 'dotenv'
import { exitCode, Failure } from './program.ts'

/** What is known about one environment variable. */
export interface Setting<T = unknown> {
  /** What it means, with an example: shown where it is missing or wrong. */
  readonly means: string
  readonly required?: boolean
  /** Stands in for a value that is missing or empty, where that means the same. */
  readonly default?: string
  /** An empty value is one: by itself it counts as missing. */
  readonly mayBeEmpty?: boolean
  /**
   * Makes of the text what the program works with.
   *
   * @throws Error with what is wrong with it, as it is said behind the setting's name; a Failure says all itself
   */
  readonly read?: (text: string) => T
}

type Value<S> = S extends { read: (text: string) => infer T } ? T : string
type Settings<S extends Record<string, Setting>> = {
  readonly [K in keyof S]: S[K] extends { required: true } | { default: string } ? Value<S[K]> : Value<S[K]> | undefined
}

/**
 * Reads settings from an environment, each into its finished value.
 *
 * @param place where else they can be set, for people
 * @param verify looks at all values together, as far as each by itself is right: what is wrong between them
 * @throws Failure (usage) that names all that is missing or wrong at once
 */
export function readSettings<const S extends Record<string, Setting>>(
  settings: S,
  env: NodeJS.ProcessEnv = process.env,
  place = '.env',
  verify: (values: Partial<Settings<S>>) => readonly string[] = () => [],
): Settings<S> {
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(settings)) {
    const given = env[name]
    const text = given?.trim() || (setting.mayBeEmpty && given !== undefined) ? given : setting.default
    if (text === undefined && setting.required) problems.push(`${name} is missing: ${setting.means}`)
    if (text === undefined) continue
    try {
      values[name] = setting.read ? setting.read(text) : text
    } catch (error) {
      problems.push(
        error instanceof Failure ? describe(error) : `${name} ${(error as Error).message}: ${setting.means}`,
      )
    }
  }
  problems.push(...verify(values as Partial<Settings<S>>))
  if (problems.length > 0) {
    throw new Failure(
      exitCode.usage,
      problems.length === 1 ? 'A setting is wrong.' : `${problems.length} settings are wrong.`,
      {
        why: problems.join('\n'),
        fix: `set them in the environment or in ${place}; .env.example explains each`,
      },
    )
  }
  return values as Settings<S>
}

const describe = ({ message, fix }: Failure) => (fix ? `${message} To do: ${fix}` : message)

/** A number of seconds that a timer can wait for. */
export const seconds = (text: string): number => {
  // What a timer of Node's can hold, in milliseconds.
  if (!/^\d+(\.\d+)?$/.test(text.trim()) || Number(text) * 1000 > 2 ** 31 - 1) {
    throw new Error('is not a number of seconds (at most 2147483)')
  }
  return Number(text)
}

/**
 * NAME=VALUE lines, by dotenv's parser: its `config()` would listen to `DOTENV_*` variables. Without a name the file is
 * `.env` in the current directory, which need not exist.
 *
 * @throws Failure (usage) where the file is there and cannot be read, or says something else than it seems to
 */
export function readEnvFile(envFile?: string): Record<string, string> {
  const name = envFile ?? '.env'
  let text: string
  try {
    text = readFileSync(name, 'utf8')
  } catch (cause) {
    if (envFile === undefined && (cause as NodeJS.ErrnoException).code === 'ENOENT') return {}
    const fix = (cause as NodeJS.ErrnoException).code === 'EACCES' ? 'run this as the user that it belongs to' : ''
    throw new Failure(exitCode.usage, `The settings file ${name} cannot be read.`, { why: String(cause), fix, cause })
  }
  const values = dotenv.parse(text)
  // bash would take `ab#cd` for five characters; dotenv takes two, and a password would be wrong without a word.
  const cut = [...text.matchAll(/^\s*(?:export\s+)?([\w.-]+)\s*=[^\S\n]*([^\s'"`#][^#\r\n]*)(?<!\s)#/gm)]
    .filter(([, name = '', value]) => values[name] === value)
    .map(([, name]) => name)
  if (cut.length === 0) return values
  throw new Failure(exitCode.usage, `${cut.join(' and ')} would end at the # in ${name}.`, {
    fix: 'put the value in quotes, or a blank before a # that begins a comment',
  })
}

/** Puts a file's settings into `process.env`, where child processes find them; what the environment has wins. */
export function loadEnvFile(envFile?: string): void {
  for (const [name, value] of Object.entries(readEnvFile(envFile))) process.env[name] ??= value
}
