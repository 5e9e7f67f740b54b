import { resolve } from 'node:path'
import { type DeploymentRecord, findUndone } from '../protocol/record.ts'
import { misuse } from '../shared/arguments.ts'
import { exitCode } from '../shared/program.ts'
import { typed } from './called-as.ts'
import { findNamedCommit, type Session } from './clone.ts'
import { readHistory, readSubjects, summarize } from './history.ts'
import type { formatLines } from './history-lines.ts'
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

/** How many deployments a terminal shows. */
const shownAtOnce = 20

export async function showHistory(session: Session): Promise<number> {
  const { options, connected } = session
  const isAtTerminal = process.stdout.isTTY === true && !options.json
  const limit = readLimit(options, isAtTerminal ? shownAtOnce : undefined)
  await connected
  const records = await readHistory(session)
  const shown = records.slice(0, limit)
  const older = records.length - shown.length
  if (options.json) printJson(shown)
  else if (!isAtTerminal) console.log(formatHistory(shown))
  else {
    const { live } = summarize(records)
    const lines = await formatForTerminal(session, shown, live, { hasHead: true, undone: findUndone(records) })
    const { page } = await import('./pager.ts')
    await page(session, older > 0 ? `${lines}\n${older} older: ${typed('history --all', options)}` : lines)
  }
  return exitCode.live
}

/** Undefined for all. @throws Failure (usage) for what is no number of deployments */
function readLimit({ number, all }: Session['options'], usual: number | undefined): number | undefined {
  if (all && number !== undefined) throw misuse('deploy history', '--all and -n exclude each other')
  if (all || number === undefined) return all ? undefined : usual
  if (!/^[1-9]\d{0,8}$/.test(number)) throw misuse('deploy history', `-n ${number} is no number of deployments`)
  return Number(number)
}

async function formatForTerminal(
  session: Session,
  records: readonly DeploymentRecord[],
  live: DeploymentRecord | undefined,
  shape?: Parameters<typeof formatLines>[4],
): Promise<string> {
  if (records.length === 0) return formatHistory(records)
  const { formatLines } = await import('./history-lines.ts')
  const subjects = await readSubjects(
    session,
    records.map(({ commit }) => commit),
  )
  return formatLines(records, live, subjects, { columns: process.stdout.columns ?? 80, now: Date.now() }, shape)
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
