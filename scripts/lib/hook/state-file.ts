import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { exitCode, Failure } from '../shared/program.ts'

/**
 * Replaces a file of the hook's own, so that a kill, a full disk or a power cut leaves the old content or the new one.
 * Needs no room on the disk where nothing has changed.
 *
 * @param isLasting whether a power cut right after it may not bring the old content back; costs a wait for the disk
 * @throws Failure where it cannot be written; the old content is still there then
 */
export function replaceStateFile(file: string, content: string, isLasting = false): void {
  if (readStateFile(file) === content) return
  const temporary = `${file}.new`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const fd = openSync(temporary, 'w', 0o600)
    try {
      // Not writeSync, which is content with what fits on the disk.
      writeFileSync(fd, content)
      if (isLasting) fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, file)
  } catch (cause) {
    throw new Failure(exitCode.failed, `${file} cannot be written.`, { why: String(cause), cause })
  }
}

/** The content, or undefined where it cannot be read: it is not there, is a folder, or is not permitted. */
export function readStateFile(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
