import { appendFileSync, existsSync, lstatSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { exitCode, Failure } from '../shared/program.ts'
import { replaceFile } from '../shared/replace-file.ts'

/**
 * Before anything is done with a file: it is one, or it is not there yet.
 *
 * @throws Failure (usage) for a folder, a device, and a symbolic link to a file that is not there
 */
export function verifyFile(file: string): void {
  if (lstatSync(file, { throwIfNoEntry: false }) === undefined) return
  const found = existsSync(file) ? statSync(file) : undefined
  if (found?.isFile()) return
  if (found === undefined) {
    throw new Failure(exitCode.usage, `${file} is a symbolic link to a file that is not there.`, {
      fix: 'make that file, or remove the link, and run this again',
    })
  }
  throw new Failure(
    exitCode.usage,
    `${file} is ${found.isDirectory() ? 'a folder' : 'a device or a pipe'}, not a file.`,
    {
      fix: 'move it away and run this again',
    },
  )
}

/** A file's text; empty if there is no file. @throws Failure (usage) if it cannot be read */
export function readIfThere(file: string): string {
  return existsSync(file) ? doing('read', file, () => readFileSync(file, 'utf8')) : ''
}

/** A new file gets the mode 600. @throws Failure (usage) if that is impossible */
export function appendToUsersFile(file: string, text: string): void {
  doing('written', file, () => appendFileSync(file, text, { mode: 0o600 }))
}

/**
 * Replaces the content of a file in one step, so that no reader sees half of it. Follows a symbolic link. The file keeps
 * its mode; a new one gets 600.
 *
 * @param verify checks the new content in a temporary file first; if it throws, the old content stays
 * @throws Failure (usage) if that is impossible
 */
export async function replaceUsersFile(
  file: string,
  content: Uint8Array,
  verify?: (file: string) => Promise<void>,
): Promise<void> {
  const isThere = existsSync(file)
  const target = isThere ? realpathSync(file) : file
  const mode = isThere ? statSync(target).mode & 0o777 : 0o600
  const write = async (temporary: string) => {
    writeFileSync(temporary, content, { mode: 0o600, flag: 'wx' })
    await verify?.(temporary)
  }
  await replaceFile(target, write, mode).catch(cause => refuse('written', file, cause))
}

function doing<T>(what: string, file: string, action: () => T): T {
  try {
    return action()
  } catch (cause) {
    return refuse(what, file, cause)
  }
}

function refuse(what: string, file: string, cause: unknown): never {
  if (cause instanceof Failure) throw cause
  throw new Failure(exitCode.usage, `${file} cannot be ${what}.`, { why: (cause as Error).message, cause })
}
