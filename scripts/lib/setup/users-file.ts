import { existsSync, lstatSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { exitCode, Failure } from '../shared/program.ts'
import { replaceFile } from '../shared/replace-file.ts'

/** A file's text, or nothing where there is no file. */
export function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

/**
 * Puts new content into a file in one step, so that nobody ever sees a half of it: into the file that a symbolic link
 * leads to, with the mode that it had, or 600.
 *
 * @throws Failure (usage) for a symbolic link that leads nowhere
 * @param verify looks at the new content in a file of its own beforehand; what it throws leaves the old one in place
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
