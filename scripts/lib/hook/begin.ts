import { isRollback } from '../protocol/asks.ts'
import { formatAnnouncement } from '../protocol/steps.ts'
import type { Context } from './context.ts'
import { Deployment } from './deployment.ts'
import { thisUser } from './folder-mode.ts'
import { allButDatabase } from './journal.ts'
import { DeploymentLog, logFolder } from './log.ts'
import { identifyProcess } from './processes.ts'
import { findServed } from './served.ts'
import { identifySettings } from './settings.ts'

/**
 * Begins a deployment: opens its log, and writes it down in the journal. No step runs before each release has a git of
 * its own.
 *
 * @throws Failure where neither can be written; nothing has begun then
 */
export async function beginDeployment(commit: string, context: Context): Promise<Deployment> {
  const { ask, object, branch, last, refs, tipAtArrival, repository, releases, journal, relay, settings } = context
  releases.separate()
  await repository.syncPushes()
  const [served, subject] = await Promise.all([findServed(context), repository.subject(commit)])
  const previous = served?.commit
  if (settings.ACCEPT === 'any' || refs.kept) await repository.keep([commit, previous], branch, refs)
  const origin = await repository.origin(object)
  const started = Date.now()
  const log = new DeploymentLog(logFolder(repository.gitDir), new Date(started), commit, relay)
  const isToPrevious = isRollback(ask.verb) && ask.commit === undefined
  if (isRollback(ask.verb)) {
    const reason = isToPrevious ? `, which was live before ${previous}` : ''
    log.say(formatAnnouncement(`GOING BACK TO ${commit}${reason}`))
  }
  const shutdown = new AbortController()
  process.on('SIGTERM', () => shutdown.abort())
  // Without a last deployment in the journal, anything may have been changed since the live one.
  const unknown = refs.live === undefined ? {} : Object.fromEntries(allButDatabase.map(part => [part, true]))
  const entry = {
    number: (last?.number ?? 0) + 1,
    commit,
    subject,
    served,
    previous,
    verb: ask.verb,
    isToPrevious,
    tip: isRollback(ask.verb) ? tipAtArrival : refs.tip,
    who: whoPushed(),
    ...origin,
    log: log.file,
    started,
    settingsFile: identifySettings(),
    hook: identifyProcess(process.pid),
    steps: [],
    usual: { ...last?.usual },
    known: last?.known,
    databaseProblem: last?.databaseProblem,
    touched: last ? { ...last.touched } : unknown,
  }
  return new Deployment(entry, journal, log, shutdown.signal, settings.STEP_TIMEOUT)
}

/** sshd tells where a login came from, and not which person it was. */
function whoPushed(): string {
  const [address] = process.env.SSH_CONNECTION?.split(' ') ?? []
  return `${process.env.USER || thisUser()}${address ? ` from ${address}` : ''}`
}
