import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SharedConnection } from '../../scripts/lib/ssh/shared-connection.ts'
import { SshLog } from '../../scripts/lib/ssh/ssh-log.ts'

/** An ssh that connects to a server which greets, and then says nothing more. */
async function connectToSilence(t: TestContext, persist: boolean) {
  const folder = mkdtempSync(join(tmpdir(), 'silent-'))
  const server = createServer(socket => socket.on('error', () => {}).write('SSH-2.0-silent\r\n'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const log = new SshLog(folder)
  t.after(() => {
    log.close()
    server.close()
    rmSync(folder, { recursive: true })
  })
  const ssh = ['ssh', '-F', 'none', '-o', 'BatchMode=yes'] as const
  const connect = () =>
    new SharedConnection(ssh, folder, log, { url: '', path: '', host: '127.0.0.1', port }, { persist })
  return { connect, connected: once(server, 'connection'), folder }
}

test('A server that greets and then is silent is named after a while', async t => {
  const { connect, connected } = await connectToSilence(t, true)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const lines: unknown[] = []
  const writing = t.mock.method(process.stderr, 'write', (line: unknown) => lines.push(line) > 0)
  const connection = connect()
  t.mock.timers.tick(14_000)
  assert.deepEqual(lines, [])
  t.mock.timers.tick(1_000)
  writing.mock.restore()
  await connected
  connection.close()
  await assert.rejects(connection.opened)
  assert.deepEqual(lines, ['Still connecting to 127.0.0.1 ...\n'])
})

test('The connection of a run that was killed ends by itself, but for one through a jump', async t => {
  for (const persist of [true, false]) {
    const { connect, connected, folder } = await connectToSilence(t, persist)
    const connection = connect()
    await connected
    const [command = ''] = commandsWith(folder)
    // Before it is open, it is ended like this.
    connection.close()
    await assert.rejects(connection.opened)
    assert.match(command, /^ssh /)
    assert.equal(command.includes(' -o ControlPersist=60 '), persist)
  }
})

function commandsWith(text: string): string[] {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return pids.map(commandOf).filter(command => command.includes(text))
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
