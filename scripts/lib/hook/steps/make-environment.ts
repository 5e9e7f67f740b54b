import { rmSync } from 'node:fs'
import type { StepContext } from '../context.ts'
import { isUsable } from '../venv.ts'

export const name = 'MAKING VIRTUAL ENVIRONMENT'

/**
 * A release's environment is used again only where an install has ended well there. One that was made for another
 * folder, or is half installed, has wrong paths or packages in it, and nothing tells so.
 */
export function isNeeded({ plan, releases, release, releaseSettings: { PATH_TO_VENV } }: StepContext): boolean {
  if (!plan.dependencies || PATH_TO_VENV === undefined || releases.isInPlace) return false
  return release.state.installed === undefined || !isUsable(PATH_TO_VENV)
}

/** Uses uv where it is installed. */
export async function run({ shell, release, releaseSettings: { PATH_TO_VENV = '' } }: StepContext): Promise<void> {
  // If this is killed, an environment without packages must not pass for the one that was there.
  release.updateState({ installed: undefined })
  rmSync(PATH_TO_VENV, { recursive: true, force: true })
  await shell.run(
    'if command -v uv >/dev/null; then uv venv --quiet -- "$VIRTUAL_ENV"; else python3 -m venv -- "$VIRTUAL_ENV"; fi',
  )
}
