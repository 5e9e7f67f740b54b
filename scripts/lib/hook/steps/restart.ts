import type { StepContext } from '../context.ts'
import { isInRelease, touchWsgi } from '../wsgi.ts'

export const name = 'RESTARTING APPLICATION'

export const touches = () => 'application' as const

export const isNeeded = ({ plan, settings }: StepContext) => plan.application && settings.RESTART !== ''

/** By default touches the WSGI file, unless the switch has just done so: one touch is what the server sees. */
export async function run({ release, releaseSettings, shell, replaced }: StepContext): Promise<void> {
  const { RESTART, PATH_TO_WSGI = '' } = releaseSettings
  if (RESTART !== undefined) return shell.run(RESTART)
  if (replaced === undefined || !isInRelease(PATH_TO_WSGI, release)) await touchWsgi(PATH_TO_WSGI, shell, PATH_TO_WSGI)
}
