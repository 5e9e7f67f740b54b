import { lstatSync, realpathSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { exitCode, Failure } from '../shared/program.ts'
import { replaceFile } from '../shared/replace-file.ts'

/**
 * Writes what a command makes to the file that was named. A file is replaced in one step, where a link leads to it as
 * well. A device, such as /dev/stdout, or a pipe is not.
 *
 * @param what for people: "The report"
 * @throws Failure (usage) where it cannot be written
 */
export async function writeOutput(what: string, file: string, text: string): Promise<void> {
  try {
    const isThere = lstatSync(file, { throwIfNoEntry: false }) !== undefined
    // A link that leads nowhere is no file yet: writing makes it.
    const isFile = statSync(file, { throwIfNoEntry: false })?.isFile()
    if (isThere && !isFile) await writeFile(file, text)
    else await replaceFile(isThere ? realpathSync(file) : file, text, 0o644)
  } catch (cause) {
    throw new Failure(exitCode.usage, `${what} cannot be written to ${file}.`, { why: String(cause), cause })
  }
}
