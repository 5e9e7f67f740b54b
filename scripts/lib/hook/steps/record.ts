import { isRollback } from '../../protocol/asks.ts'
import { describe } from '../../shared/program.ts'
import type { DeploymentContext, StepContext } from '../context.ts'
import { noteLive } from '../database.ts'
import { findNotChecked } from '../taking-over.ts'

export const name = 'RECORDING THE DEPLOYMENT'

export const isRecorded = false

export const isNeeded = ({ plan }: StepContext) => !plan.isRestore

export async function run(context: StepContext): Promise<void> {
  const { releases, release, deployment, settings, isServed } = context
  const { number, database, verb } = deployment.entry
  noteLive(deployment, release)
  deployment.entry.notChecked = findNotChecked(settings, isServed)
  releases.markLive(release, number, database, isRollback(verb))
  // The deployment is live without it: then what the steps have rewritten counts as edited.
  const settling = release.workTree.settle().catch(error => deployment.log.say(describe(error)))
  await Promise.all([writeRecord(true, context), settling])
}

/** Writes the deployment down, with the releases that a rollback can switch to. @throws Failure with git's words */
export async function writeRecord(live: boolean, context: DeploymentContext): Promise<void> {
  const { releases, repository, deployment, branch, refs } = context
  const kept = releases.kept().map(({ number, state: { complete = '', database } }) => {
    return { release: number, commit: complete, database }
  })
  await repository.record({ ...deployment.toRecord(live), kept }, branch, refs, deployment.start)
}
