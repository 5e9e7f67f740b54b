import { existsSync } from 'node:fs'
import { arch } from 'node:os'
import { join } from 'node:path'

export type ProgramName = 'deploy' | 'setup-ssh' | 'post-receive'

const root = join(import.meta.dirname, '../..')

/** Whether this run tests the compiled binaries or the sources: `PUSHLIVE_TEST=binaries` or `sources`. */
export const testsBinaries = process.env.PUSHLIVE_TEST === 'binaries'

/** The command that starts a program: its binary, or Node and its source. Without `--` Node takes `--env-file` for its own. */
export function program(name: ProgramName): string[] {
  if (!testsBinaries) return [process.execPath, '--', join(root, 'scripts', `${name}.ts`)]
  const binary = join(root, 'dist', `${process.platform}-${arch()}`, name)
  if (!existsSync(binary)) throw new Error(`${binary} is not there: run make build first`)
  return [binary]
}
