import { closeSync, openSync } from 'node:fs'
import { exit, Failure } from './program.ts'

export interface Locks {
  /** The descriptors that hold them. A process that inherits one holds its lock too, until it ends. */
  readonly fds: readonly number[]
  release(): void
}

/**
 * Takes the kernel's locks (flock) on files or folders that exist, in this order, calling `onWait` once for each that
 * somebody else has. The kernel releases them when their last holder ends, however it ends: there is no stale lock and
 * nothing to unlock by hand. Node has no flock; util-linux's program locks the descriptors that it inherits.
 *
 * @throws Failure where one cannot be opened or its file system knows no locks
 */
export async function takeLocks(paths: readonly string[], onWait: (path: string) => void): Promise<Locks> {
  const fds = paths.map(open)
  const { $ } = await import('zx/core')
  const ours = { detached: true, nothrow: true, quiet: true }
  const flock = $({ ...ours, stdio: ['ignore', 'pipe', 'pipe', ...fds] })
  const inherited = fds.map((_, index) => 3 + index)
  const tryLock = (...numbers: number[]) =>
    flock`for fd in ${numbers}; do flock --nonblock --conflict-exit-code 75 $fd; done`

  // One bash for all, because each process is one that every push waits for.
  const isFree = (await tryLock(...inherited)).ok
  for (const [index, path] of isFree ? [] : paths.entries()) {
    const number = 3 + index
    let result = await tryLock(number)
    if (result.exitCode === 75) {
      onWait(path)
      result = await flock`flock ${number}`
    }
    if (!result.ok) throw new Failure(exit.failed, `${path} cannot be locked.`, { why: result.stderr })
  }
  return {
    fds,
    release() {
      // Not only closed: a daemon that a step started has inherited a descriptor, and would keep its lock. Not waited
      // for: the pusher would.
      const unlock = $({ ...ours, stdio: ['ignore', 'ignore', 'ignore', ...fds] })
      unlock`for fd in ${inherited}; do flock --unlock $fd; done`.child?.unref()
      fds.forEach(fd => {
        closeSync(fd)
      })
    },
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    throw new Failure(exit.failed, `${path} cannot be opened to lock it.`, { why: String(cause), cause })
  }
}
