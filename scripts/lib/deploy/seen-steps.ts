import { parseAnnouncement, puttingBack } from '../protocol/steps.ts'
import { parseVerdict } from '../protocol/verdict.ts'
import type { Listener } from './push.ts'

/** When a step began and ended, by this machine's clock: milliseconds since 1970. */
export interface SeenStep {
  readonly name: string
  readonly began: number
  ended?: number
}

/** The steps of a deployment, as the server announces them. */
export class SeenSteps implements Listener, Disposable {
  readonly #listener: Listener
  readonly list: SeenStep[] = []
  /** How many there were when the previous code began to be put back: the last of them has failed. */
  #puttingBackAt: number | undefined

  constructor(listener: Listener) {
    this.#listener = listener
  }

  /** Of a deployment that has failed, which step has: -1 where there was none. */
  get failedAt(): number {
    return (this.#puttingBackAt ?? this.list.length) - 1
  }

  serverPrinted(line: string): void {
    const name = parseAnnouncement(line)
    if (name || parseVerdict(line)) this.#end()
    if (name === puttingBack) this.#puttingBackAt ??= this.list.length
    if (name) this.list.push({ name, began: Date.now() })
    this.#listener.serverPrinted(line)
  }

  clientPrinted(line: string): void {
    this.#listener.clientPrinted(line)
  }

  [Symbol.dispose](): void {
    this.#end()
  }

  #end() {
    const step = this.list.at(-1)
    if (step) step.ended ??= Date.now()
  }
}
