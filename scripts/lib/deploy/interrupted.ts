import { isRollback, type Verb } from '../protocol/asks.ts'
import { parseGreeting } from '../protocol/verdict.ts'
import { typed } from './called-as.ts'
import type { Options } from './clone.ts'
import type { Listener } from './push.ts'

/** Where a signal ends deploy while it pushes, such as Ctrl-C, says what becomes of the deployment, and how to come back. */
export class InterruptedPush implements Listener, Disposable {
  readonly #listener: Listener
  readonly #verb: Verb | undefined
  readonly #options: Options
  #hasAnswered = false

  constructor(listener: Listener, verb: Verb | undefined, options: Options) {
    this.#listener = listener
    this.#verb = verb
    this.#options = options
    process.on('exit', this.#say)
  }

  serverPrinted(line: string): void {
    this.#hasAnswered ||= parseGreeting(line) !== undefined
    this.#listener.serverPrinted(line)
  }

  clientPrinted(line: string): void {
    this.#listener.clientPrinted(line)
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#say)
  }

  readonly #say = () => {
    const status = typed('status', this.#options)
    // The same rollback once more would go further back.
    const again = isRollback(this.#verb) ? '' : `, and ${typed('', this.#options)} waits for its verdict`
    const text = this.#hasAnswered
      ? 'The server goes on without you.'
      : 'The server may have got the push, and goes on then.'
    process.stderr.write(`\n${text} ${status} shows how far it is${again}.\n`)
  }
}
