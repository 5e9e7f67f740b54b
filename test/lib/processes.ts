import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

export interface Process {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly command: string
  readonly cwd: string
}

/** All processes of this machine whose details this user may read. */
export function processes(): Process[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(readProcess)
}

/** The hooks that run for a bare repository now. */
export function hookProcesses(repository: string): number[] {
  return processes()
    .filter(({ command, cwd }) => command.includes('post-receive') && cwd === repository)
    .map(({ pid }) => pid)
}

/** The processes in which hooks of a bare repository wait for their turn. */
export function waitingFlocks(repository: string): number[] {
  return processes()
    .filter(({ command, cwd }) => /^flock \d$/.test(command) && cwd === repository)
    .map(({ pid }) => pid)
}

/** How many hooks of a bare repository wait for their turn. */
export const waitingHooks = (repository: string) => waitingFlocks(repository).length

/** Ends a process at once, if it has not ended by itself. */
export const kill = (pid: number) => send(pid, 'SIGKILL')

/** Sends a signal to a process, if it has not ended by itself. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended.
  }
}

function readProcess(name: string): Process[] {
  try {
    const folder = join('/proc', name)
    const stat = readFileSync(join(folder, 'stat'), 'utf8')
    const [state, parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z') return []
    const command = readFileSync(join(folder, 'cmdline'), 'utf8').replaceAll('\0', ' ').trim()
    const cwd = readlinkSync(join(folder, 'cwd'))
    return [{ pid: Number(name), parent: Number(parent), group: Number(group), session: Number(session), command, cwd }]
  } catch {
    return [] // it has ended meanwhile
  }
}
