import { isOnPath } from '../shared/on-path.ts'
import { exitCode, Failure } from '../shared/program.ts'

/** @throws Failure (usage) that names those of the programs that are not on PATH */
export function verifyPrograms(names: readonly string[]): void {
  const { PATH = '/usr/bin:/bin' } = process.env
  const missing = names.filter(name => !isOnPath(name, PATH))
  if (missing.length === 0) return
  throw new Failure(exitCode.usage, `Not found on PATH: ${missing.join(', ')}.`, {
    fix: 'install what is missing (Debian: apt-get install openssh-client; Alpine: apk add openssh-client bash), or let PATH lead to it',
  })
}
