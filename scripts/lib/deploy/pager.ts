import { spawnSync } from 'node:child_process'
import type { Session } from './clone.ts'

/** Shows a text as git would: through the user's pager, which ends by itself where all fits on the screen. */
export async function page({ $ }: Pick<Session, '$'>, text: string): Promise<void> {
  const pager = (await $`git var GIT_PAGER`.nothrow()).stdout.trim()
  // git's own defaults (git-config(1), core.pager).
  const env = { ...process.env, LESS: process.env.LESS ?? 'FRX', LV: process.env.LV ?? '-c' }
  const isNone = pager === '' || pager === 'cat'
  const shown = isNone
    ? undefined
    : spawnSync(pager, { shell: true, env, input: `${text}\n`, stdio: ['pipe', 'inherit', 'pipe'] })
  // Where there is no such program, as in a small container.
  if (shown === undefined || shown.status === 127) console.log(text)
}
