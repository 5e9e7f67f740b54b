import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What the ssh processes of a run print to their standard error, in a file of its own. git's standard error has the
 * lines of the hook, and ssh prints there what anybody on the way to the server sends, before any host key is checked:
 * a disconnect message may look like a line of the hook. ssh's `-E` leaves there what a jump host's ssh prints.
 */
export class SshLog {
  readonly file: string
  #seen = 0

  /** @param folder a private one */
  constructor(folder: string) {
    this.file = join(folder, 'log')
    closeSync(openSync(this.file, 'ax', 0o600))
  }

  /** What was printed since the last call. */
  takeNew(): string {
    const bytes = readFileSync(this.file)
    const messages = bytes.toString('utf8', this.#seen)
    this.#seen = bytes.length
    return messages
  }
}
