import { existsSync, mkdirSync, statSync } from 'node:fs'
import type { Journal } from './journal.ts'
import { takeLocks } from './lock.ts'
import { exit, Failure } from './program.ts'
import type { Push } from './push.ts'
import type { Quotation, Relay } from './relay.ts'

/**
 * One deployment at a time in this repository, and in this work tree whoever deploys to it. While another one runs, it
 * is named; and its log is shown if it turns out to be of the very commit that was pushed.
 */
export async function takeTurn(folders: readonly string[], push: Push, journal: Journal, relay: Relay) {
  const shown = new Map<string, Quotation>()
  let watching: NodeJS.Timeout | undefined
  const showRunning = () => {
    const running = journal.read()
    if (running === undefined || running.ended !== undefined || shown.has(running.log)) return
    if (running.commit !== push.commit || !existsSync(running.log)) return
    relay.say(`It is being deployed already, since ${new Date(running.started).toISOString()}:`)
    shown.set(running.log, relay.quote(running.log, 0))
  }
  const onWait = (folder: string) => {
    const running = journal.read()
    const whom =
      running === undefined || running.ended !== undefined
        ? `ANOTHER DEPLOYMENT TO ${folder}`
        : `THE DEPLOYMENT OF ${running.commit}, WHICH RUNS SINCE ${new Date(running.started).toISOString()}`
    relay.say(`WAITING FOR ${whom} ...`)
    showRunning()
    watching ??= setInterval(showRunning, 100).unref()
  }
  for (const folder of folders) {
    try {
      mkdirSync(folder, { recursive: true })
    } catch (cause) {
      throw new Failure(exit.failed, `The folder ${folder} cannot be made.`, { why: String(cause), cause })
    }
  }
  const locks = await takeLocks(folders, onWait)
  clearInterval(watching)
  for (const [file, quotation] of shown) relay.endQuote(quotation, statSync(file).size)
  return {
    /** The work tree's lock, for the steps. */
    fd: locks.fds.at(-1) as number,
    release: locks.release,
  }
}
