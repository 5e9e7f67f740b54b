import { type ParseArgsConfig, parseArgs } from 'node:util'
import { exitCode, Failure, version } from './program.ts'

const common = { help: { type: 'boolean' }, version: { type: 'boolean' } } as const

/**
 * Reads a program's arguments. `--help` and `--version` are answered here.
 *
 * @returns undefined where that was all that was asked for
 * @throws Failure (usage) for an option or an argument that there is not
 */
export function readArguments<const T extends NonNullable<ParseArgsConfig['options']>>(
  name: string,
  help: string,
  options: T,
  args = process.argv.slice(2),
) {
  try {
    const config = { args, options: { ...options, ...common }, allowPositionals: true } as const
    const { values, positionals } = parseArgs(config)
    const asked = values as { help?: boolean; version?: boolean }
    if (asked.help || asked.version) {
      console.log(asked.help ? help : `pushlive ${name} ${version}`)
      return undefined
    }
    return { options: values, positionals }
  } catch (cause) {
    throw new Failure(exitCode.usage, (cause as Error).message, { fix: `${name} --help lists what there is`, cause })
  }
}
