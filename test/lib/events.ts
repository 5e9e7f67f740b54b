import { setTimeout as sleep } from 'node:timers/promises'

const patienceMilliseconds = 30_000

/** Waits until something has happened, looking often. @throws Error that names it when it does not happen */
export async function waitFor(what: string, hasHappened: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + patienceMilliseconds
  while (!(await hasHappened())) {
    if (Date.now() > end) throw new Error(`Did not happen: ${what}`)
    await sleep(10)
  }
}
