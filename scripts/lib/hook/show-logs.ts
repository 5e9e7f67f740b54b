import { statSync } from 'node:fs'
import { endOfLogs, formatLogTitle } from '../protocol/logs.ts'
import { listLogs, logFolder } from './log.ts'
import type { Relay } from './relay.ts'

/** How much of a log is shown, alone or as one of all: bytes at its end, where it tells what went wrong. */
const mostBytes = { log: 1_000_000, logs: 20_000 }

/** Shows logs that are kept: the newest, that of the newest deployment of a commit, or all of them. */
export function showLogs(gitDir: string, verb: 'log' | 'logs', commit: string | undefined, relay: Relay): void {
  const newestFirst = listLogs(logFolder(gitDir)).reverse()
  const logs = newestFirst.filter(log => log.commit.startsWith(commit ?? ''))
  for (const { file, ...title } of verb === 'logs' ? logs : logs.slice(0, 1)) {
    const { size } = statSync(file)
    const skipped = Math.max(0, size - mostBytes[verb])
    relay.say(formatLogTitle({ ...title, skipped }))
    relay.endQuote(relay.quote(file, skipped), size)
  }
  relay.say(endOfLogs)
}
