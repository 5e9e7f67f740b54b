import { chmodSync, closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/**
 * Replaces a file in one step: at every instant, also after a power cut, there is the whole old file or the whole new
 * one. A symbolic link is replaced, not followed. It makes a folder in the same way, where there is nothing.
 *
 * @param content what it holds, or what makes the temporary file, which is not there yet; when that throws, the old
 *   file stays
 */
export async function replaceFile(
  file: string,
  content: string | Uint8Array | ((temporary: string) => void | Promise<void>),
  mode = 0o600,
): Promise<void> {
  removeLeftovers(file)
  const temporary = `${file}${mark}${process.pid}`
  try {
    if (typeof content === 'function') await content(temporary)
    else writeFileSync(temporary, content, { mode: 0o600, flag: 'wx' })
    chmodSync(temporary, mode)
    sync(temporary)
    renameSync(temporary, file)
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
  sync(dirname(file))
}

const mark = '.pushlive-'

/** Removes the temporary files of killed processes. */
function removeLeftovers(file: string): void {
  const beginning = `${basename(file)}${mark}`
  for (const name of readdirSync(dirname(file)).filter(name => name.startsWith(beginning))) {
    const pid = Number(name.slice(beginning.length))
    if (pid === process.pid || !isAlive(pid)) rmSync(join(dirname(file), name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Waits until a file, or the names in a folder, are on the disk. */
export function sync(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
