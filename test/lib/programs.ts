import { existsSync } from 'node:fs'
import { arch } from 'node:os'
import { join } from 'node:path'

export type ProgramName = 'deploy' | 'setup-ssh' | 'post-receive'

const root = join(import.meta.dirname, '../..')

/** Whether this run tests the compiled binaries or the sources: `PUSHLIVE_TEST=binaries` or `sources`. */
export const testsBinaries = process.env.PUSHLIVE_TEST === 'binaries'

/** Where the binaries are; those of another version can be tested as well. */
const binaries = process.env.PUSHLIVE_BINARIES ?? join(root, 'dist', `${process.platform}-${arch()}`)

/** The command that starts a program: its binary, or Node and its source. Without `--` Node takes `--env-file` for its own. */
export function program(name: ProgramName): string[] {
  if (!testsBinaries)
    return [
      process.execPath,
      '--import',
      join(import.meta.dirname, 'compile-cache.mjs'),
      '--',
      join(root, 'scripts', `${name}.ts`),
    ]
  const binary = join(binaries, name)
  if (!existsSync(binary)) throw new Error(`${binary} is not there: run make build first`)
  return [binary]
}
