import type { DeploymentContext } from '../context.ts'
import { openShell } from '../steps-shell.ts'

export const name = 'VERIFYING'

export const isNeeded = ({ settings }: DeploymentContext) => settings.VERIFY !== undefined

/** Asks the server's own command, in the repository, whether the commit may be deployed at all. */
export async function run(context: DeploymentContext): Promise<void> {
  const { settings, repository, deployment } = context
  await openShell(repository.gitDir, settings, deployment.entry.commit, context).run(settings.VERIFY ?? '')
}
