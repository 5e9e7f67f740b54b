import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type Process, readProcess } from '../shared/process-table.ts'

/**
 * The processes that run from a folder: whose current directory, program, mapped library or open file lies in it, or that
 * were started from it. One that has only read Python files from there is not seen, nor are those of other users, unless
 * we are root.
 */
export function usersOf(folder: string): Process[] {
  const isInside = (path: string) => path === folder || path.startsWith(`${folder}/`)
  const isUser = (pid: string) => {
    const links = [`/proc/${pid}/cwd`, `/proc/${pid}/exe`, ...listFolder(`/proc/${pid}/fd`)]
    const isAt = links.some(link => isInside(tryTo(() => readlinkSync(link))))
    return isAt || isStartedFrom(folder, pid) || maps(pid).includes(` ${folder}/`)
  }
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
  return pids.filter(isUser).flatMap(pid => readProcess(pid) ?? [])
}

/**
 * Whether a process was started by a path in a folder, such as that of its environment's Python: the program itself, to
 * which that leads, is the system's. It keeps that environment's packages, wherever it moves.
 */
export function isStartedFrom(folder: string, pid: number | string): boolean {
  return tryTo(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).startsWith(`${folder}/`)
}

/** Whether a process has a socket open at which clients are taken: it serves, and does not only work. */
export function listens({ pid }: Process): boolean {
  const sockets = listFolder(`/proc/${pid}/fd`).map(fd => /^socket:\[(\d+)\]$/.exec(tryTo(() => readlinkSync(fd)))?.[1])
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
const listFolder = (folder: string) =>
  tryTo(() => readdirSync(folder).join('\n'))
    .split('\n')
    .filter(Boolean)
    .map(name => `${folder}/${name}`)

/** A process may have ended, or be somebody else's. */
function tryTo(look: () => string): string {
  try {
    return look()
  } catch {
    return ''
  }
}
