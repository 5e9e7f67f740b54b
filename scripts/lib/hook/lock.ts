import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { exitCode, Failure } from '../shared/program.ts'

/**
 * Takes the kernel's locks (flock) on files or folders that exist, in this order. Calls `onWait` once for each that is
 * taken. The kernel releases them when the hook ends, however it ends: there is no stale lock and nothing to unlock by
 * hand. No step inherits one, so no daemon keeps one. Node has no flock; util-linux's program locks the
 * descriptors that it inherits.
 *
 * @returns what releases them
 * @throws Failure where one cannot be opened or its file system knows no locks
 */
export async function takeLocks(paths: readonly string[], onWait: (path: string) => void): Promise<() => void> {
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
  const tryLock = (...numbers: number[]) => result(flock('--nonblock --conflict-exit-code 75', ...numbers))

  // One process for all, because each is one that every push waits for.
  const isFree = (await tryLock(...inherited)).code === 0
  for (const [index, path] of isFree ? [] : paths.entries()) {
    const number = 3 + index
    let tried = await tryLock(number)
    if (tried.code === 75) {
      onWait(path)
      tried = await result(flock('', number))
    }
    if (tried.code !== 0) throw new Failure(exitCode.failed, `${path} cannot be locked.`, { why: tried.stderr })
  }
  return () => {
    for (const fd of fds) closeSync(fd)
  }
}

async function result(process: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = ''
  process.stderr?.on('data', text => {
    stderr += text
  })
  const [code] = await once(process, 'close')
  return { code, stderr }
}

function open(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    const fix = 'push as the user that the repository belongs to: all deployments are made by one'
    throw new Failure(exitCode.failed, `${path} cannot be opened to lock it.`, { why: String(cause), fix, cause })
  }
}
