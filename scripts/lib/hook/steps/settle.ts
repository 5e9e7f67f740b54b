import type { StepContext } from '../context.ts'

/** After a deployment, `record` does the same. What was only switched back to is as it was. */
export const isNeeded = ({ plan }: StepContext) => plan.isRestore && plan.code

/** Files of the commit that its steps have rewritten are a part of the previous code. */
export const run = ({ release }: StepContext) => release.workTree.settle()
