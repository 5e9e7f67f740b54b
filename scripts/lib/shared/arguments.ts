import { type ParseArgsConfig, parseArgs } from 'node:util'
import leven from 'leven'
import { exitCode, Failure, version } from './program.ts'

const common = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } } as const

type OptionTypes = NonNullable<ParseArgsConfig['options']>

/** The arguments of this program. `help COMMAND` is another way to say `COMMAND --help`. */
export function givenArguments(): string[] {
  const args = process.argv.slice(2)
  return args[0] === 'help' ? [...args.slice(1), '--help'] : args
}

/**
 * Reads a program's arguments. `--help` and `--version` are answered here.
 *
 * @param name the program, or the program and its command
 * @returns undefined where that was all that was asked for
 * @throws Failure (usage) for an option or an argument that there is not
 */
export function readArguments<const T extends OptionTypes>(
  name: string,
  help: string,
  options: T,
  args = givenArguments(),
) {
  const config = { args, options: { ...options, ...common }, allowPositionals: true } as const
  verifyOptions(name, config.options, args)
  const { values, positionals } = parseArgs(config)
  const asked = values as { help?: boolean; version?: boolean }
  if (asked.help || asked.version) {
    console.log(asked.help ? help : `pushlive ${name.split(' ')[0]} ${version}`)
    return undefined
  }
  return { options: values, positionals }
}

/** What Node would refuse, in our words. @throws Failure (usage) */
function verifyOptions(name: string, options: OptionTypes, args: string[]): void {
  const known = Object.keys(options).map(long => `--${long}`)
  for (const token of parseArgs({ args, options, strict: false, tokens: true }).tokens) {
    if (token.kind !== 'option') continue
    const { rawName, value, inlineValue } = token
    const type = (Object.hasOwn(options, token.name) ? options[token.name] : undefined)?.type
    if (type === undefined) throw misuse(name, `${name} has no option ${rawName}`, { word: rawName, known })
    if (type === 'boolean' && value !== undefined) throw misuse(name, `${rawName} takes no value`)
    // What begins with a dash is taken for a forgotten value's successor.
    const isMissing = value === undefined || (!inlineValue && value.startsWith('-'))
    if (type === 'string' && isMissing) throw misuse(name, `${rawName} needs a value`)
  }
}

/**
 * A program that is called in a wrong way.
 *
 * @param mistyped what there is not, and what there is in its place
 */
export function misuse(name: string, what: string, mistyped?: { word: string; known: readonly string[] }): Failure {
  const meant = mistyped && findNearest(mistyped.word, mistyped.known)
  const fix = `${meant ? `did you mean ${meant}? ` : ''}${name} --help lists what there is`
  return new Failure(exitCode.usage, `${what}.`, { fix })
}

/** Which of the known words a mistyped one most likely is. Undefined where it is like none. */
export function findNearest(word: string, known: readonly string[]): string | undefined {
  const isBeginning = (name: string) => word.length > 2 && name.startsWith(word)
  const found = known
    .map(name => ({ name, distance: isBeginning(name) ? 0 : leven(word, name) }))
    .sort((one, other) => one.distance - other.distance)[0]
  return found && found.distance <= word.length / 3 ? found.name : undefined
}
