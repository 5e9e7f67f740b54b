import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { flatten } from '../shared/foreign-text.ts'
import { type Process, readProcess } from '../shared/process-table.ts'
import { listeningSockets } from './listening-sockets.ts'

/** A process that runs from one or more of the releases. */
export interface ReleaseProcess extends Process {
  readonly command: string
  /** Where its current directory, its program, an open file or a mapped library lies, or from where it was started. */
  readonly releases: ReadonlySet<number>
  /**
   * The release of the path by which it was started, such as that of its environment's Python, or of a script: the
   * program itself is the system's. It keeps that release's packages, wherever it moves.
   */
  readonly startedFrom: number | undefined
  /** The inodes of its sockets. */
  readonly sockets: readonly string[]
  /** It is a server, and not a worker of some other kind. */
  readonly listens: boolean
}

const shownProcesses = 5

/** Processes in words, for a message. */
export const describeProcesses = (processes: readonly ReleaseProcess[]) =>
  processes
    .slice(0, shownProcesses)
    .map(({ pid, command }) => `process ${pid} (${command})`)
    .join(', ')

/** A shell at a terminal: somebody stays there. */
export const isShell = ({ hasTerminal, session, pid }: Process) => hasTerminal && session === pid

/** It hands requests on, wherever it was started itself. mod_wsgi is in both: Apache, and what it hands them to. */
export const isProxy = ({ command }: ReleaseProcess) =>
  /^(\S*\/)?(apache2|httpd|nginx|haproxy|caddy|traefik|envoy|lighttpd|varnishd|docker-proxy)\b/.test(command)

/** Leaves its release at the next request: without a health check, nothing makes one. */
export const followsAtRequest = ({ command }: ReleaseProcess) => /^(\S*\/(apache2|httpd)\b|Passenger )/.test(command)

/** It needs nothing of the release where it is: what mod_wsgi has there it loads anew at the next request. */
export const isBystander = (each: ReleaseProcess) => isShell(each) || isProxy(each)

/** Finds the processes that run from releases. */
export class ReleaseProcesses {
  readonly #folder: string
  /** Processes that ran from no release, each by what would change if it moved to one: the next look is quick. */
  readonly #outside = new Map<string, string>()
  /** Whether a server of any release was found so far. */
  hasFoundServer = false

  /** @param folder where the releases are, each by its number */
  constructor(folder: string) {
    this.#folder = folder
  }

  /**
   * All of them. A process that has only read files from a release is not found; nor are, unless this is root, those of
   * other users, but for ones that were started by a path in a release.
   */
  find(): ReleaseProcess[] {
    // What /proc names are real paths; a command may have been given another.
    const real = tryTo(() => realpathSync(this.#folder))
    if (real === '') return []
    const folders = [...new Set([`${real}/`, `${this.#folder}/`])]
    const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    const found = pids.flatMap(pid => this.#look(pid, folders) ?? [])
    const listening = found.length > 0 ? listeningSockets() : new Set<string>()
    const processes = found.flatMap(({ pid, ...each }) => {
      const known = readProcess(pid)
      return known ? { ...known, ...each, listens: each.sockets.some(inode => listening.has(inode)) } : []
    })
    this.hasFoundServer ||= processes.some(each => each.listens && !isProxy(each) && !followsAtRequest(each))
    return processes
  }

  #look(pid: string, folders: readonly string[]) {
    const path = `/proc/${pid}`
    const command = tryTo(() => readFileSync(`${path}/cmdline`, 'utf8'))
    const exe = tryTo(() => readlinkSync(`${path}/exe`))
    // Of another user's process only the command may be read, and each refusal takes its time.
    const places = exe === '' ? [] : [exe, tryTo(() => readlinkSync(`${path}/cwd`))]
    const signature = [command, ...places].join('\0')
    if (this.#outside.get(pid) === signature) return undefined
    const open = exe === '' ? [] : entriesOf(`${path}/fd`).map(entry => tryTo(() => readlinkSync(entry)))
    const [program = '', script = ''] = command.split('\0')
    const startedFrom = releaseIn(program, folders) ?? releaseIn(script, folders)
    const releases = [startedFrom, ...[...places, ...open].map(place => releaseIn(place, folders))]
    const maps = exe === '' ? '' : tryTo(() => readFileSync(`${path}/maps`, 'utf8'))
    for (const folder of folders) {
      for (let at = maps.indexOf(` ${folder}`); at !== -1; at = maps.indexOf(` ${folder}`, at + 1))
        releases.push(releaseIn(maps.slice(at + 1, maps.indexOf('\n', at)), folders))
    }
    const numbers = new Set(releases.filter(number => number !== undefined))
    if (numbers.size === 0) {
      this.#outside.set(pid, signature)
      return undefined
    }
    const sockets = open.flatMap(target => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [])
    return { pid, command: flatten(command.replaceAll('\0', ' ').trim()), releases: numbers, startedFrom, sockets }
  }
}

/** The number of the release in which a path lies, which may have something behind it. */
function releaseIn(text: string, folders: readonly string[]): number | undefined {
  const folder = folders.find(each => text.startsWith(each))
  const [, number] = (folder !== undefined && /^([1-9]\d*)(?![^/ \0])/.exec(text.slice(folder.length))) || []
  return number === undefined ? undefined : Number(number)
}

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
