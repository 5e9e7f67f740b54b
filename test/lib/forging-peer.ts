import { connect, createServer } from 'node:net'
import { sshString } from '../../scripts/lib/ssh/key-blob.ts'
import { listen } from './ports.ts'
import type { CleansUp } from './sshd.ts'

const disconnect = 1
const protocolError = 2

/**
 * Listens in place of an ssh server, has no host key, and sends an SSH disconnect message with this text, as any attacker
 * on the network can. ssh shows it before it has seen a host key. @returns the port
 */
export async function startForgingPeer(t: CleansUp, text: string): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.write('SSH-2.0-x\r\n')
    // Its own version and key exchange come first.
    socket.once('data', () => socket.end(disconnectWith(text)))
  })
  t.after(() => void server.close())
  return listen(server)
}

/** The same, between a client and an ssh server: lets those pass that scan for host keys. @returns the port */
export async function startForgingProxy(t: CleansUp, text: string, sshPort: number): Promise<number> {
  const server = createServer(client => {
    const upstream = connect(sshPort, '127.0.0.1')
    for (const socket of [client, upstream]) socket.on('error', () => {})
    // The server's version comes first. ssh-keyscan waits for it, and ssh does not.
    upstream.once('data', serverVersion => {
      client.write(serverVersion)
      client.once('data', version => {
        if (version.includes('keyscan')) {
          upstream.write(version)
          client.pipe(upstream).pipe(client)
        } else {
          upstream.destroy()
          client.end(disconnectWith(text))
        }
      })
    })
  })
  t.after(() => void server.close())
  return listen(server)
}

function disconnectWith(text: string): Buffer {
  return packetOf(Buffer.concat([Buffer.from([disconnect, 0, 0, 0, protocolError]), sshString(text), sshString('')]))
}

/** A packet before any key was exchanged (RFC 4253, section 6): a multiple of eight bytes, at least four of padding. */
function packetOf(payload: Buffer): Buffer {
  const padding = 4 + (-(payload.length + 9) & 7)
  return sshString(Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)]))
}
