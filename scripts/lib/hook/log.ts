import { existsSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { formatLogName, type LogName, parseLogName } from '../protocol/logs.ts'
import { exitCode, Failure } from '../shared/program.ts'
import type { Relay } from './relay.ts'

const keptLogs = 50
const lastLinesBytes = 4096
const lastLines = 15

/** Where the logs are. */
export const logFolder = (gitDir: string) => join(gitDir, 'pushlive/log')

/** The logs that are kept, the oldest first. There are none before the first deployment. */
export function listLogs(folder: string): (LogName & { readonly file: string })[] {
  const names = existsSync(folder) ? readdirSync(folder).sort() : []
  const logs = names.flatMap(name => {
    const log = parseLogName(name)
    return log ? [{ ...log, file: join(folder, name) }] : []
  })
  return logs.sort((a, b) => a.number - b.number)
}

/** A deployment's log file. The hook's own lines go there and to the pusher; the steps write only there. */
export class DeploymentLog {
  readonly file: string
  readonly fd: number
  readonly #relay: Relay

  /** @throws Failure where the file cannot be written */
  constructor(folder: string, started: Date, commit: string, relay: Relay) {
    this.#relay = relay
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const others = listLogs(folder)
      const number = (others.at(-1)?.number ?? 0) + 1
      this.file = join(folder, formatLogName({ number, commit, started: started.toISOString() }))
      this.fd = openSync(this.file, 'a+', 0o600)
      for (const { file } of others.slice(0, 1 - keptLogs)) rmSync(file, { force: true })
    } catch (cause) {
      throw new Failure(exitCode.failed, `No log can be written to ${folder}.`, { why: String(cause), cause })
    }
  }

  say(text: string): void {
    this.#relay.say(text)
    try {
      writeSync(this.fd, `${text}\n`)
    } catch {
      // On a full disk the log is lost, and the restore must go on. The pusher is told all the same.
    }
  }

  /** Shows the pusher what is written from now on, until `end` is called: it returns the last lines, if there are more. */
  startQuote() {
    const from = this.#size()
    const quotation = this.#relay.quote(this.file, from)
    return {
      end: (): string => {
        const to = this.#size()
        this.#relay.endQuote(quotation, to)
        const bytes = Buffer.alloc(Math.min(to - from, lastLinesBytes))
        readSync(this.fd, bytes, 0, bytes.length, to - bytes.length)
        const lines = bytes.toString().trimEnd().split('\n')
        return bytes.length === to - from && lines.length <= lastLines ? '' : lines.slice(-lastLines).join('\n')
      },
    }
  }

  #size() {
    return fstatSync(this.fd).size
  }
}
