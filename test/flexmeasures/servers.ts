import { mkdirSync, readdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { waitFor } from '../lib/events.ts'
import { holdPort } from '../lib/ports.ts'
import type { CleansUp } from '../lib/sshd.ts'

// PostgreSQL's own user cannot enter every folder that a test is started in.
const $ = zx({ cwd: '/', quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

/**
 * A PostgreSQL cluster with an empty database for FlexMeasures, on a Unix socket that no other user can reach.
 *
 * @param port of 127.0.0.1, where other users of this machine are to reach it, too
 */
export async function startPostgres(t: CleansUp, folder: string, port?: number) {
  const own = join(folder, 'pg')
  const data = join(own, 'data')
  const [newest] = readdirSync('/usr/lib/postgresql').sort((a, b) => Number(b) - Number(a))
  const programs = `/usr/lib/postgresql/${newest}/bin`
  // It refuses to be root.
  const asItsUser = userInfo().uid === 0 ? ['--reuid', 'postgres', '--regid', 'postgres', '--init-groups'] : []
  mkdirSync(own, { mode: 0o700 })
  if (asItsUser.length > 0) await $`chown postgres:postgres ${own}`
  const cluster = ['-U', 'flexmeasures', '-A', 'trust', '-E', 'UTF8', '--locale', 'C.UTF-8', '--no-sync']
  await $`setpriv ${asItsUser} ${programs}/initdb -D ${data} ${cluster}`

  const address = port === undefined ? '' : '127.0.0.1'
  const number = port === undefined ? [] : ['-p', `${port}`]
  const server = [`${programs}/postgres`, '-D', data, '-k', own, '-c', `listen_addresses=${address}`, ...number, '-F']
  const client = ['-h', own, ...number, '-U', 'flexmeasures']
  // SIGQUIT ends it at once, even while clients are connected.
  await startServer(t, [...asItsUser, ...server], 'SIGQUIT', async () => {
    return (await $`${programs}/pg_isready --quiet ${client}`.nothrow()).ok
  })
  await $`${programs}/createdb ${client} flexmeasures`
  const psql = [`${programs}/psql`, ...client, '-XAtq', '-v', 'ON_ERROR_STOP=1', 'flexmeasures']
  return {
    uri: `postgresql://flexmeasures@${address && `${address}:${port}`}/flexmeasures${address ? '' : `?host=${own}`}`,
    runFile: (file: string) => $`${psql} -f ${file}`,
    query: async (sql: string) => (await $`${psql} -c ${sql}`).stdout.trim(),
  }
}

/** @returns its port on 127.0.0.1: FlexMeasures cannot reach it through a unix socket */
export async function startRedis(t: CleansUp, folder: string): Promise<number> {
  const port = await holdPort()
  const command = ['redis-server', '--bind', '127.0.0.1', '--port', `${port}`, '--dir', folder, '--save', '']
  await startServer(t, command, 'SIGTERM', async () => (await $`redis-cli -p ${port} ping`.nothrow()).ok)
  return port
}

/** Runs a server in the foreground until the test ends, and no longer than the test's process. */
async function startServer(
  t: CleansUp,
  command: readonly string[],
  signal: NodeJS.Signals,
  isUp: () => Promise<boolean>,
): Promise<void> {
  let end: string | undefined
  // exec: otherwise bash would get the signal, and the server would stay.
  const server = $({ nothrow: true })`exec setpriv --pdeathsig KILL ${command}`
  const ended = server.then(({ stdout, stderr }) => {
    end = stdout + stderr
  })
  t.after(async () => {
    if (end === undefined) process.kill(server.pid as number, signal)
    await ended
  })
  await waitFor(`${command.join(' ')} is up`, () => {
    if (end !== undefined) throw new Error(`${command.join(' ')} ended: ${end}`)
    return isUp()
  })
}
