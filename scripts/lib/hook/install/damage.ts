import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { isCommitId } from '../../protocol/ids.ts'
import { deployRefs } from '../../protocol/record.ts'
import { readStateFile } from '../state-file.ts'
import { gitIn } from './checks.ts'

/**
 * Removes what a power cut has left empty: objects, and the refs that need them or are empty themselves. git refuses every
 * push to a repository with such a ref, before any hook runs. A ref goes back to what it was last, as far as its log and
 * packed-refs tell; otherwise the next push brings it again.
 *
 * @returns messages
 */
export async function removeDamaged(repository: string, branch: string): Promise<string[]> {
  const git = gitIn(repository)({ nothrow: true })
  // git writes an object to another name first: none is empty for a moment only.
  const { stdout } = await git`find objects -type f -path ${'objects/??/*'} -empty -print -delete`
  const removed = stdout.split('\n').filter(Boolean)
  const notes = removed.length > 0 ? [`${removed.length} empty objects were removed`] : []
  const isSound = async (id: string) =>
    // Only where an object is gone, all of them have to be looked at.
    (removed.length > 0 ? await git`git rev-list --objects --quiet ${id} --` : await git`git cat-file -e ${id}`).ok
  const isRefSound = async (ref: string) => {
    const loose = readStateFile(join(repository, ref))
    // A symbolic one is the administrator's.
    if (loose?.startsWith('ref: ')) return true
    const isReadable = loose === undefined || isCommitId(loose.replace(/\n$/, ''))
    const { ok, stdout: id } = await git`git rev-parse --quiet --verify ${ref}`
    return isReadable && (!ok || isSound(id.trim()))
  }
  const tags = removed.length > 0 ? (await git`git for-each-ref --format=${'%(refname)'} refs/tags`).stdout : ''
  // A branch that was deployed before stops the pushes, too. git does not list refs that are damaged.
  const { stdout: loose } = await git`find refs/deploy -type f ! -name ${'*.lock'}`
  const { stdout: packed } = await git`git for-each-ref --format=${'%(refname)'} refs/deploy`
  const listed = [tags, loose, packed].flatMap(list => list.split('\n').filter(Boolean))
  for (const ref of new Set([`refs/heads/${branch}`, ...Object.values(deployRefs(branch)), ...listed])) {
    if (await isRefSound(ref)) continue
    const { stdout: id } = await git`git rev-parse --quiet --verify ${ref}`
    rmSync(join(repository, ref), { force: true })
    // git removes the log, too.
    const before = readLog(join(repository, 'logs', ref))
    // It may be packed.
    if (!(await isRefSound(ref))) await git`git update-ref --no-deref -d ${ref}`
    for (const id of before) {
      if (!(await isSound(id))) continue
      await git`git update-ref ${ref} ${id}`
      break
    }
    const now = (await git`git rev-parse --quiet --verify ${ref}`).stdout.trim()
    notes.push(
      `${ref} was damaged: it named ${id.trim() || 'nothing'}, and ${now ? `is at ${now} again` : 'is removed: what is needed of it comes again with a push'}`,
    )
  }
  return notes
}

/** What a ref was, the newest first. */
function readLog(file: string): string[] {
  const lines = (readStateFile(file) ?? '').split('\n').reverse()
  return lines.map(line => line.split(' ')[1] ?? '').filter(isCommitId)
}
