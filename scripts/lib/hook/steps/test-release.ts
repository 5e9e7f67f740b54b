import type { StepContext } from '../context.ts'
import { isInRelease } from '../wsgi.ts'
import { goesBeyondCode } from './step.ts'

export const name = 'TESTING RELEASE'

export const isNeeded = (context: StepContext) =>
  context.plan.code && goesBeyondCode(context.plan) && smokeTestOf(context) !== ''

export const run = (context: StepContext) => context.shell.run(smokeTestOf(context), loadWsgi)

/** By default it loads the WSGI file, if that is Python's and the release's: what fails to load never gets a request. */
function smokeTestOf({ releases, release, releaseSettings: { SMOKE_TEST, PATH_TO_WSGI } }: StepContext): string {
  if (SMOKE_TEST !== undefined) return SMOKE_TEST
  const canBeLoaded = !releases.isInPlace && PATH_TO_WSGI?.endsWith('.py') && isInRelease(PATH_TO_WSGI, release)
  return canBeLoaded ? 'python3 -c "$LOAD_WSGI" "$PATH_TO_WSGI"' : ''
}

/** A variable of the smoke test, so that its failure does not quote it. */
const loadWsgi = {
  LOAD_WSGI: `
import os, runpy, sys
file = sys.argv.pop(1)
sys.path[0] = os.path.dirname(file)
runpy.run_path(file, run_name="wsgi")`,
}
