import { existsSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { thisUser, userName } from './folder-mode.ts'
import { inside } from './git-paths.ts'
import { isWritable } from './place.ts'
import { listNames } from './work-tree.ts'

/** How files of the web server's user do not come into releases. */
const foreignFilesFix =
  'put their folders into SHARED_PATHS; or run the web server as the user who deploys, or with a group or an ACL by ' +
  'which that user can write there, too. Remove them once, as root'

/** Files of a release that this user cannot remove, in a sentence: they lie in folders of other users. */
function findForeignFiles(release: string): string | undefined {
  const files = list(Buffer.from(release))
  if (files.length === 0) return undefined
  const owners = new Set(files.map(file => userName(lstatSync(file).uid)))
  const names = listNames(files.map(file => String(file).slice(release.length + 1)))
  return `${thisUser()} cannot remove files of ${flatten([...owners].join(' and '))} in ${release}: ${names}.`
}

/** The same for all releases, each with what to do. */
export function findForeignFilesIn(releases: string): string[] {
  const names = existsSync(releases) ? readdirSync(releases).filter(name => /^[1-9]\d*$/.test(name)) : []
  return names.flatMap(name => {
    const found = findForeignFiles(join(releases, name))
    return found === undefined ? [] : `${found} To do: ${foreignFilesFix}.`
  })
}

/** Says which files of other users have made a release impossible to use again, if any have. */
export function explainForeignFiles(release: string, error: unknown): unknown {
  const found = findForeignFiles(release)
  if (found === undefined) return error
  const why = error instanceof Failure ? [error.message, error.why].join('\n') : String(error)
  return new Failure(exitCode.failed, found, { why, fix: foreignFilesFix, cause: error })
}

function list(folder: Buffer): Buffer[] {
  // Where a tool has taken the permission from a folder of this user, as Go does, it is given back.
  const isOurs = lstatSync(folder).uid === process.geteuid?.()
  try {
    const entries = readdirSync(folder, { withFileTypes: true, encoding: 'buffer' })
    if (!isOurs && !isWritable(folder)) return entries.map(({ name }) => inside(folder, name))
    return entries.filter(each => each.isDirectory()).flatMap(({ name }) => list(inside(folder, name)))
  } catch {
    return isOurs ? [] : [folder]
  }
}
