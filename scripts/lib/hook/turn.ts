import { existsSync, mkdirSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ask } from '../protocol/asks.ts'
import { formatWaiting } from '../protocol/steps.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Journal, JournalEntry } from './journal.ts'
import { takeLocks } from './lock.ts'
import { isRunning } from './processes.ts'
import type { Quotation, Relay } from './relay.ts'

/**
 * One deployment at a time in this repository, and in this work tree whoever deploys to it. Also what a killed hook has
 * left running is waited for, and no longer than it runs. Whom the wait is for is said; the log of that deployment is
 * shown if it turns out to be of the very commit that was asked for.
 *
 * @returns what ends the turn
 * @throws Failure where a folder cannot be made or locked
 */
export async function takeTurn(
  folders: readonly string[],
  ask: Ask,
  journal: Journal,
  relay: Relay,
): Promise<() => void> {
  const shown = new Map<string, Quotation>()
  let watching: NodeJS.Timeout | undefined
  const showRunning = () => {
    const running = journal.read()
    if (running === undefined || running.outcome !== undefined || shown.has(running.log)) return
    if (running.commit !== ask.commit || !existsSync(running.log)) return
    relay.say(`It is being deployed already, since ${new Date(running.started).toISOString()}:`)
    shown.set(running.log, relay.quote(running.log, 0))
  }
  const onWait = (folder: string) => {
    const running = journal.read()
    const isOurs = running?.outcome === undefined && running !== undefined
    relay.say(formatWaiting(isOurs ? describeRunning(running) : `ANOTHER DEPLOYMENT TO ${folder}`))
    showRunning()
    watching ??= setInterval(showRunning, 100).unref()
  }
  for (const folder of folders) {
    try {
      mkdirSync(folder, { recursive: true })
    } catch (cause) {
      throw new Failure(exitCode.failed, `The folder ${folder} cannot be made.`, { why: String(cause), cause })
    }
  }
  const endTurn = await takeLocks(folders, onWait)
  await waitForLeftover(journal.read(), relay)
  clearInterval(watching)
  for (const [file, quotation] of shown) relay.endQuote(quotation, statSync(file, { throwIfNoEntry: false })?.size ?? 0)
  return endTurn
}

const describeRunning = ({ commit, started, hook }: JournalEntry) =>
  `THE DEPLOYMENT OF ${commit} (running since ${new Date(started).toISOString()}${hook ? `, process ${hook.pid}` : ''})`

async function waitForLeftover(last: JournalEntry | undefined, relay: Relay) {
  const left = last?.outcome === undefined ? last?.command : undefined
  if (left === undefined || !isRunning(left)) return
  relay.say(formatWaiting(`PROCESS ${left.pid} (${left.text}), WHICH A KILLED DEPLOYMENT HAS LEFT`))
  while (isRunning(left)) await sleep(50)
}
