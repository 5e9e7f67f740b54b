import { readFileSync } from 'node:fs'
import dotenv from 'dotenv'
import { exit, Failure } from './program.ts'

/** What is known about one environment variable. */
export interface Setting {
  /** What it stands for, with an example: shown where it is missing. */
  readonly means: string
  readonly required?: boolean
  /** What is wrong with a value that is there; nothing where it is right. */
  readonly problem?: (value: string) => string | undefined
  /** The same for what has a message of its own, which names the setting. @throws Failure */
  readonly verify?: (value: string) => void
}

type Values<T extends Record<string, Setting>> = {
  readonly [K in keyof T]: T[K] extends { required: true } ? string : string | undefined
}

/**
 * Reads the settings from the environment, and from a file of NAME=VALUE lines for those that the environment lacks.
 * The file's values are put into `process.env` as well, where child processes find them. Without a name the file is
 * `.env` in the current directory, which need not exist.
 *
 * dotenv's `config()` would listen to `DOTENV_*` variables; its parser does not.
 *
 * @throws Failure (usage) that names every missing or malformed setting at once
 */
export function readSettings<const T extends Record<string, Setting>>(settings: T, envFile?: string): Values<T> {
  loadEnvFile(envFile)
  const problems: string[] = []
  const values: Record<string, string | undefined> = {}
  for (const [name, setting] of Object.entries(settings)) {
    const value = process.env[name]
    values[name] = value
    const problem = value?.trim() ? setting.problem?.(value) : setting.required && 'is missing'
    if (problem) problems.push(`${name} ${problem}: ${setting.means}`)
    else if (value !== undefined) problems.push(...findProblem(value, setting))
  }
  if (problems.length > 0) {
    throw new Failure(
      exit.usage,
      problems.length === 1 ? 'A setting is wrong.' : `${problems.length} settings are wrong.`,
      {
        why: problems.join('\n'),
        fix: `set them in the environment or in ${envFile ?? '.env'}; .env.example explains each`,
      },
    )
  }
  return values as Values<T>
}

function findProblem(value: string, { verify }: Setting): string[] {
  try {
    verify?.(value)
    return []
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return [`${error.message} To do: ${error.fix}`]
  }
}

/** The first half of `readSettings`, for a program that has to know one setting before it asks for all. */
export function loadEnvFile(envFile?: string): void {
  for (const [name, value] of Object.entries(dotenv.parse(readEnvFile(envFile)))) process.env[name] ??= value
}

function readEnvFile(envFile: string | undefined): string {
  try {
    return readFileSync(envFile ?? '.env', 'utf8')
  } catch (cause) {
    if (envFile === undefined && (cause as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new Failure(exit.usage, `The settings file ${envFile ?? '.env'} cannot be read.`, {
      why: String(cause),
      cause,
    })
  }
}
