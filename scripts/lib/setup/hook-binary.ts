import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isSea } from 'node:sea'
import { exitCode, Failure, version } from '../shared/program.ts'

/** A kind of machine, in the words of `process.platform` and `process.arch`. */
export const thisMachine = `${process.platform}-${process.arch}`

/**
 * The hook's binary for a kind of machine. It is beside this program, under the name that the release or the build gives
 * it, or it is this program, if that is all three in one.
 *
 * @throws Failure (usage) that names the missing file, and says where it belongs
 */
export function findHook(platform: string): string {
  const name = `post-receive-${platform}`
  const folder = findProgramFolder()
  const isForThisMachine = platform === thisMachine
  const places =
    folder === undefined
      ? []
      : [
          join(folder, name),
          ...(isForThisMachine ? [join(folder, 'post-receive')] : []),
          // In dist/ of a checkout, which has a folder for each kind of machine.
          join(folder, '..', platform, 'post-receive'),
          join(folder, '../release', name),
        ]
  const found = places.find(place => existsSync(place))
  if (found !== undefined) return found
  if (isForThisMachine && holdsHook(process.execPath)) return process.execPath
  const put = folder === undefined ? '' : `put it into ${folder}, or `
  throw new Failure(exitCode.usage, `The server is ${platform}, and the hook for it, ${name}, is not here.`, {
    why: folder === undefined ? 'The package for Node has no hook, since servers need no Node.' : places.join('\n'),
    fix: `download ${name} of the release, or make it in a checkout: make build PLATFORM=${platform}, on such a machine if the release has none for it; then ${put}set HOOK_BINARY to its path`,
  })
}

/** The folder of the programs that were built or downloaded with this one. The package for Node has none. */
function findProgramFolder(): string | undefined {
  if (isSea()) return dirname(process.execPath)
  return version === 'source' ? join(dirname(process.argv[1] ?? ''), '../dist', thisMachine) : undefined
}

/** Whether a binary is a hook if it is called by the name of one. */
function holdsHook(binary: string): boolean {
  if (!isSea()) return false
  const { stdout } = spawnSync(binary, ['--version'], { argv0: 'post-receive', encoding: 'utf8' })
  return stdout.startsWith('pushlive post-receive ')
}
