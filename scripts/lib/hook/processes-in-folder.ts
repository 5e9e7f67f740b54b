import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type Process, readProcess } from '../shared/process-table.ts'

/**
 * The processes that run from a folder: their current directory, program, a mapped library or an open file lies in it, or
 * they were started from it. A process that has only read Python files from there is not found; those of other users are
 * found by root only.
 */
export function processesIn(folder: string): Process[] {
  const isInside = (path: string) => path === folder || path.startsWith(`${folder}/`)
  const runsFromHere = (pid: string) => {
    const links = [`/proc/${pid}/cwd`, `/proc/${pid}/exe`, ...entriesOf(`/proc/${pid}/fd`)]
    const isAt = links.some(link => isInside(tryTo(() => readlinkSync(link))))
    return isAt || isStartedFrom(folder, pid) || maps(pid).includes(` ${folder}/`)
  }
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
  return pids.filter(runsFromHere).flatMap(pid => readProcess(pid) ?? [])
}

/**
 * Whether a process was started by a path in a folder, such as that of its environment's Python: the program itself, to
 * which that leads, is the system's. It keeps that environment's packages, wherever it moves.
 */
export function isStartedFrom(folder: string, pid: number | string): boolean {
  return tryTo(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).startsWith(`${folder}/`)
}

/** Whether a process listens on a socket: it is a server, and not a worker of some other kind. */
export function listens({ pid }: Process): boolean {
  const sockets = entriesOf(`/proc/${pid}/fd`).map(fd => /^socket:\[(\d+)\]$/.exec(tryTo(() => readlinkSync(fd)))?.[1])
  const listening = listeningSockets()
  return sockets.some(inode => inode !== undefined && listening.has(inode))
}

/** proc_net(5): the inodes of TCP sockets in state LISTEN (0A), and of Unix sockets that accept connections. */
function listeningSockets(): Set<string> {
  const tcp = ['tcp', 'tcp6'].flatMap(name =>
    linesOf(name)
      .filter(each => each[3] === '0A')
      .map(each => each[9]),
  )
  const unix = linesOf('unix')
    .filter(each => each[3] === '00010000')
    .map(each => each[6])
  return new Set([...tcp, ...unix].filter(inode => inode !== undefined))
}

const linesOf = (name: string) =>
  tryTo(() => readFileSync(`/proc/net/${name}`, 'utf8'))
    .split('\n')
    .map(line => line.trim().split(/\s+/))

const maps = (pid: string) => tryTo(() => readFileSync(`/proc/${pid}/maps`, 'utf8'))
const entriesOf = (folder: string) =>
  tryTo(() => readdirSync(folder).join('\n'))
    .split('\n')
    .filter(Boolean)
    .map(name => `${folder}/${name}`)

/** A process may have ended, or belong to another user. */
function tryTo(look: () => string): string {
  try {
    return look()
  } catch {
    return ''
  }
}
