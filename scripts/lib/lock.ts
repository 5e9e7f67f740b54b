import { closeSync, openSync } from 'node:fs'
import { exit, Failure } from './program.ts'

export interface Lock {
  /** The descriptor that holds the lock. A process that inherits it holds the lock too, until it ends. */
  readonly fd: number
  release(): Promise<void>
}

/**
 * Takes the kernel's lock (flock) on a file or folder that exists, calling `onWait` once if somebody else has it.
 * The kernel releases it when its last holder ends, however it ends: there is no stale lock and nothing to unlock by
 * hand. Node has no flock; util-linux's program locks the descriptor that it inherits.
 *
 * @throws Failure where the file cannot be opened or its file system knows no locks
 */
export async function takeLock(path: string, onWait: () => void): Promise<Lock> {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (cause) {
    throw new Failure(exit.failed, `${path} cannot be opened to lock it.`, { why: String(cause), cause })
  }
  const { $ } = await import('zx/core')
  const flock = $({ stdio: ['ignore', 'pipe', 'pipe', fd], detached: true, nothrow: true, quiet: true })
  const attempt = await flock`flock --nonblock --conflict-exit-code 75 3`
  if (attempt.exitCode === 75) onWait()
  const result = attempt.exitCode === 75 ? await flock`flock 3` : attempt
  if (!result.ok) {
    closeSync(fd)
    throw new Failure(exit.failed, `${path} cannot be locked.`, { why: result.stderr })
  }
  return {
    fd,
    async release() {
      // Not only closed: a daemon that a step started has inherited the descriptor, and would keep the lock.
      await flock`flock --unlock 3`
      closeSync(fd)
    },
  }
}
