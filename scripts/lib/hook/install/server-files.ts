import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { copyingServerFiles, serverFolder } from '../../protocol/server-files.ts'
import { replaceFile } from '../../shared/replace-file.ts'
import { existingFolder, isFolder, isWritable } from '../place.ts'
import { hasContent } from './hook-files.ts'

/**
 * Copies what belongs on the server beside the hook, such as units and the commands that need root, to a folder in the
 * repository, as a whole. This comes before all checks: root may have to install git first.
 *
 * @returns whether it has copied anything
 */
export async function placeServerFiles(repository: string, from: string): Promise<boolean> {
  const place = join(repository, serverFolder)
  const isRepository = existsSync(join(repository, 'HEAD')) && existsSync(join(repository, 'objects'))
  // Otherwise the checks say what is wrong.
  if (!(isRepository || isNewRepository(repository)) || !isWritable(existingFolder(repository))) return false
  if (hasSameFiles(from, place)) {
    console.log(`KEEPING THE FILES FOR THE SERVER (${place}) ...`)
    return false
  }
  console.log(`${copyingServerFiles} (${place}) ...`)
  mkdirSync(repository, { recursive: true })
  const old = `${place}.before`
  rmSync(old, { recursive: true, force: true })
  if (existsSync(place)) renameSync(place, old)
  await replaceFile(place, temporary => cpSync(from, temporary, { recursive: true, dereference: true }), 0o700)
  rmSync(old, { recursive: true, force: true })
  return true
}

/** Whether a repository can be made there: there is nothing, or only what was put there for root. */
export const isNewRepository = (repository: string) =>
  !existsSync(repository) || (isFolder(repository) && readdirSync(repository).every(isOurs))

const isOurs = (name: string) => name === serverFolder || name.startsWith(`${serverFolder}.`)

function hasSameFiles(one: string, other: string): boolean {
  const [files, others] = [one, other].map(folder =>
    isFolder(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : [],
  ) as [string[], string[]]
  if (!isFolder(other) || files.join('\0') !== others.join('\0')) return false
  const isSame = (a: string, b: string) => (isFolder(a) ? isFolder(b) : hasContent(b, readFileSync(a)))
  return files.every(file => isSame(join(one, file), join(other, file)))
}
