import type { Ask } from '../protocol/asks.ts'
import { endOfLogs, type LogTitle, parseLogTitle } from '../protocol/logs.ts'
import { harmless } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { askHook } from './ask-hook.ts'
import type { Session } from './clone.ts'
import { readRefs, showOurHook } from './server-refs.ts'

export interface Log extends LogTitle {
  readonly text: string
}

/** The log of the newest deployment, of all or of a commit. @throws Failure (failed) where none is kept */
export async function readLog(session: Session, commit: string | undefined): Promise<Log> {
  const [log] = await askForLogs(session, { verb: 'log', commit }, await readRefs(session))
  if (log !== undefined) return log
  throw new Failure(exitCode.failed, `The server has no log of ${commit ?? 'any deployment'}.`, {
    fix: 'deploy history lists what was deployed; the newest 50 logs are kept',
  })
}

/** The ends of all logs that are kept, newest first. */
export const readLogs = (session: Session, refs: ReadonlyMap<string, string>) =>
  askForLogs(session, { verb: 'logs', commit: undefined }, refs)

/** @throws Failure where the server cannot be asked, or another hook would take the question for a push */
async function askForLogs(session: Session, ask: Ask, refs: ReadonlyMap<string, string>): Promise<Log[]> {
  if (!showOurHook(refs)) return []
  const { answer } = await askHook(session, ask, endOfLogs)
  const logs: { title: LogTitle; lines: string[] }[] = []
  for (const line of answer) {
    const title = parseLogTitle(line)
    if (title) logs.push({ title, lines: [] })
    // What is quoted is indented; an empty line is not.
    else if (line === '' || line.startsWith('    ')) logs.at(-1)?.lines.push(harmless(line.slice(4)))
  }
  return logs.map(({ title, lines }) => ({ ...title, text: lines.join('\n') }))
}
