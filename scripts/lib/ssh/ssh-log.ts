import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What the ssh processes of a run print to their standard error, in a file of its own. git's standard error has the
 * lines of the hook, and ssh prints there what anybody on the way to the server sends, before any host key is checked:
 * a disconnect message may look like a line of the hook. ssh's `-E` leaves there what a jump host's ssh prints.
 */
export class SshLog {
  readonly file: string
  readonly #folder: string
  readonly #fd: number
  #seen = 0

  /** @param folder a private one */
  constructor(folder: string) {
    this.#folder = folder
    this.file = join(folder, 'log')
    this.#fd = openSync(this.file, 'ax+', 0o600)
  }

  /** What was printed since the last call. It is called ten times a second, so it reads nothing twice. */
  takeNew(): string {
    const bytes = Buffer.alloc(fstatSync(this.#fd).size - this.#seen)
    this.#seen += readSync(this.#fd, bytes, 0, bytes.length, this.#seen)
    return this.#withSettingsNames(bytes.toString())
  }

  /** ssh names its files, and says how to edit them: it means settings of ours. It writes each line at once. */
  #withSettingsNames(messages: string): string {
    return messages
      .replace(/^ {2}(remove with:|ssh-keygen -f .*)\r?\n/gm, '')
      .replaceAll(join(this.#folder, 'known_hosts'), 'KNOWN_DEPLOYMENT_HOSTS')
      .replaceAll(join(this.#folder, 'key'), 'SSH_DEPLOYMENT_KEY')
  }

  close(): void {
    closeSync(this.#fd)
  }
}
