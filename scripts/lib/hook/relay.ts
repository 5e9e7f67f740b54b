import { closeSync, openSync, readSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { quote } from '../shared/foreign-text.ts'

/** A part of a file that is shown indented. The file may still grow. */
export interface Quotation {
  readonly file: string
  readonly from: number
  /** The end, once it is known: bytes. */
  to: number | undefined
}

const chunkBytes = 64 * 1024
const pollMilliseconds = 50

/** Milliseconds, by a clock that cannot be set. */
const now = () => process.uptime() * 1000

/**
 * Shows the pusher what happens. Nothing ever waits for the pusher: each line stays in memory, and each step's output in
 * the log file, until the connection takes it. A pusher that went away leaves the pipe open and full for ever, because
 * receive-pack holds its other end. So a write that makes no progress is normal and must not block.
 *
 * It is a socket on the descriptor, because `process.stdout` cannot be destroyed.
 */
export class Relay {
  readonly #queue: (string | Quotation)[] = []
  readonly #output: Writable
  #wake = () => {}
  readonly #gone = Promise.withResolvers<void>()
  #isGone = false
  #ending = false
  #progress = now()
  readonly #pumping: Promise<void>

  constructor(fd = 1) {
    this.#output = openWithoutBlocking(fd)
    this.#output.on('error', () => this.#giveUp())
    this.#pumping = this.#pump()
  }

  /** Shows the hook's own lines. A name in them may hold any character. */
  say(text: string): void {
    this.#queue.push(`${text.replace(/[^\P{Cc}\n]/gu, '')}\n`)
    this.#wake()
  }

  /** Shows a file's text from a byte on, indented, until `endQuote` tells where it ends. */
  quote(file: string, from: number): Quotation {
    const quotation: Quotation = { file, from, to: undefined }
    this.#queue.push(quotation)
    this.#wake()
    return quotation
  }

  endQuote(quotation: Quotation, to: number): void {
    quotation.to = to
    this.#wake()
  }

  /** Waits until the pusher has everything, or until nothing has moved for this long (milliseconds). */
  async end(patience = 20_000): Promise<void> {
    this.#ending = true
    this.#progress = now()
    this.#wake()
    const impatience = setInterval(() => {
      if (now() - this.#progress >= patience) this.#giveUp()
    }, 250)
    await this.#pumping
    clearInterval(impatience)
    this.#output.destroy()
  }

  #giveUp() {
    this.#isGone = true
    this.#gone.resolve()
    this.#output.destroy()
    this.#wake()
  }

  async #pump() {
    while (!this.#isGone) {
      const next = this.#queue.shift()
      if (typeof next === 'string') await this.#write(next)
      else if (next !== undefined) await this.#showQuotation(next)
      else if (this.#ending) return
      else await this.#sleep()
    }
  }

  async #showQuotation(quotation: Quotation) {
    const file = openIfThere(quotation.file)
    if (file === undefined) return
    try {
      let position = quotation.from
      let rest = Buffer.alloc(0)
      while (!this.#isGone) {
        const wanted = Math.min(chunkBytes, (quotation.to ?? Number.POSITIVE_INFINITY) - position)
        const chunk = Buffer.alloc(Math.max(wanted, 0))
        const read = readSync(file, chunk, 0, chunk.length, position)
        position += read
        if (read === 0 && quotation.to === undefined) {
          await this.#sleep(pollMilliseconds)
          continue
        }
        const text = Buffer.concat([rest, chunk.subarray(0, read)])
        // Whole lines only: a partial one could be cut inside an escape sequence or a character.
        const end = read === 0 || text.length >= 2 * chunkBytes ? text.length : text.lastIndexOf('\n') + 1
        if (end > 0) await this.#write(`${quote(text.toString('utf8', 0, end))}\n`)
        rest = text.subarray(end)
        if (read === 0) return
      }
    } finally {
      closeSync(file)
    }
  }

  #write(text: string): Promise<void> {
    const written = Promise.withResolvers<void>()
    this.#output.write(text, () => {
      this.#progress = now()
      written.resolve()
    })
    return Promise.race([written.promise, this.#gone.promise])
  }

  async #sleep(milliseconds?: number): Promise<void> {
    const woken = new Promise<void>(wake => {
      this.#wake = wake
    })
    // Without a reference: the program need not wait for the rest of it to end.
    const over = milliseconds && sleep(milliseconds, undefined, { ref: false })
    await (over ? Promise.race([woken, over]) : woken)
  }
}

/** The oldest log may be removed at any time. */
function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, 'r')
  } catch {
    return undefined
  }
}

/** git gives its hook a pipe. A terminal or a file, where the hook is run by hand, is written to as it is. */
function openWithoutBlocking(fd: number): Writable {
  try {
    return new Socket({ fd, readable: false, writable: true })
  } catch {
    return process.stdout
  }
}
