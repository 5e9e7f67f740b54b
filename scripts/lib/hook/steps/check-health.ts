import { setTimeout as sleep } from 'node:timers/promises'
import type { StepContext } from '../context.ts'
import { verifyTakenOver } from '../taking-over.ts'
import * as restart from './restart.ts'

/** A server may take so long to see that its WSGI file was touched: until then the old code answers. */
const noticeMilliseconds = 2_000

export function name({ settings: { HEALTH_CHECK_URL: url } }: StepContext): string {
  // Without a password or a token that is in the address.
  return `CHECKING HEALTH (${url?.origin}${url?.pathname})`
}

export const isNeeded = ({ plan, settings }: StepContext) => plan.application && settings.HEALTH_CHECK_URL !== undefined

/** @throws Failure where the application does not answer, or still runs from the release that was replaced */
export async function run(context: StepContext): Promise<void> {
  const { settings, commit, repository, deployment, release, replaced } = context
  const { HEALTH_CHECK_URL, HEALTH_CHECK_TIMEOUT, RESTART } = settings
  if (HEALTH_CHECK_URL === undefined) return
  const { verifyHealthy } = await import('../health.ts')
  const { log } = deployment
  const expected = { url: HEALTH_CHECK_URL, commit, repository }
  const verifyAnswer = () => verifyHealthy(expected, HEALTH_CHECK_TIMEOUT)

  if (RESTART === undefined) await sleep(noticeMilliseconds)
  await verifyAnswer()
  if (replaced === undefined) return
  const remind = async () => {
    if (RESTART === undefined) await restart.run({ ...context, replaced: undefined })
  }
  const remaining = await verifyTakenOver(replaced.path, release.path, HEALTH_CHECK_TIMEOUT, remind)
  if (remaining) log.say(`STILL RUNNING FROM RELEASE ${replaced.number}, WHICH RESTART DOES NOT REACH: ${remaining}`)
  // What answered before may have been the old code.
  await verifyAnswer()
}
