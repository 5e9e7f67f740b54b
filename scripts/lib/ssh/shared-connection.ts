import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { harmless } from '../shared/foreign-text.ts'
import { explainConnectionFailure, isNotShareable } from './explain-failure.ts'
import type { Remote } from './remote.ts'

/**
 * One connection to the server for all the git commands of a run (ssh_config(5), ControlMaster). An ssh of ours holds
 * it, and not the first of git's: that one would keep git's stderr open for as long as it lives, and whoever reads it
 * to its end would wait for that.
 */
export class SharedConnection {
  /** Where the ssh processes of git find it. Where there is none, they connect by themselves. */
  readonly socket: string
  /** @throws Failure (unreachable); ssh having no way to share a connection here is none */
  readonly opened: Promise<void>
  readonly #ssh: readonly [string, ...string[]]
  readonly #log: string
  readonly #opening: ChildProcess
  #isOpen = false
  #seen = 0

  /**
   * @param ssh its program and options
   * @param folder a private one, for the socket and what ssh says
   * @param persist whether ssh ends by itself when we were killed. It does not show what a jump says then.
   */
  constructor(
    ssh: readonly [string, ...string[]],
    folder: string,
    { user, host, port }: Remote,
    { persist }: { persist: boolean },
  ) {
    this.socket = join(folder, 'ssh')
    this.#log = join(folder, 'log')
    this.#ssh = [...ssh, '-S', this.socket]
    const [program, ...options] = this.#ssh
    const log = openSync(this.#log, 'ax', 0o600)
    const background = ['-f', '-N', '-M', ...(persist ? ['-o', 'ControlPersist=60'] : []), '-E', this.#log]
    const destination = [...(port ? ['-p', `${port}`] : []), '--', user ? `${user}@${host}` : (host as string)]
    // A file and no pipe: the ssh that goes into the background may keep it open.
    // Not by zx: every deployment waits for this, and zx is loaded meanwhile.
    this.#opening = spawn(program, [...options, ...background, ...destination], {
      stdio: ['ignore', log, log],
      env: { ...process.env, LC_ALL: 'C' },
    })
    closeSync(log)
    this.opened = this.#open()
    // Whoever fails before it waits for the connection has something else to say.
    this.opened.catch(() => {})
  }

  async #open(): Promise<void> {
    const ended = await new Promise<number | null | Error>(resolve => {
      this.#opening.on('error', resolve).on('exit', resolve)
    })
    this.#isOpen = ended === 0
    const words = ended instanceof Error ? ended.message : this.#newWords()
    if (!this.#isOpen && !isNotShareable(words)) throw explainConnectionFailure(words)
  }

  /** Ends the connection, and shows what ssh has said of it since it was made. Waits: the program may be about to end. */
  close(): void {
    const [program, ...options] = this.#ssh
    if (this.#isOpen) spawnSync(program, [...options, '-O', 'exit', '--', 'any'], { stdio: 'ignore' })
    else this.#opening.kill()
    process.stderr.write(harmless(this.#newWords()))
  }

  #newWords(): string {
    const words = readFileSync(this.#log, 'utf8')
    const seen = this.#seen
    this.#seen = words.length
    return words.slice(seen)
  }
}
