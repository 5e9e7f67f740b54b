import type { Session } from './clone.ts'
import { computeFigures } from './dora.ts'
import { readChanges, readHistory, readSubjects, summarize } from './history.ts'
import { readLogs } from './logs.ts'
import { writeOutput } from './output-file.ts'
import { renderReport } from './report-page.ts'
import { readRefs } from './server-refs.ts'
import { formatInstant } from './times.ts'

/** Writes a page of all deployments. @throws Failure where the server cannot be asked, or the file cannot be written */
export async function makeReport(session: Session, file: string): Promise<void> {
  const refs = await readRefs(session)
  const records = await readHistory(session, refs)
  const ids = records.map(({ commit }) => commit)
  const [subjects, changes] = await Promise.all([readSubjects(session, ids), readChanges(session, records)])
  const figures = computeFigures(records, changes, Date.now())
  const before = computeFigures(records, changes, figures.from - 1)
  const logs = new Map(
    (await readLogs(session, refs)).map(({ commit, started, text }) => [`${commit} ${started}`, text]),
  )
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
  await writeOutput('The report', file, page)
}
