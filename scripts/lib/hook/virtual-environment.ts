import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { StepsShell } from './steps-shell.ts'

/**
 * Makes the environment of a release where there is none. One that was made for another folder, or only half installed,
 * has the wrong paths or packages in it: nothing tells which, so it goes.
 */
export async function makeVirtualEnvironment(folder: string, isTrusted: boolean, shell: StepsShell): Promise<void> {
  if (isTrusted && existsSync(join(folder, 'bin/python'))) return
  rmSync(folder, { recursive: true, force: true })
  await shell.run(
    'if command -v uv >/dev/null; then uv venv --quiet -- "$VIRTUAL_ENV"; else python3 -m venv -- "$VIRTUAL_ENV"; fi',
  )
}
