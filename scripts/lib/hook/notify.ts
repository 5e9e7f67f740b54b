import { type SpawnOptions, spawn } from 'node:child_process'
import { explain } from '../protocol/verdict.ts'
import type { Deployment } from './deployment.ts'

const limitSeconds = 60

/** Runs NOTIFY. Nothing waits for it, it writes to the log, and its failure changes nothing. */
export function notify(command: string, cwd: string, { entry, log }: Deployment, branch: string): void {
  const variables = {
    DEPLOY_BRANCH: branch,
    DEPLOY_COMMIT: entry.commit,
    DEPLOY_PREVIOUS_COMMIT: entry.previous ?? '',
    DEPLOY_OUTCOME: entry.outcome ?? 'failed',
    DEPLOY_EXPLANATION: explain({ explanation: entry.explanation ?? '', notChecked: entry.notChecked }),
    DEPLOY_VERB: entry.verb,
    DEPLOY_WHO: entry.who,
    DEPLOY_LOG: entry.log,
  }
  const options: SpawnOptions = {
    cwd,
    env: { ...process.env, ...variables },
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  }
  try {
    const notifying = spawn('timeout', ['--kill-after=5', String(limitSeconds), 'bash', '-c', command], options)
    notifying.on('error', () => {})
    notifying.unref()
  } catch {
    // Some errors are thrown, such as that there is no memory for another process.
  }
}
