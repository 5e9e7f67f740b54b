import { quote, $ as zx } from 'zx/core'
import { program } from '../lib/programs.ts'
import type { Site } from '../lib/site.ts'

/** What deploy leaves on a terminal of this many columns, without colours. */
export async function showAtTerminal(
  site: Site,
  args: readonly string[],
  { columns, ...changes }: { columns: number } & Readonly<Record<string, string | number | undefined>>,
): Promise<string> {
  const command = `stty cols ${columns} rows 50; ${[...program('deploy'), ...args].map(quote).join(' ')}`
  const env = {
    ...site.deployEnvironment,
    TERM: 'xterm',
    NO_COLOR: '1',
    GIT_PAGER: 'cat',
    ...changes,
  } as NodeJS.ProcessEnv
  const $ = zx({ cwd: site.clone, env, quiet: true, nothrow: true })
  const { stdout, exitCode } = await $`script --quiet --return --command ${command} /dev/null`
  return `${settle(stdout)}(exit code ${exitCode})\n`
}

/** What is left when each line has been written: a terminal removes what was erased. */
export const settle = (shown: string) =>
  shown
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map(line => line.split('\r\u001b[K').at(-1))
    .join('\n')
