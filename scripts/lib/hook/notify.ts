import { type SpawnOptions, spawn } from 'node:child_process'
import { explain } from '../protocol/verdict.ts'
import type { Deployment } from './deployment.ts'

const limitSeconds = 60

/**
 * Runs NOTIFY, which gets the deployment's record on its standard input. Nothing waits for it, it writes to the log, and its
 * failure changes nothing.
 */
export function notify(command: string, cwd: string, deployment: Deployment, branch: string): void {
  const { entry, log } = deployment
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
    stdio: ['pipe', log.fd, log.fd],
  }
  try {
    const notifying = spawn('timeout', ['--kill-after=5', String(limitSeconds), 'bash', '-c', command], options)
    notifying.on('error', () => {})
    // A command that reads none of it may have ended. What it reads fits into the kernel's buffer, also when the hook ends.
    notifying.stdin?.on('error', () => {}).end(`${JSON.stringify(deployment.toRecord(entry.outcome === 'live'))}\n`)
    notifying.unref()
  } catch {
    // Some errors are thrown, such as that there is no memory for another process.
  }
}
