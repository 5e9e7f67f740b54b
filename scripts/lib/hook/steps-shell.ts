import { join } from 'node:path'
import { type ProcessPromise, $ as zx } from 'zx/core'
import { flatten } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Deployment } from './deployment.ts'
import type { DeploymentLog } from './log.ts'
import { goPipe, Killed, type Start, strict, waitForGo } from './processes.ts'
import type { HookSettings } from './settings.ts'

interface Options {
  readonly settings: HookSettings
  readonly log: DeploymentLog
  readonly start: Start
}

/** A shell for a deployment's steps. @param commit the one whose code they find */
export function openShell(
  cwd: string,
  settings: HookSettings,
  commit: string,
  { deployment: { entry, log, start }, branch }: { deployment: Deployment; branch: string },
): StepsShell {
  const variables = { DEPLOY_BRANCH: branch, DEPLOY_COMMIT: commit, DEPLOY_PREVIOUS_COMMIT: entry.previous ?? '' }
  return new StepsShell(cwd, { ...process.env, ...variables }, { settings, log, start })
}

/**
 * Runs the deployment's commands, each in a bash of its own, in a session of its own: a Ctrl-C at a push to a local
 * path does not reach it. They write to the log file, never to the pusher.
 */
export class StepsShell {
  readonly #options: Options
  readonly #cwd: string
  #env: NodeJS.ProcessEnv
  /** That of the commands; undefined for the hook's own. */
  umask: number | undefined

  /** @param env what the steps find, before an environment is activated */
  constructor(cwd: string, env: NodeJS.ProcessEnv, options: Options) {
    this.#options = options
    const { PATH_TO_WSGI } = options.settings
    this.#cwd = cwd
    this.#env = { ...env, PWD: this.#cwd, ...(PATH_TO_WSGI && { PATH_TO_WSGI }) }
    this.#enterVirtualEnvironment()
  }

  /** Takes over the environment that a command such as `source /path/activate` leaves. @throws Failure where it fails */
  async activate(command: string): Promise<void> {
    this.#env = await activate(command, this.#cwd, this.#env, this.#options.start)
    this.#enterVirtualEnvironment()
  }

  /** What the steps find. */
  get env(): Readonly<NodeJS.ProcessEnv> {
    return this.#env
  }

  /** @throws Failure with the command, how it ended and its last lines */
  async run(command: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#run(command, this.#options.log.fd, more)
  }

  /** What a command prints to its standard output. @throws Failure as `run` does */
  read(command: string): Promise<string> {
    return this.#run(command, 'pipe', {})
  }

  async #run(command: string, stdout: number | 'pipe', more: Readonly<Record<string, string>>): Promise<string> {
    const { log, start } = this.#options
    const output = log.startQuote()
    const step = zx({
      cwd: this.#cwd,
      env: { ...this.#env, ...more },
      stdio: ['ignore', stdout, log.fd, goPipe],
      detached: true,
      nothrow: true,
      quiet: true,
      prefix: waitForGo + (this.umask === undefined ? '' : `umask ${this.umask.toString(8)}; `) + strict,
      // The command is the server's own text for a shell: it is not quoted.
      quote: text => text,
    })`${command}`
    let how = ''
    let printed = ''
    let lastLines = ''
    try {
      const { ok, exitCode: code, signal, stdout } = await start(command, step)
      if (!ok) how = signal ? `was killed by ${signal}` : `exited with ${code}`
      printed = stdout
    } catch (error) {
      if (!(error instanceof Killed)) throw error
      how = error.how
    } finally {
      // Nothing else is shown before it, not even the verdict.
      lastLines = output.end()
    }
    if (how === '') return printed
    throw new Failure(exitCode.failed, `\`${flatten(command)}\` ${how}.`, { why: lastLines })
  }

  /** PATH_TO_VENV's programs come before all others. */
  #enterVirtualEnvironment() {
    const folder = this.#options.settings.PATH_TO_VENV
    if (folder === undefined) return
    const bin = join(folder, 'bin')
    const { PATH = '' } = this.#env
    this.#env = { ...this.#env, VIRTUAL_ENV: folder, PATH: PATH.startsWith(`${bin}:`) ? PATH : `${bin}:${PATH}` }
  }
}

/**
 * The environment that a bash command leaves.
 *
 * @throws Failure where the command fails
 */
export async function activate(
  command: string,
  cwd: string,
  env: NodeJS.ProcessEnv,
  start: Start,
): Promise<NodeJS.ProcessEnv> {
  // Activation scripts read variables that are not set: no `set -u`. What they print must not mix with the answer.
  const bash = zx({
    cwd,
    env,
    prefix: waitForGo,
    nothrow: true,
    quiet: true,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', goPipe],
  })
  const activating: ProcessPromise = bash`{ eval ${command}; } >&2 && env -0`
  const { ok, exitCode: code, stdout, stderr } = await start(command, activating)
  if (!ok) throw new Failure(exitCode.failed, `\`${flatten(command)}\` exited with ${code}.`, { why: stderr })
  return Object.fromEntries(stdout.split('\0').filter(Boolean).map(splitOnce))
}

function splitOnce(line: string): [string, string] {
  const at = line.indexOf('=')
  return [line.slice(0, at), line.slice(at + 1)]
}
