import { flatten } from '../shared/foreign-text.ts'
import type { Options } from './clone.ts'

/** A command of deploy as its user types it: `./deploy status` where deploy itself was called so. */
export function typed(command: string, options: Pick<Options, 'env-file'> = {}): string {
  // An absolute path is what a package's wrapper calls, and `node` what runs the sources.
  const isTyped = /^(?!\/)[\w./-]*\bdeploy[\w.-]*$/.test(process.argv0)
  const { 'env-file': file } = options
  return [isTyped ? process.argv0 : 'deploy', command, file && `--env-file ${flatten(file)}`].filter(Boolean).join(' ')
}
