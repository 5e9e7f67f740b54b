import { setTimeout as sleep } from 'node:timers/promises'
import type { StepContext } from '../context.ts'

/** A server may take so long to see that its WSGI file was touched: until then the old code answers. */
const noticeMilliseconds = 2_000

export function name({ settings: { HEALTH_CHECK_URL: url } }: StepContext): string {
  // Without a password or a token that is in the address.
  return `CHECKING HEALTH (${url?.origin}${url?.pathname})`
}

export const isNeeded = ({ plan, settings }: StepContext) => plan.application && settings.HEALTH_CHECK_URL !== undefined

/** @throws Failure where the application does not answer */
export async function run(context: StepContext): Promise<void> {
  if (context.settings.RESTART === undefined) await sleep(noticeMilliseconds)
  await verifyAnswer(context)
}

/** Asks HEALTH_CHECK_URL, if it is set. @throws Failure where the application does not answer */
export async function verifyAnswer({ settings, commit, repository }: StepContext): Promise<void> {
  const { HEALTH_CHECK_URL: url, HEALTH_CHECK_TIMEOUT } = settings
  if (url === undefined) return
  const { verifyHealthy } = await import('../health.ts')
  await verifyHealthy({ url, commit, repository }, HEALTH_CHECK_TIMEOUT)
}
