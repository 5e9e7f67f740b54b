import type { StepContext } from '../context.ts'
import { describeProcesses, type ReleaseProcess } from '../release-processes.ts'
import { verifyTakenOver } from '../taking-over.ts'
import * as checkHealth from './check-health.ts'
import * as restart from './restart.ts'

export const name = 'CHECKING PROCESSES'

export const isNeeded = ({ plan, releases }: StepContext) => plan.application && !releases.isInPlace

/**
 * Looks from which releases processes run, and names what stays in another one.
 *
 * @throws Failure where the application does not run from this one
 */
export async function run(context: StepContext): Promise<void> {
  const { settings, plan, deployment, release, replaced } = context
  const remind = async () => {
    if (settings.RESTART === undefined) await restart.run({ ...context, replaced: undefined })
  }
  // Where a release is put back, the failed one must be left; what stayed elsewhere did so before.
  const isBlamed = ({ releases }: ReleaseProcess) =>
    !plan.isRestore || (replaced !== undefined && releases.has(replaced.number))
  const { others, isServed } = await verifyTakenOver(release, context, isBlamed, remind)
  for (const number of new Set(others.flatMap(({ releases }) => [...releases]))) {
    const there = others.filter(({ releases }) => releases.has(number))
    if (number !== release.number)
      deployment.log.say(
        `STILL RUNNING FROM RELEASE ${number}, WHICH RESTART DOES NOT REACH: ${describeProcesses(there)}`,
      )
  }
  context.isServed = isServed
  // What answered before may have been another release.
  if (replaced !== undefined) await checkHealth.verifyAnswer(context)
}
