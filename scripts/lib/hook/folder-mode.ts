import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, type Stats, statSync } from 'node:fs'
import { exitCode, Failure } from '../shared/program.ts'
import { inside, namesIn, toText } from './git-paths.ts'

/** What a mode permits to a file's group and to others, to read it or to enter it. */
const [group, others] = [0o050, 0o005] as const

/**
 * Makes a folder, and gives it owner, group and mode of another one, as far as this user may. That one may be gone.
 *
 * @returns messages for the log, about a folder that is new
 * @throws Failure where those could not enter it who can enter the other one
 */
export function makeFolderLike(folder: string, model: string): string[] {
  const isNew = mkdirSync(folder, { recursive: true }) !== undefined
  const wanted = statSync(model, { throwIfNoEntry: false })
  if (wanted === undefined) return []
  const { uid, gid, mode } = statSync(folder)
  if (uid !== wanted.uid) tryTo(() => chownSync(folder, wanted.uid, -1))
  if (gid !== wanted.gid) tryTo(() => chownSync(folder, -1, wanted.gid))
  // After that, because it takes bits of the mode away.
  if (uid !== wanted.uid || gid !== wanted.gid || mode !== wanted.mode) {
    tryTo(() => chmodSync(folder, wanted.mode & 0o7777))
  }
  const found = statSync(folder)
  if (!isAsOpenAs(found, wanted)) {
    const what = `${folder} cannot be as open as ${model}: its web server could not read it.`
    throw new Failure(exitCode.failed, what, {
      why: `It has ${describe(found)}, and ${model} has ${describe(wanted)}.`,
      fix: `as root: usermod --append --groups ${groupName(wanted.gid)} ${thisUser()}, and log in anew; or let others read ${model}`,
    })
  }
  const isSame = found.uid === wanted.uid && found.gid === wanted.gid
  return isNew && !isSame ? [`${folder} HAS ${describe(found)}, and not ${describe(wanted)} as ${model}`] : []
}

/** The same for a folder that is there, unless all who can enter the other one can enter it, too. */
export function openFolderLike(folder: string, model: string): string[] {
  const [found, wanted] = [folder, model].map(path => statSync(path, { throwIfNoEntry: false }))
  return found && wanted && isAsOpenAs(found, wanted) ? [] : makeFolderLike(folder, model)
}

function isAsOpenAs(found: Stats, wanted: Stats): boolean {
  const forOthers = found.mode & others
  const forGroup = found.gid === wanted.gid ? ((found.mode & group) >> 3) | forOthers : forOthers
  return (wanted.mode & others & ~forOthers) === 0 && (((wanted.mode & group) >> 3) & ~forGroup) === 0
}

/**
 * The umask for a new release: files that a web server can read in the folder that serves have to be readable in the new
 * one, although they may have been made by a login with another umask. What most of the files at its top permit counts.
 */
export function umaskLike(serving: string): number {
  const umask = process.umask()
  if (!existsSync(serving)) return umask
  const names = namesIn(serving).filter(name => !toText(name).startsWith('.'))
  const modes = names
    // The application may remove a file meanwhile.
    .map(name => lstatSync(inside(serving, name), { throwIfNoEntry: false }))
    .filter(each => each?.isFile())
    .map(each => each?.mode ?? 0)
  const isUsual = (bit: number) => modes.filter(mode => mode & bit).length * 2 > modes.length
  // Who can read a file has to be able to enter its folder.
  const usual = (isUsual(0o040) ? group : 0) | (isUsual(0o004) ? others : 0)
  const forWriters = statSync(serving).mode & 0o020 && isUsual(0o020) ? 0o020 : 0
  return umask & ~(usual | forWriters)
}

const describe = ({ uid, gid, mode }: Stats) =>
  `${userName(uid)}:${groupName(gid)} ${(mode & 0o7777).toString(8).padStart(4, '0')}`

export const thisUser = () => userName(process.geteuid?.() ?? 0)
export const userName = (uid: number) => nameIn('/etc/passwd', uid) ?? `user ${uid}`
const groupName = (gid: number) => nameIn('/etc/group', gid) ?? `group ${gid}`

/** The name in a file that has it first and its number third in a line. Not all users are there. */
function nameIn(file: string, number: number): string | undefined {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
  return lines.map(line => line.split(':')).find(words => words[2] === String(number))?.[0]
}

/** What is not permitted is looked at afterwards. */
function tryTo(action: () => void): void {
  try {
    action()
  } catch {}
}
