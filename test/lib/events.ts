import { setTimeout as sleep } from 'node:timers/promises'

const patienceMilliseconds = 30_000

/** Waits until something has happened. @throws Error that names it where it does not happen in time */
export async function waitFor(
  what: string,
  hasHappened: () => boolean | Promise<boolean>,
  milliseconds = patienceMilliseconds,
): Promise<void> {
  const end = Date.now() + milliseconds
  while (!(await hasHappened())) {
    if (Date.now() > end) throw new Error(`Did not happen: ${what}`)
    await sleep(10)
  }
}

/** Waits until a program has printed a text. @throws Error with its output when it ends without that */
export async function waitForOutput(stream: NodeJS.ReadableStream, text: string | RegExp): Promise<void> {
  const printed = Promise.withResolvers<void>()
  let seen = ''
  const look = (chunk: Buffer) => {
    seen += chunk
    if (typeof text === 'string' ? seen.includes(text) : text.test(seen)) printed.resolve()
  }
  const end = () => printed.reject(new Error(`${text} was not printed:\n${seen}`))
  // Not `for await`, which would close the stream, and so end the program.
  stream.on('data', look).once('end', end)
  await printed.promise.finally(() => stream.off('data', look).off('end', end))
}
