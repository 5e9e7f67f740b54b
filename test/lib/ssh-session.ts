import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { listen } from './ports.ts'
import type { Site } from './site.ts'
import type { CleansUp, Sshd } from './sshd.ts'

/** The repository under another host, port or user. */
export function urlOf(site: Site, changes: { user?: string; host?: string; port?: number; path?: string }) {
  const { username, hostname, port } = new URL(site.url)
  const place = { user: username, host: hostname, port, path: site.repository, ...changes }
  return `ssh://${place.user}@${place.host}:${place.port}${place.path}`
}

/** A folder for the programs' temporary files. */
export function newTemporaryFolder(site: Site): string {
  return mkdtempSync(join(site.folder, 'tmp-'))
}

/** Puts a shell script of this name before the programs on PATH. */
export function pathWith(site: Site, name: string, script: string): string {
  const folder = mkdtempSync(join(site.folder, 'bin-'))
  writeFileSync(join(folder, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 })
  return `${folder}:${process.env.PATH}`
}

/** An ssh that fails as one does where it cannot make its socket, after it has logged in. */
export const noSharing = `
for word; do
  if [ "$word" = -M ]; then echo 'unix_listener: cannot bind to path /x: Operation not supported' >&2; exit 255; fi
done
exec /usr/bin/ssh "$@"`

export const connectionsTo = (sshd: Sshd) => sshd.log().split('Accepted publickey').length - 1

/** A program that is no sshd listens at the server's port. */
export async function listenInstead(site: Site, sshd: Sshd, t: CleansUp, answer: (end: () => void) => void) {
  const server = createServer(socket => {
    socket.on('error', () => {})
    answer(() => socket.end())
  })
  t.after(() => {
    server.close()
  })
  const port = await listen(server)
  return {
    STAGING_REMOTE_REPO: urlOf(site, { port }),
    KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts.replace(`:${sshd.port}`, `:${port}`),
  }
}
