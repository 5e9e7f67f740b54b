import { join } from 'node:path'
import { exitCode, Failure } from '../../shared/program.ts'
import type { StepContext } from '../context.ts'
import { findUnset } from '../default-commands.ts'

export const isNeeded = (context: StepContext) => !context.plan.isRestore && namesOf(context).length > 0

/**
 * The default commands are those of a Makefile, which not every application has.
 *
 * @throws Failure that names the settings to make, before anything is done
 */
export async function run(context: StepContext): Promise<void> {
  const lack = await findUnset(namesOf(context), context.commit, context)
  if (lack === undefined) return
  throw new Failure(exitCode.failed, lack.what, { fix: `${lack.fix}, in ${join(context.repository.gitDir, '.env')}` })
}

/** The commands that run in this deployment, and that nobody has set. */
const namesOf = ({ settings, plan }: StepContext) =>
  settings.unset.filter(name => (name === 'INSTALL_DEPS' ? plan.dependencies : plan.database))
