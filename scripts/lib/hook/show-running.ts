import { join } from 'node:path'
import { endOfRunning, formatRunning } from '../protocol/running.ts'
import { nameInTitle } from '../protocol/steps.ts'
import { Journal } from './journal.ts'
import { isRunning } from './processes.ts'
import type { Relay } from './relay.ts'

/** Tells of the deployment that runs. It does not wait for its end, as a deployment would. */
export function showRunning(gitDir: string, relay: Relay): void {
  const entry = new Journal(join(gitDir, 'pushlive', 'journal')).read()
  if (entry?.hook && entry.outcome === undefined && isRunning(entry.hook)) {
    const { commit, subject, who, by, started, steps, stepBegan } = entry
    const last = steps.at(-1)
    const step = last && { step: nameInTitle(last.name), stepSeconds: secondsSince(stepBegan ?? started) }
    relay.say(formatRunning({ commit, subject, who, by, seconds: secondsSince(started), ...step }))
  }
  relay.say(endOfRunning)
}

/** @param time milliseconds since 1970. A clock that was set back tells of no time below zero. */
const secondsSince = (time: number) => Math.max(0, Math.round((Date.now() - time) / 1000))
