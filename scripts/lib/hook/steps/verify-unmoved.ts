import { exitCode, Failure } from '../../shared/program.ts'
import type { StepContext } from '../context.ts'
import { goesBeyondCode } from './step.ts'

/** What served is put back as it was. */
export const isNeeded = ({ plan }: StepContext) => goesBeyondCode(plan) && (plan.code || !plan.isRestore)

/** @throws Failure where a step has checked out or committed something else */
export function run({ release: { path, workTree }, commit }: StepContext): void {
  if (workTree.isAt(commit)) return
  throw new Failure(exitCode.failed, `${path} is not at ${commit} any more: a step has moved it.`)
}
