import { resolve } from 'node:path'
import type { DeploymentRecord } from '../protocol/record.ts'
import { exitCode } from '../shared/program.ts'
import { findNamedCommit, type Session } from './clone.ts'
import { readCommits, readHistory, summarize } from './history.ts'
import { formatBefore, formatHistory, formatKept, formatStatus } from './history-text.ts'
import { printJson } from './json.ts'
import { readLog } from './logs.ts'

export async function showStatus(session: Session): Promise<number> {
  await session.connected
  const records = await readHistory(session)
  const summary = summarize(records)
  if (session.options.json) printJson(summary)
  else if (process.stdout.isTTY) {
    const shown = [summary.live, summary.failed].filter(record => record !== undefined)
    const deployments = await formatForTerminal(session, shown, summary.live)
    console.log([...formatBefore(records), deployments, ...formatKept(records)].join('\n'))
  } else console.log(formatStatus(records))
  return exitCode.live
}

export async function showHistory(session: Session): Promise<number> {
  await session.connected
  const records = await readHistory(session)
  if (session.options.json) printJson(records)
  else if (process.stdout.isTTY) console.log(await formatForTerminal(session, records, summarize(records).live))
  else console.log(formatHistory(records))
  return exitCode.live
}

async function formatForTerminal(
  session: Session,
  records: readonly DeploymentRecord[],
  live: DeploymentRecord | undefined,
): Promise<string> {
  if (records.length === 0) return formatHistory(records)
  const { formatLines } = await import('./history-lines.ts')
  const { subjects } = await readCommits(
    session,
    records.map(({ commit }) => commit),
  )
  return formatLines(records, live, subjects, { columns: process.stdout.columns ?? 80, now: Date.now() })
}

export async function showLog(session: Session): Promise<number> {
  const named = await findNamedCommit(session, session.argument)
  await session.connected
  const { commit, started, text, skipped } = await readLog(session, named)
  console.log(`${commit}, deployed at ${started}:`)
  if (skipped > 0) console.log(`(its first ${skipped} bytes are left out)`)
  console.log(text)
  return exitCode.live
}

export async function writeReport(session: Session): Promise<number> {
  await session.connected
  const { makeReport } = await import('./report.ts')
  const file = resolve(session.argument ?? 'report.html')
  await makeReport(session, file)
  console.log(`The report is in ${file}.`)
  return exitCode.live
}
