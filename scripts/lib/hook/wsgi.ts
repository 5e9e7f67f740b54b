import { statSync, utimesSync } from 'node:fs'
import { exitCode, Failure } from '../shared/program.ts'
import { waitForNextSecond } from './mtime.ts'
import type { Release } from './releases.ts'
import type { StepsShell } from './steps-shell.ts'

export const isInRelease = (file: string, release: Release) => file.startsWith(`${release.path}/`)

/**
 * Touches the WSGI file, by which a server knows that it has to reload.
 *
 * @param seen the file whose time the server has seen last
 * @throws Failure where there is no such file
 */
export async function touchWsgi(wsgi: string, shell: StepsShell, seen: string | undefined): Promise<void> {
  if (!statSync(wsgi, { throwIfNoEntry: false })?.isFile()) {
    throw new Failure(exitCode.failed, `PATH_TO_WSGI (${wsgi}) is no file: touching it would restart nothing.`)
  }
  // Of two touches in one second uWSGI may see only the first.
  if (seen) await waitForNextSecond(seen)
  try {
    utimesSync(wsgi, new Date(), new Date())
  } catch {
    // A user who may write a file but does not own it can only set its time to now, for which Node has no call.
    await shell.run('touch -- "$PATH_TO_WSGI"')
  }
}
