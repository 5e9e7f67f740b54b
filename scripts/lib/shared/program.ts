import { inspect } from 'node:util'
import { flatten, quote } from './foreign-text.ts'

declare const PUSHLIVE_VERSION: string | undefined

/** `0.1.0 (1a2b3c4)` in a binary, where the build puts it in; a script that runs unbuilt says `source`. */
export const version = typeof PUSHLIVE_VERSION === 'string' ? PUSHLIVE_VERSION : 'source'

/** Exit codes of deploy; the other programs use those that apply to them. */
export const exitCode = { live: 0, failed: 1, usage: 2, unreachable: 3, refused: 4, unknown: 5, bug: 70 } as const

/** An error for its reader: what failed, why, what to do, and the program's exit code. */
export class Failure extends Error {
  readonly exitCode: number
  readonly why: string
  readonly fix: string

  constructor(
    exitCode: number,
    what: string,
    { why = '', fix = '', cause }: { why?: string; fix?: string; cause?: unknown } = {},
  ) {
    super(what, { cause })
    this.name = 'Failure'
    this.exitCode = exitCode
    this.why = why.trimEnd()
    this.fix = fix
  }

  override toString() {
    const fix = this.fix && `To do: ${flatten(this.fix)}`
    return [flatten(this.message), this.why && quote(this.why), fix].filter(Boolean).join('\n')
  }
}

/**
 * Runs a program's main, whose result is its exit code. This is the one place that catches: a Failure is shown in
 * its own words, anything else is a bug of ours and is shown with its stack.
 *
 * @param outputs are waited for: Node writes to a pipe only as fast as it is read, and drops the rest when it exits. A
 * reader that has gone (`deploy | head`) changes nothing else
 * @param atLast is done when the outcome has been shown, and cannot change it: it never throws
 */
export function run(
  main: () => Promise<number>,
  outputs = () => [process.stdout, process.stderr],
  atLast?: () => Promise<void>,
): void {
  // Not at once: main may use what the script declares below it.
  Promise.resolve()
    .then(() => {
      for (const output of outputs()) output.on('error', () => {})
      return main()
    })
    .catch(error => {
      process.stderr.write(`${describe(error)}\n`)
      return error instanceof Failure ? error.exitCode : exitCode.bug
    })
    .then(async code => {
      await atLast?.()
      await Promise.all(outputs().map(output => new Promise<unknown>(written => output.write('', written))))
      // process.exit is faster than a natural exit.
      process.exit(code)
    })
}

/** Answers of a disk, a file system or a limit (errno(3)), which are no bugs of ours. */
const refusals = 'EROFS ENOSPC EDQUOT EFBIG EACCES EPERM EIO EMFILE ENFILE ENOMEM EAGAIN EXDEV EBUSY'.split(' ')

/** An error for people. What the system refused, or a command printed that failed unexpectedly (zx), is in their words. */
export function describe(error: unknown): string {
  if (error instanceof Failure) return String(error)
  const { stderr, cause } = (error ?? {}) as { stderr?: string; cause?: unknown }
  const { code = '', message = '', syscall } = (cause ?? error ?? {}) as Partial<NodeJS.ErrnoException>
  // Node's rmSync knows no code for most answers, such as that of a read-only file system or a mount point.
  const isUnknown = syscall === 'rm' && code === ''
  if (isUnknown || refusals.includes(code)) {
    return flatten(`The system refuses: ${message.replace(/^, Unknown error: /, '')}`)
  }
  const said = stderr === undefined ? '' : stderr.trim() || (cause === undefined ? '' : message)
  if (said) return flatten(`A command failed: ${said}`)
  return `Internal error in pushlive ${version}, please report it: ${inspect(error)}`
}

/** The same as a sentence. */
export function describeBriefly(error: unknown): string {
  return error instanceof Failure ? error.message : `${describe(error).replace(/\.?(\n.*)?$/s, '')}.`
}
