import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProcessOutput, ProcessPromise } from 'zx/core'
import { flatten } from '../shared/foreign-text.ts'
import { type Process, readProcess } from '../shared/process-table.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { readStateFile } from './state-file.ts'

/** Identifies a process. */
export interface ProcessId extends Pick<Process, 'pid' | 'started'> {
  /** Of the machine or the container: the same numbers come again after it. Absent where an older hook wrote this. */
  readonly boot?: string | undefined
}

/**
 * The beginning of each command of a deployment: it does nothing before its process is written down in the journal, and
 * nothing at all if the hook is killed meanwhile. So after a kill, the next hook knows all that may still run.
 */
export const waitForGo = 'read -r go <&3 || exit 125; exec 3<&-; '
/** A command ends at the first of its parts that fails. Unlike zx's own prefix it lets variables be unset. */
export const strict = 'set -e -o pipefail; '
/** The command's fourth descriptor, behind standard input, output and error. */
export const goPipe = 'pipe'

/** Lets a command begin, once it is written down with words for it, and waits for its end. */
export type Start = (text: string, command: ProcessPromise) => Promise<ProcessOutput>

/** When a command is ended that has not ended by itself. */
export interface Ends {
  /** Names the command in the message. */
  readonly text: string
  /** Seconds. */
  readonly timeout?: number | undefined
  /** Tells that the hook itself has to end. */
  readonly signal?: AbortSignal | undefined
}

/** A command was ended, because it had no time left. */
export class Killed extends Failure {
  readonly how: string

  constructor(text: string, how: string) {
    super(exitCode.failed, `\`${flatten(text)}\` ${how}.`)
    this.how = how
  }
}

/**
 * Lets a command begin, and waits until it exits: a background process that keeps its output open holds nothing up. What
 * it leaves in its session when it fails is ended: that would go on while what served before is put back.
 *
 * @throws Failure where the command could not be started; Killed; ProcessOutput where it has failed, unless it is `nothrow`
 */
export async function go(command: ProcessPromise, { text, timeout, signal }: Ends): Promise<ProcessOutput> {
  const id = identifyProcess(command.pid)
  let how = ''
  let ending: Promise<void> | undefined
  const end = (why: string) => {
    how ||= why
    if (id) ending ??= endProcessTree(id.pid)
  }
  const onAbort = () => end('was killed, because the server is shutting the hook down')
  const timer =
    timeout && setTimeout(() => end(`did not end within ${timeout} s (STEP_TIMEOUT) and was killed`), timeout * 1000)
  signal?.addEventListener('abort', onAbort)
  if (signal?.aborted) onAbort()

  command.child?.once('exit', () => closeOutput(command))
  goPipeOf(command)?.end('\n')
  const output = await command.catch((output: ProcessOutput) => output)
  clearTimeout(timer)
  signal?.removeEventListener('abort', onAbort)
  await ending
  if (id && !output.ok) await endSession(id)

  if (output.cause instanceof Error) {
    const { code, path = '', message } = output.cause as NodeJS.ErrnoException
    // Node blames the program also where it is the folder that is missing.
    const why = code === 'ENOENT' && existsSync(path) ? 'the folder that it was to run in is gone' : message
    throw new Failure(exitCode.failed, `Its process could not be started: ${why}.`)
  }
  if (how) throw new Killed(text, how)
  if (!output.ok && !command.isNothrow()) throw output
  return output
}

/** Turns of the event loop in which nothing came: all that a process has written before it exited is read by then. */
const quietTurns = 2
/** For a background process that never stops writing. */
const mostTurns = 1000

/** Closes the pipes from a process that has exited, once they are read. */
function closeOutput({ child }: ProcessPromise): void {
  // Node's types do not say that a child's pipes are sockets.
  const pipes = [child?.stdout, child?.stderr].filter(Boolean) as Readable[] as Socket[]
  const bytes = () => pipes.reduce((sum, { bytesRead }) => sum + bytesRead, 0)
  let read = bytes()
  let quiet = 0
  let turns = 0
  const look = () => {
    const isQuiet = bytes() === read
    read = bytes()
    quiet = isQuiet ? quiet + 1 : 0
    turns++
    if (quiet < quietTurns && turns < mostTurns) setImmediate(look)
    else for (const pipe of pipes) pipe.destroy()
  }
  if (pipes.length > 0) setImmediate(look)
}

/** Ends a command that still waits for its go. */
export function abandon(command: ProcessPromise): void {
  command.nothrow()
  goPipeOf(command)?.end()
}

function goPipeOf(command: ProcessPromise) {
  // Node's types do not say it, but there is no stdio where the process could not be started.
  const stdio = command.child?.stdio as ChildProcess['stdio'] | undefined
  const pipe = stdio?.[3] as NodeJS.WritableStream | null | undefined
  pipe?.on('error', () => {})
  return pipe
}

export function identifyProcess(pid: number | undefined): ProcessId | undefined {
  const found = pid === undefined ? undefined : readProcess(pid)
  return found && { pid: found.pid, started: found.started, boot: identifyBoot() }
}

export function isRunning({ pid, started, boot = identifyBoot() }: ProcessId): boolean {
  return boot === identifyBoot() && readProcess(pid)?.started === started
}

/** Whether this process comes from another one, which still runs. */
export function isDescendantOf(other: ProcessId): boolean {
  if (!isRunning(other)) return false
  let at = readProcess(process.pid)
  while (at && at.pid !== other.pid) at = readProcess(at.parent)
  return at !== undefined
}

let thisBoot: string | undefined

/** A container has its machine's boot id, but a first process of its own. */
function identifyBoot(): string {
  thisBoot ??= `${readStateFile('/proc/sys/kernel/random/boot_id')?.trim()} ${readProcess(1)?.started}`
  return thisBoot
}

/** Ends what a process that has ended has left in its session. What has left the session, as daemons do, goes on. */
export async function endSession({ pid, boot }: ProcessId): Promise<void> {
  // No process gets a session's number while the session has one. Where there is such a process, it is a later one.
  if (boot === identifyBoot() && readProcess(pid) === undefined) await endProcessTree(pid)
}

/** Milliseconds that processes get between SIGTERM and SIGKILL. */
const gracePeriod = 5_000

/** Ends a process and all that came from it: its session, and descendants that left it. */
export async function endProcessTree(root: number): Promise<void> {
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
    .flatMap(name => readProcess(name) ?? [])
  for (let size = -1; size !== tree.size; ) {
    size = tree.size
    for (const { pid, parent, session } of living) if (tree.has(parent) || tree.has(session)) tree.add(pid)
  }
  return living.map(({ pid }) => pid).filter(pid => tree.has(pid))
}
