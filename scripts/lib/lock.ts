import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
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
  const inherited = fds.map((_, index) => 3 + index)
  // Not by zx: loading it takes as long as this, and happens meanwhile.
  const flock = (options: string, ...numbers: number[]) => {
    const each = `for fd; do flock ${options} "$fd" || exit; done`
    return spawn('sh', ['-c', each, 'sh', ...numbers.map(String)], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', ...fds],
    })
  }
  const tryLock = (...numbers: number[]) => ended(flock('--nonblock --conflict-exit-code 75', ...numbers))

  // One process for all, because each is one that every push waits for.
  const isFree = (await tryLock(...inherited)).exitCode === 0
  for (const [index, path] of isFree ? [] : paths.entries()) {
    const number = 3 + index
    let result = await tryLock(number)
    if (result.exitCode === 75) {
      onWait(path)
      result = await ended(flock('', number))
    }
    if (result.exitCode !== 0) throw new Failure(exit.failed, `${path} cannot be locked.`, { why: result.stderr })
  }
  return {
    fds,
    release() {
      // Not only closed: a daemon that a step started has inherited a descriptor, and would keep its lock. Not waited
      // for: the pusher would. Where it cannot be started, the locks of all but such daemons end with us.
      flock('--unlock', ...inherited)
        .on('error', () => {})
        .unref()
      fds.forEach(fd => {
        closeSync(fd)
      })
    },
  }
}

async function ended(process: ChildProcess): Promise<{ exitCode: number | null; stderr: string }> {
  let stderr = ''
  process.stderr?.on('data', words => {
    stderr += words
  })
  const [exitCode] = await once(process, 'close')
  return { exitCode, stderr }
}

function open(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    throw new Failure(exit.failed, `${path} cannot be opened to lock it.`, { why: String(cause), cause })
  }
}
