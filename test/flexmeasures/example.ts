import { openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { $ as zx } from 'zx/core'
import type { CleansUp } from '../lib/sshd.ts'
import { readExample } from '../lib/web-server.ts'

/** A file of examples/flexmeasures, with this test's paths and ports in place of those that a reader replaces. */
export const readFlexMeasuresExample = (name: string, replacements: Readonly<Record<string, string>>) =>
  readExample(join('flexmeasures', name), replacements)

export const readServerEnv = (replacements: Readonly<Record<string, string>>) =>
  parse(readFlexMeasuresExample('server.env', replacements))

/** The lines of its page that make it faster. */
export const readFasterServerEnv = () => parse(readExample('../docs/frameworks/flexmeasures.md', {}))

/** What tells the units that `runUnit` runs what server.env's RESTART tells systemd's. */
export const reloadOrRestart = (folder: string) =>
  `kill -HUP "$(cat ${pidFile(folder, 'web')})"; kill -TERM "$(cat ${pidFile(folder, 'worker')})"`

const pidFile = (folder: string, name: string) => join(folder, `${name}.pid`)

/** Runs a unit of examples/flexmeasures as systemd does: starts it again when it ends, with what its file has by then. */
export function runUnit(
  t: CleansUp,
  name: 'web' | 'worker',
  folder: string,
  env: Readonly<Record<string, string>>,
  replacements: Readonly<Record<string, string>>,
) {
  const unit = name === 'web' ? 'flexmeasures' : `flexmeasures-${name}`
  const text = readFlexMeasuresExample(`server/${unit}.service`, replacements)
  const setting = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? ''
  const output = openSync(join(folder, `${name}.log`), 'a')
  const $ = zx({ nothrow: true, quiet: true, stdio: ['ignore', output, output] })
  let isWanted = true
  let pid = 0
  const running = (async () => {
    while (isWanted) {
      // exec: otherwise bash would get the signal, and the server would stay.
      const command = ['setpriv', '--pdeathsig', 'TERM', ...setting('ExecStart').split(' ')]
      const ownEnv = { ...env, ...parse(readFileSync(setting('EnvironmentFile'))) }
      const unit = $({ cwd: setting('WorkingDirectory'), env: ownEnv })`exec ${command}`
      pid = unit.pid as number
      writeFileSync(pidFile(folder, name), String(pid))
      await unit
    }
  })()
  t.after(async () => {
    isWanted = false
    process.kill(pid, 'SIGTERM')
    await running
  })
  return { pid: () => pid }
}
