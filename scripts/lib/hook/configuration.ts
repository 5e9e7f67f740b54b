import { constants, copyFileSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile } from '../shared/replace-file.ts'

/**
 * Changes the repository's configuration in one step, and without git's lock on it: a git that is killed leaves that, and
 * then every other git refuses to write there.
 *
 * @param change changes a copy, by `git config --file`
 */
export async function changeConfiguration(repository: string, change: (file: string) => Promise<void>): Promise<void> {
  const file = realpathSync(join(repository, 'config'))
  const changeCopy = async (copy: string) => {
    copyFileSync(file, copy, constants.COPYFILE_EXCL)
    await change(copy)
  }
  await replaceFile(file, changeCopy, statSync(file).mode & 0o777)
}
