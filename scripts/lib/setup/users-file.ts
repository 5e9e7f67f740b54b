import { existsSync, lstatSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { exitCode, Failure } from '../shared/program.ts'
import { replaceFile } from '../shared/replace-file.ts'

/** A file's text; empty if there is no file. */
export function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

/**
 * Replaces the content of a file in one step, so that no reader sees half of it. Follows a symbolic link. The file keeps
 * its mode; a new one gets 600.
 *
 * @param verify checks the new content in a temporary file first; if it throws, the old content stays
 * @throws Failure (usage) for a symbolic link to a file that is not there
 */
export async function replaceUsersFile(
  file: string,
  content: Uint8Array,
  verify?: (file: string) => Promise<void>,
): Promise<void> {
  const isThere = existsSync(file)
  if (!isThere && lstatSync(file, { throwIfNoEntry: false })) {
    throw new Failure(exitCode.usage, `${file} is a symbolic link to a file that is not there.`, {
      fix: 'make that file, or remove the link, and run this again',
    })
  }
  const target = isThere ? realpathSync(file) : file
  const mode = isThere ? statSync(target).mode & 0o777 : 0o600
  const write = async (temporary: string) => {
    writeFileSync(temporary, content, { mode: 0o600, flag: 'wx' })
    await verify?.(temporary)
  }
  await replaceFile(target, write, mode)
}
