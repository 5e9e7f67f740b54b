import { realpathSync, statSync } from 'node:fs'
import { exitCode, Failure } from '../../shared/program.ts'
import type { StepContext } from '../context.ts'
import { goesBeyondCode } from './step.ts'

export const name = 'ACTIVATING VIRTUAL ENVIRONMENT'

export const isNeeded = ({ plan, settings }: StepContext) =>
  settings.ACTIVATE_VENV !== undefined && goesBeyondCode(plan)

/** @throws Failure where ACTIVATE_VENV fails, or activates an environment that is not the release's own */
export async function run({
  shell,
  release,
  releases,
  settings: { ACTIVATE_VENV = '' },
}: Pick<StepContext, 'shell' | 'release' | 'releases' | 'settings'>): Promise<void> {
  await shell.activate(ACTIVATE_VENV)
  const { VIRTUAL_ENV } = shell.env
  if (releases.isInPlace || VIRTUAL_ENV === undefined || isInside(VIRTUAL_ENV, release.path)) return
  throw new Failure(exitCode.failed, `ACTIVATE_VENV activates ${VIRTUAL_ENV}, which is not the release's own.`, {
    why: 'Installing there would change what serves.',
    fix: 'let each release have one of its own: PATH_TO_VENV=.venv in place of ACTIVATE_VENV',
  })
}

function isInside(path: string, folder: string): boolean {
  const real = statSync(path, { throwIfNoEntry: false }) ? realpathSync(path) : path
  return real.startsWith(`${realpathSync(folder)}/`)
}
