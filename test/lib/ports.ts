import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'

/** Starts to listen at a port of 127.0.0.1 that the kernel chooses. @returns the port */
export async function listen(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

let holder: Promise<number> | undefined

/**
 * A port of 127.0.0.1 that belongs to this process as long as it runs. No server listens there until one is started.
 *
 * A socket of ours is bound to it, so the kernel gives it to no process that asks for any free port. Our socket does
 * not listen, so a server that is given this port can: sshd, nginx, Apache, uWSGI, gunicorn, PostgreSQL, Redis and
 * Python's http.server all set SO_REUSEADDR. Not all of them take an open socket, or tell which port they chose.
 */
export async function holdPort(): Promise<number> {
  holder ??= listen(createServer(socket => socket.unref()).unref())
  // Node can bind a socket that does not listen only to connect it.
  const socket = connect({ port: await holder, host: '127.0.0.1', localAddress: '127.0.0.1', localPort: 0 }).unref()
  await once(socket, 'connect')
  return socket.localPort as number
}
