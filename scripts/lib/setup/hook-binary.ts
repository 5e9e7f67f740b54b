import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isSea } from 'node:sea'
import { exitCode, Failure, version } from '../shared/program.ts'

/** A kind of machine, in the words of `process.platform` and `process.arch`. */
export const thisMachine = `${process.platform}-${process.arch}`

/**
 * The hook's binary for a kind of machine: beside this program, as the release or the build name it, or this program,
 * where it is all three in one.
 *
 * @throws Failure (usage) that says which one is missing, and where it would be found
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
          // Of a checkout: what is built for other machines lies beside what is built for this one.
          join(folder, '..', platform, 'post-receive'),
          join(folder, '../release', name),
        ]
  const found = places.find(place => existsSync(place))
  if (found !== undefined) return found
  if (isForThisMachine && holdsHook(process.execPath)) return process.execPath
  const put = folder === undefined ? '' : `put it into ${folder}, or `
  throw new Failure(exitCode.usage, `The server is ${platform}, and the hook for it, ${name}, is not here.`, {
    why: folder === undefined ? 'The package for Node has no hook, since servers need no Node.' : places.join('\n'),
    fix: `download ${name} of the release, or make it in a checkout (make build PLATFORM=${platform}); then ${put}set HOOK_BINARY to its path`,
  })
}

/** Where the programs are that were built or downloaded with this one. Undefined for a package of Node's, which has none. */
function findProgramFolder(): string | undefined {
  if (isSea()) return dirname(process.execPath)
  return version === 'source' ? join(dirname(process.argv[1] ?? ''), '../dist', thisMachine) : undefined
}

/** Whether a binary is a hook once it is called like one. */
function holdsHook(binary: string): boolean {
  if (!isSea()) return false
  const { stdout } = spawnSync(binary, ['--version'], { argv0: 'post-receive', encoding: 'utf8' })
  return stdout.startsWith('pushlive post-receive ')
}
