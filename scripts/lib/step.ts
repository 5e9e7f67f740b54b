import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DeploymentLog } from './deployment-log.ts'
import { exit, Failure } from './program.ts'

/**
 * The environment of a deployment's steps: the hook's own, less all that git set for the hook. A recipe that calls git
 * with it would reach the bare repository instead of its own (`GIT_DIR=.`), or fail.
 *
 * @param localNames the names that `git rev-parse --local-env-vars` prints; what else a hook gets is not among them
 */
export function stepEnvironment(localNames: readonly string[], more: Record<string, string>): NodeJS.ProcessEnv {
  const isGits = (name: string) =>
    localNames.includes(name) || /^GIT_(QUARANTINE_PATH|EXEC_PATH|PUSH_OPTION_.*)$/.test(name)
  return { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !isGits(name))), ...more }
}

export interface StepOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly log: DeploymentLog
  /** Inherited by the step, so that what is left of it after the hook was killed keeps the lock. */
  readonly lockFd?: number | undefined
  /** Seconds after which the step has failed; no limit without it. */
  readonly timeout?: number | undefined
  /** Ends the step when the hook itself has to end. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs one command of the deployment in a bash of its own, in a session of its own: a Ctrl-C at a push to a local
 * path does not reach it. It writes to the log file, never to the pusher.
 *
 * @throws Failure with the command, how it ended and its last lines
 */
export async function runStep(command: string, { cwd, env, log, lockFd, timeout, signal }: StepOptions) {
  const { $ } = await import('zx/core')
  const stdio = ['ignore', log.fd, log.fd, lockFd ?? 'ignore'] as const
  const output = log.startQuote()
  const step = $({
    cwd,
    env,
    stdio: [...stdio],
    detached: true,
    nothrow: true,
    quiet: true,
    prefix: 'set -e -o pipefail; ',
    // It is the server's own text for a shell, and not a word of ours.
    quote: text => text,
  })`${command}`
  let ended = ''
  let ending: Promise<void> | undefined
  const end = (why: string) => {
    ended ||= why
    ending ??= endProcessTree(step.pid as number)
  }
  const onAbort = () => end('was ended, because the server is shutting the hook down')
  const timer =
    timeout && setTimeout(() => end(`did not end within ${timeout} s (STEP_TIMEOUT) and was ended`), timeout * 1000)
  signal?.addEventListener('abort', onAbort)
  if (signal?.aborted) onAbort()
  const { exitCode, signal: killedBy } = await step
  await ending
  clearTimeout(timer)
  signal?.removeEventListener('abort', onAbort)
  const lastLines = output.end()
  if (exitCode === 0 && !ended) return
  const how = ended || (killedBy ? `was killed by ${killedBy}` : `ended with exit code ${exitCode}`)
  throw new Failure(exit.failed, `\`${command}\` ${how}.`, { why: lastLines })
}

/** Milliseconds that processes get between SIGTERM and SIGKILL. */
const gracePeriod = 5_000

/** Ends a process and all that came from it: its session, and descendants that left it. */
async function endProcessTree(root: number) {
  const tree = new Set([root])
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const pid of livingTree(tree)) kill(pid, signal)
    for (let waited = 0; waited < gracePeriod && livingTree(tree).length > 0; waited += 50) await sleep(50)
  }
}

function kill(pid: number, signal: NodeJS.Signals) {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended by itself meanwhile.
  }
}

/** Adds to the tree what has come from its processes since; reads /proc, because ps is not on every server. */
function livingTree(tree: Set<number>): number[] {
  const living = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(readProcess)
  for (let size = -1; size !== tree.size; ) {
    size = tree.size
    for (const { pid, parent, session } of living) if (tree.has(parent) || tree.has(session)) tree.add(pid)
  }
  return living.map(({ pid }) => pid).filter(pid => tree.has(pid))
}

function readProcess(pid: string) {
  try {
    // proc(5): pid (comm) state ppid pgrp session ...; comm may hold spaces and brackets.
    const stat = readFileSync(join('/proc', pid, 'stat'), 'utf8')
    const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? [] : [{ pid: Number(pid), parent: Number(parent), session: Number(session) }]
  } catch {
    return []
  }
}

/**
 * The environment that a bash command such as `source /path/activate` leaves.
 *
 * @throws Failure where the command fails
 */
export async function activate(command: string, cwd: string, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const { $ } = await import('zx/core')
  // Activation scripts read variables that are not set: no `set -u`. What they print must not mix with the answer.
  const bash = $({ cwd, env, prefix: '', nothrow: true, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const { ok, exitCode, stdout, stderr } = await bash`{ eval ${command}; } >&2 && env -0`
  if (!ok) throw new Failure(exit.failed, `\`${command}\` ended with exit code ${exitCode}.`, { why: stderr })
  return Object.fromEntries(stdout.split('\0').filter(Boolean).map(splitOnce))
}

/** PATH_TO_VENV's programs come before all others. */
export function withVirtualEnvironment(venv: string | undefined, cwd: string, env: NodeJS.ProcessEnv) {
  if (!venv) return env
  const folder = resolve(cwd, venv)
  return { ...env, VIRTUAL_ENV: folder, PATH: `${join(folder, 'bin')}:${env.PATH ?? ''}` }
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf('=')
  return [line.slice(0, at), line.slice(at + 1)]
}
