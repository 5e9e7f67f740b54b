import { basename } from 'node:path'
import { exitCode, Failure, run, version } from '../../scripts/lib/shared/program.ts'

/**
 * Several programs in one file: starts the one by whose name the file is called, as `hooks/post-receive` is, or else the
 * one that the first argument names.
 *
 * @param programs import them, which starts them
 */
export function start(programs: Readonly<Record<string, () => Promise<unknown>>>): void {
  const called = basename(process.argv0)
  const name = Object.hasOwn(programs, called) ? called : (process.argv.splice(2, 1)[0] ?? '')
  const program = Object.hasOwn(programs, name) ? programs[name] : undefined
  if (program) program()
  else run(() => answer(name, Object.keys(programs)))
}

async function answer(argument: string, names: readonly string[]): Promise<number> {
  const usage = names.map((name, index) => `${index === 0 ? 'Usage:' : '      '} pushlive ${name} ...`).join('\n')
  const fix = `pushlive ${names.join(' | ')}; each has its --help`
  if (argument === '--version') console.log(`pushlive ${version}`)
  else if (argument === '--help') console.log(`${usage}\n\nEach has its --help.`)
  else if (argument === '') throw new Failure(exitCode.usage, 'pushlive is several programs in one.', { fix })
  else throw new Failure(exitCode.usage, `pushlive has no program ${argument}.`, { fix })
  return 0
}
