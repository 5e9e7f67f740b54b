import { existsSync, readFileSync } from 'node:fs'
import dotenv from 'dotenv'
import { flatten } from './foreign-text.ts'
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

/** Settings, each as its finished value as far as it is right, and what is wrong with the others. */
export interface Reading<S extends Record<string, Setting>> {
  readonly values: Settings<S>
  readonly problems: readonly string[]
}

/**
 * Reads settings from an environment, each into its finished value. Where nothing is wrong, all that are required are
 * there.
 *
 * @param verify looks at all values together, as far as each by itself is right: what is wrong between them
 */
export function lookAtSettings<const S extends Record<string, Setting>>(
  settings: S,
  env: NodeJS.ProcessEnv,
  verify: (values: Partial<Settings<S>>) => readonly string[] = () => [],
): Reading<S> {
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
  return { values: values as Settings<S>, problems }
}

/**
 * The same, for those who cannot go on without them.
 *
 * @param place where else they can be set, for people
 * @throws Failure (usage) that names all that is missing or wrong at once
 */
export function readSettings<const S extends Record<string, Setting>>(
  settings: S,
  env: NodeJS.ProcessEnv = process.env,
  place?: string,
  verify?: (values: Partial<Settings<S>>) => readonly string[],
): Settings<S> {
  const { values, problems } = lookAtSettings(settings, env, verify)
  verifyRight(problems, `in the environment${place ? ' or in' : ', in .env or in'} ${place ?? committed.file}`)
  return values
}

/**
 * @param place where settings are set, for people: "in .env"
 * @throws Failure (usage) that names all problems, if there are any
 */
export function verifyRight(problems: readonly string[], place: string): void {
  if (problems.length === 0) return
  const what = problems.length === 1 ? 'A setting is wrong.' : `${problems.length} settings are wrong.`
  throw new Failure(exitCode.usage, what, {
    why: problems.join('\n'),
    fix: `set them ${place}; .env.example explains each`,
  })
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

/** A branch by the rules of git-check-ref-format(1) for what follows refs/heads/. */
export function branchName(name: string): string {
  if (!isBranchName(name)) throw new Error('is not a name that git allows for a branch')
  return name
}

export const isBranchName = (name: string) =>
  !/[\p{Cc} ~^:?*[\\]|\.\.|@\{|\/\/|^\/|[/.]$/u.test(name) &&
  name.split('/').every(part => !part.startsWith('.') && !part.endsWith('.lock'))

/** What a file of settings says, by dotenv's parser: its `config()` would listen to `DOTENV_*` variables. */
export interface EnvFile {
  readonly name: string
  readonly text: string
  readonly values: Readonly<Record<string, string>>
  /** Of which bash would take more than dotenv does: up to a blank, and not up to a #. */
  readonly cut: readonly string[]
}

/**
 * Reads NAME=VALUE lines. Without a name the file is `.env` in the current directory, which need not exist.
 *
 * @throws Failure (usage) where the file is there and cannot be read
 */
export function readEnvLines(envFile?: string): EnvFile {
  const name = envFile ?? '.env'
  let text = ''
  try {
    text = readFileSync(name, 'utf8')
  } catch (cause) {
    if (envFile !== undefined || (cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      const fix = (cause as NodeJS.ErrnoException).code === 'EACCES' ? 'run this as the user that it belongs to' : ''
      throw new Failure(exitCode.usage, `The settings file ${name} cannot be read.`, { why: String(cause), fix, cause })
    }
  }
  return parseEnvLines(name, text)
}

/** The same for a text. */
export function parseEnvLines(name: string, text: string): EnvFile {
  const values = dotenv.parse(text)
  // bash would take `ab#cd` for five characters; dotenv takes two, and a password would be wrong without a word.
  const cut = [...text.matchAll(/^\s*(?:export\s+)?([\w.-]+)\s*=[^\S\n]*([^\s'"`#][^#\r\n]*)(?<!\s)#/gm)]
    .filter(([, name = '', value]) => values[name] === value)
    .map(([, name = '']) => name)
  return { name, text, values, cut }
}

export const cutFix = 'put the value in quotes, or a blank before a # that begins a comment'

/**
 * The values of such a file.
 *
 * @throws Failure (usage) where the file is there and cannot be read, or says something else than it seems to
 */
export function readEnvFile(envFile?: string): Readonly<Record<string, string>> {
  const { name, values, cut } = readEnvLines(envFile)
  if (cut.length === 0) return values
  throw new Failure(exitCode.usage, `${cut.join(' and ')} would end at the # in ${name}.`, { fix: cutFix })
}

/** Settings that are not secret and start no program, so that they can be committed; `deploy init` writes the file. */
export const committed = {
  file: 'deploy/deploy.env',
  names: ['STAGING_REMOTE_REPO', 'BRANCH_NAME', 'PROXY_JUMP', 'APP_URL', 'KNOWN_DEPLOYMENT_HOSTS', 'HOST_FINGERPRINT'],
} as const

/**
 * Puts settings into `process.env`, where child processes find them: those of a file, or those of `.env` and then those
 * that are committed. What the environment has wins.
 *
 * @throws Failure (usage) where a file cannot be read, or says something else than it seems to
 */
export function loadEnvFile(envFile?: string): void {
  const files = [readEnvFile(envFile), ...(envFile === undefined ? [readCommittedSettings()] : [])]
  for (const values of files) for (const [name, value] of Object.entries(values)) process.env[name] ??= value
}

/** No others: whoever can commit would choose the programs that git starts, and a secret would be in all clones. */
function readCommittedSettings(): Readonly<Record<string, string>> {
  const { file, names } = committed
  // `deploy` may be the program itself.
  const values = existsSync(file) ? readEnvFile(file) : {}
  const others = Object.keys(values).filter(name => !(names as readonly string[]).includes(name))
  if (others.length === 0) return values
  throw new Failure(exitCode.usage, `${flatten(others.join(', '))} cannot be set in ${file}, which is committed.`, {
    why: `It may have ${names.join(', ')}.`,
    fix: 'put other settings in .env, which is not committed, and secrets in those of the CI',
  })
}
