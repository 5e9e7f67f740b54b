import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Release } from './releases.ts'
import type { StepsShell } from './steps-shell.ts'

/**
 * Whether a release has its environment. One that was made for another folder, or is only half installed, has the wrong
 * paths or packages in it, and nothing tells which: it is trusted only where an install has ended well there.
 */
export const hasVirtualEnvironment = (folder: string, { state }: Release) =>
  state.installed !== undefined && existsSync(join(folder, 'bin/python'))

/** Makes it anew, with uv where there is one. */
export async function makeVirtualEnvironment(folder: string, shell: StepsShell): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  await shell.run(
    'if command -v uv >/dev/null; then uv venv --quiet -- "$VIRTUAL_ENV"; else python3 -m venv -- "$VIRTUAL_ENV"; fi',
  )
}
