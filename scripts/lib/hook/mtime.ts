import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Keeps the time of a file that a server watches: a checkout must not make it reload. */
export async function withTimeKept<T>(file: string | undefined, action: () => Promise<T>): Promise<T> {
  const timeOf = () => {
    const found = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false, bigint: true })
    return found?.isFile() ? found.mtimeNs : undefined
  }
  const before = timeOf()
  try {
    return await action()
  } finally {
    const after = timeOf()
    if (file !== undefined && before !== undefined && after !== undefined && before !== after) {
      // Node's utimes has no nanoseconds.
      const { $ } = await import('zx/core')
      await $({
        quiet: true,
      })`touch --date=${`@${before / 1_000_000_000n}.${String(before % 1_000_000_000n).padStart(9, '0')}`} -- ${file}`
    }
  }
}

/** Waits until a file's time lies in a second that is over; not at all where there is no such file. */
export async function waitForNextSecond(file: string): Promise<void> {
  const changed = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
  const over = Math.floor(changed / 1000) * 1000 + 1000
  const rest = () => over - Date.now()
  // A time in the future is not waited for. Node's timers may end a millisecond early.
  while (rest() > 0 && rest() <= 1000) await sleep(rest())
}
