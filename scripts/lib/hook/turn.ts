import { existsSync, mkdirSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ask } from '../protocol/asks.ts'
import { formatWaiting } from '../protocol/steps.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Journal, JournalEntry } from './journal.ts'
import { takeLocks } from './lock.ts'
import { endSession, isDescendantOf, isRunning } from './processes.ts'
import type { Quotation, Relay } from './relay.ts'

/**
 * Waits until no other deployment runs in this repository, nor in this work tree from another repository, and until the
 * command has ended that a killed hook may have left; what this has left is ended. It says what it waits for. If that is
 * a deployment of the same commit, it shows its log.
 *
 * @returns what ends the turn
 * @throws Failure where a folder cannot be made or locked, and for a push by a step of the deployment that runs
 */
export async function takeTurn(
  folders: readonly string[],
  ask: Ask,
  journal: Journal,
  relay: Relay,
): Promise<() => void> {
  const before = journal.read()
  // Not told by its variables, which a CI may have, too, or a NOTIFY that pushes on to another repository.
  if (before?.hook && before.outcome === undefined && isDescendantOf(before.hook)) {
    throw new Failure(exitCode.failed, "A deployment's own step has pushed this, and would wait for itself.")
  }
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
  await waitForOrphan(journal.read(), relay)
  clearInterval(watching)
  for (const [file, quotation] of shown) relay.endQuote(quotation, statSync(file, { throwIfNoEntry: false })?.size ?? 0)
  return endTurn
}

const describeRunning = ({ commit, started, hook }: JournalEntry) =>
  `THE DEPLOYMENT OF ${commit} (running since ${new Date(started).toISOString()}${hook ? `, process ${hook.pid}` : ''})`

async function waitForOrphan(last: JournalEntry | undefined, relay: Relay) {
  const orphan = last?.outcome === undefined ? last?.command : undefined
  if (orphan === undefined) return
  if (isRunning(orphan)) {
    relay.say(formatWaiting(`PROCESS ${orphan.pid} (${orphan.text}), WHICH A KILLED DEPLOYMENT HAS LEFT`))
  }
  while (isRunning(orphan)) await sleep(50)
  await endSession(orphan)
}
