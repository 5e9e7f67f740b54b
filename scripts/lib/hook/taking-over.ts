import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCode, Failure } from '../shared/program.ts'
import type { Context, DeploymentContext } from './context.ts'
import { socketsAt } from './listening-sockets.ts'
import {
  describeProcesses,
  followsAtRequest,
  isBystander,
  isProxy,
  isShell,
  type ReleaseProcess,
} from './release-processes.ts'
import { isInUse, type Release } from './releases.ts'
import type { HookSettings } from './settings.ts'

/** For a server that finishes its requests. */
const graceSeconds = 5
const pollMilliseconds = 100

/**
 * Checks that no process runs from the release that is to be used again: its files would change under it. One that is
 * about to end is waited for.
 *
 * @throws Failure that says which processes run there
 */
export async function verifyUnused(
  release: Release,
  processes: readonly ReleaseProcess[],
  { releases, deployment }: DeploymentContext,
): Promise<void> {
  const { number } = release
  let found = processes
  if (isInUse(release, found)) {
    const end = deployment.begin('CHOOSING A RELEASE')
    const began = process.uptime()
    while (isInUse(release, found)) {
      if (process.uptime() - began > graceSeconds) {
        const there = found.filter(each => each.releases.has(number) && !isBystander(each))
        throw new Failure(exitCode.failed, `Release ${number} is next, and is in use: ${describeProcesses(there)}.`, {
          fix: 'end what runs there, let RESTART end it at each deployment, or keep more RELEASES',
        })
      }
      await sleep(pollMilliseconds)
      found = releases.processes()
    }
    end()
  }
  const bystanders = found.filter(each => each.releases.has(number))
  if (bystanders.length > 0)
    deployment.log.say(`IN RELEASE ${number}, WHICH IS USED AGAIN: ${describeProcesses(bystanders)}`)
}

/** Who runs, and who of them serves, once the application was told to restart. */
export interface Running {
  /** Processes that run from another release than the one that is to serve. */
  readonly others: readonly ReleaseProcess[]
  /** Servers among them. */
  readonly otherServers: readonly ReleaseProcess[]
  /** The same where they serve in place of the release. */
  readonly staying: readonly ReleaseProcess[]
  /** Whether a server of the release listens. */
  readonly isServed: boolean
}

/**
 * Looks which release the application runs from. Where the health check's address is on this machine, and what listens
 * there runs from a release, that alone decides; else, as behind a proxy, any server does.
 */
export async function findRunning({ number }: Release, { releases, settings }: Context): Promise<Running> {
  const { HEALTH_CHECK_URL: url } = settings
  const processes = releases.processes()
  // A server that has changed its folder, but was started from another release, still has that one's packages.
  const belongs = ({ releases, startedFrom = number }: ReleaseProcess) => releases.has(number) && startedFrom === number
  const isOther = (each: ReleaseProcess) => !isShell(each) && [...each.releases].some(other => other !== number)
  const servers = processes.filter(each => each.listens && !(url === undefined && followsAtRequest(each)))
  const [others, otherServers] = [processes.filter(isOther), servers.filter(isOther)]
  if (otherServers.length === 0) return { others, otherServers, staying: [], isServed: servers.some(belongs) }

  const asked = url === undefined ? [] : await socketsAt(url)
  const holders = asked
    .map(({ inode }) => processes.filter(each => each.sockets.includes(inode) && !isProxy(each)))
    .filter(each => each.length > 0)
  const staying = (holders.length > 0 ? holders : [servers]).filter(each => !each.some(belongs)).flat()
  return { others, otherServers, staying: staying.filter(isOther), isServed: staying.length === 0 }
}

/**
 * Checks that a release has taken over from the others. A web server that was told to restart and silently stays where it
 * was would pass every health check.
 *
 * @param isBlamed whether a server that stays in another release counts
 * @param remind tells the server again: uWSGI misses a touch while it reloads
 * @returns who runs at last: beside a server of the release, a server of another one may be left
 * @throws Failure where only servers of others are found
 */
export async function verifyTakenOver(
  release: Release,
  context: Context,
  isBlamed: (server: ReleaseProcess) => boolean,
  remind: () => Promise<void>,
): Promise<Running> {
  const { HEALTH_CHECK_URL: url, HEALTH_CHECK_TIMEOUT: timeout } = context.settings
  const began = process.uptime()
  let reminded = 0
  for (;;) {
    const running = await findRunning(release, context)
    const staying = running.staying.filter(isBlamed)
    const hasMoved = staying.length === 0
    const seconds = process.uptime() - began
    // A server that starts itself anew runs from no release for a moment. A health check will wait for it.
    const isAway = url === undefined && context.releases.haveServed && !running.isServed && seconds <= timeout
    const mayLeave = running.otherServers.length > 0 && seconds <= Math.min(graceSeconds, timeout)
    if (hasMoved && !isAway && !mayLeave) return running
    if (!hasMoved && seconds > timeout) {
      throw new Failure(exitCode.failed, describeStaying(staying, release), {
        fix: 'let RESTART end it and start a new one; examples/ has servers that follow the link',
      })
    }
    if (!hasMoved && seconds - reminded > graceSeconds) {
      await remind()
      reminded = seconds
    }
    await sleep(pollMilliseconds)
  }
}

/** That the application runs from others than this release, and which processes it is. */
export function describeStaying(staying: readonly ReleaseProcess[], { number, path }: Release): string {
  const others = new Set(staying.flatMap(({ releases }) => [...releases]).filter(each => each !== number))
  const folders = [...others].map(each => join(dirname(path), `${each}`)).join(' and ')
  return `The application still runs from ${folders}: ${describeProcesses(staying)}.`
}

/** Why nobody has asked whether the application answers. @param isServed whether a server of the release listens */
export const findNotChecked = ({ HEALTH_CHECK_URL }: HookSettings, isServed = false) =>
  HEALTH_CHECK_URL || isServed ? undefined : 'HEALTH_CHECK_URL is empty'
