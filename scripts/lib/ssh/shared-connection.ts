import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { closeSync, linkSync, openSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { explainConnectionFailure } from './explain-failure.ts'
import type { Remote } from './remote.ts'
import type { SshLog } from './ssh-log.ts'

/** After how many milliseconds it is said that ssh still connects: an ssh server that greets and then is silent takes 60 s. */
const longWait = 15_000

/**
 * One connection to the server for all the git commands of a run (ssh_config(5), ControlMaster). An ssh of ours holds
 * it, and not the first of git's: that one would keep git's stderr open for as long as it lives, and deploy, which
 * reads it to its end, would wait for that.
 */
export class SharedConnection {
  /** Where the ssh processes of git find it. Where there is none, they connect by themselves. */
  readonly socket: string
  /** @throws Failure (unreachable); that no connection can be shared here is none */
  readonly opened: Promise<void>
  readonly #ssh: readonly [string, ...string[]]
  readonly #log: SshLog
  readonly #opening: ChildProcess
  #isOpen = false

  /**
   * @param ssh its program and options
   * @param folder a private one, for the socket
   * @param persist whether ssh ends by itself when we were killed. It does not show what a jump says then.
   */
  constructor(
    ssh: readonly [string, ...string[]],
    folder: string,
    log: SshLog,
    { user, host, port }: Remote,
    { persist }: { persist: boolean },
  ) {
    this.socket = join(folder, 'ssh')
    this.#log = log
    this.#ssh = [...ssh, '-S', this.socket]
    const [program, ...options] = this.#ssh
    const background = ['-f', '-N', '-M', ...(persist ? ['-o', 'ControlPersist=60'] : []), '-E', log.file]
    const destination = [...(port ? ['-p', `${port}`] : []), '--', user ? `${user}@${host}` : (host as string)]
    const output = openSync(log.file, 'a')
    // A file and no pipe: the ssh that goes into the background may keep it open.
    // Not by zx: every deployment waits for this, and zx is loaded meanwhile.
    this.#opening = spawn(program, [...options, ...background, ...destination], {
      stdio: ['ignore', output, output],
      env: { ...process.env, LC_ALL: 'C' },
    })
    closeSync(output)
    const saying = setTimeout(() => process.stderr.write(`Still connecting to ${host} ...\n`), longWait).unref()
    this.opened = this.#open().finally(() => clearTimeout(saying))
    // If deploy fails before it awaits the connection, that failure is the one to show.
    this.opened.catch(() => {})
  }

  async #open(): Promise<void> {
    const ended = await new Promise<number | null | Error>(resolve => {
      this.#opening.on('error', resolve).on('exit', resolve)
    })
    this.#isOpen = ended === 0
    const messages = ended instanceof Error ? ended.message : this.#log.takeNew()
    if (!this.#isOpen && (await canHoldSocket(this.socket))) throw explainConnectionFailure(messages)
  }

  /** Waits until the connection has ended: the program may be about to. */
  close(): void {
    const [program, ...options] = this.#ssh
    if (this.#isOpen) spawnSync(program, [...options, '-O', 'exit', '--', 'any'], { stdio: 'ignore' })
    else this.#opening.kill()
  }
}

/**
 * Whether ssh can have made its socket there, which not every file system allows. It is tried, as ssh does it (a socket
 * and a hard link to it): what ssh says may be what an attacker on the network has sent.
 */
async function canHoldSocket(socket: string): Promise<boolean> {
  const trial = createServer()
  try {
    await new Promise<void>((resolve, reject) => trial.once('error', reject).listen(`${socket}.trial`, resolve))
    linkSync(`${socket}.trial`, `${socket}.link`)
    return true
  } catch {
    return false
  } finally {
    trial.close()
  }
}
