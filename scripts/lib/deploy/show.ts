import { resolve } from 'node:path'
import { type DeploymentRecord, findUndone } from '../protocol/record.ts'
import type { Running } from '../protocol/running.ts'
import { misuse } from '../shared/arguments.ts'
import { exitCode } from '../shared/program.ts'
import { typed } from './called-as.ts'
import { findNamedCommit, type Session } from './clone.ts'
import { readHistory, readSubjects, summarize } from './history.ts'
import type { Terminal } from './history-lines.ts'
import { printJson } from './json.ts'
import { readLog } from './logs.ts'
import { readRunning } from './running.ts'
import { readRefs } from './server-refs.ts'

export async function showStatus(session: Session): Promise<number> {
  await session.connected
  // One after the other: what ssh says is for the first that fails, and the second keeps it to itself.
  const refs = await readRefs(session)
  const records = await readHistory(session, refs)
  const running = await readRunning(session, refs)
  const summary = summarize(records)
  if (session.options.json) printJson({ ...summary, running: running ?? null })
  else await showStatusLines(session, records, running)
  return exitCode.live
}

async function showStatusLines(session: Session, records: readonly DeploymentRecord[], running: Running | undefined) {
  const { settings, options, $ } = session
  const { formatStatusLines } = await import('./status-lines.ts')
  const { BRANCH_NAME: branch, STAGING_REMOTE_REPO: remote, APP_URL: url } = settings
  const { live, failed } = summarize(records)
  const ids = [
    ...records.slice(0, 1).flatMap(({ kept = [] }) => kept),
    live,
    failed,
    running,
    { commit: records[0]?.previous },
  ]
  const commits = ids.flatMap(each => each?.commit ?? [])
  const [subjects, counted] = await Promise.all([
    readSubjects(session, commits),
    $`exec git rev-list --count ${`${live?.commit}..refs/heads/${branch}`} --`.nothrow(),
  ])
  const status = {
    place: `${branch} on ${remote.url}`,
    url,
    records,
    live,
    failed,
    running,
    subjects,
    ahead: counted.ok ? Number(counted.stdout) : undefined,
    branch,
    type: (command: string) => typed(command, options),
  }
  console.log(formatStatusLines(status, whereItIsShown()))
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
  else if (records.length === 0) console.log('Nothing was ever deployed.')
  else {
    const commits = shown.map(({ commit }) => commit)
    const subjects = await readSubjects(session, commits)
    const { formatLines } = await import('./history-lines.ts')
    const known = { live: summarize(records).live, undone: findUndone(records), subjects }
    const lines = formatLines(shown, known, whereItIsShown())
    if (isAtTerminal) {
      const { page } = await import('./pager.ts')
      await page(session, older > 0 ? `${lines}\n${older} older: ${typed('history --all', options)}` : lines)
    } else console.log(lines)
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

const whereItIsShown = (): Terminal => ({
  columns: process.stdout.isTTY ? process.stdout.columns || 80 : undefined,
  now: Date.now(),
})

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

/** Reads only what the server's refs have: nothing is asked of the hook. */
export async function showMetrics(session: Session): Promise<number> {
  await session.connected
  const { formatMetrics } = await import('./metrics.ts')
  const { BRANCH_NAME: branch, STAGING_REMOTE_REPO: remote } = session.settings
  const records = await readHistory(session)
  const ids = records.slice(0, 1).concat(summarize(records).live ?? [])
  const subjects = await readSubjects(
    session,
    ids.map(({ commit }) => commit),
  )
  const metrics = formatMetrics({ repository: remote.url, branch }, records, subjects)
  if (session.argument === undefined) process.stdout.write(metrics)
  else await (await import('./output-file.ts')).writeOutput('The metrics', resolve(session.argument), metrics)
  return exitCode.live
}
