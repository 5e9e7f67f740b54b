import { lstatSync, realpathSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { exitCode, Failure } from '../shared/program.ts'
import { replaceFile } from '../shared/replace-file.ts'
import type { Session } from './clone.ts'
import { computeFigures } from './dora.ts'
import { readChanges, readHistory, readSubjects, summarize } from './history.ts'
import { readLogs } from './logs.ts'
import { renderReport } from './report-page.ts'
import { formatInstant } from './times.ts'

/** Writes a page of all deployments. @throws Failure where the server cannot be asked, or the file cannot be written */
export async function makeReport(session: Session, file: string): Promise<void> {
  const records = await readHistory(session)
  const ids = records.map(({ commit }) => commit)
  const [subjects, changes] = await Promise.all([readSubjects(session, ids), readChanges(session, records)])
  const figures = computeFigures(records, changes, Date.now())
  const before = computeFigures(records, changes, figures.from - 1)
  const logs = new Map((await readLogs(session)).map(({ commit, started, text }) => [`${commit} ${started}`, text]))
  const page = renderReport({
    branch: session.settings.BRANCH_NAME,
    records,
    live: summarize(records).live,
    subjects,
    figures,
    before: before.deployments > 0 ? before : undefined,
    url: session.settings.APP_URL,
    logOf: ({ commit, started }) => logs.get(`${commit} ${formatInstant(started)}`),
  })
  try {
    await writePage(file, page)
  } catch (cause) {
    throw new Failure(exitCode.usage, `The report cannot be written to ${file}.`, { why: String(cause), cause })
  }
}

/** A file is replaced in one step, where a link leads to it as well. A device, such as /dev/stdout, or a pipe is not. */
async function writePage(file: string, page: string): Promise<void> {
  const isThere = lstatSync(file, { throwIfNoEntry: false }) !== undefined
  // A link that leads nowhere is no file yet: writing makes it.
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile()
  if (isThere && !isFile) await writeFile(file, page)
  else await replaceFile(isThere ? realpathSync(file) : file, page, 0o644)
}
