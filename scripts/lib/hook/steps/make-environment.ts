import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { StepContext } from '../context.ts'

export const name = 'MAKING VIRTUAL ENVIRONMENT'

/**
 * A release's environment is used again only where an install has ended well there. One that was made for another
 * folder, or is half installed, has wrong paths or packages in it, and nothing tells so.
 */
export function isNeeded({ plan, releases, release, releaseSettings: { PATH_TO_VENV } }: StepContext): boolean {
  if (!plan.dependencies || PATH_TO_VENV === undefined || releases.isInPlace) return false
  return release.state.installed === undefined || !existsSync(join(PATH_TO_VENV, 'bin/python'))
}

/** Uses uv where it is installed. */
export async function run({ shell, releaseSettings: { PATH_TO_VENV = '' } }: StepContext): Promise<void> {
  rmSync(PATH_TO_VENV, { recursive: true, force: true })
  await shell.run(
    'if command -v uv >/dev/null; then uv venv --quiet -- "$VIRTUAL_ENV"; else python3 -m venv -- "$VIRTUAL_ENV"; fi',
  )
}
