import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { listen } from './ports.ts'
import { program } from './programs.ts'
import type { Site } from './site.ts'
import type { CleansUp, Sshd } from './sshd.ts'

const $ = zx({ quiet: true })

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

/** @returns a PATH where these shell scripts, by their names, come before the programs */
export function pathWith(site: Site, scripts: Record<string, string>): string {
  const folder = mkdtempSync(join(site.folder, 'bin-'))
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 })
  }
  return `${folder}:${process.env.PATH}`
}

/**
 * Runs deploy with a temporary folder that has room for the files of a session and not for a socket.
 *
 * @param inodes one for the file system, one for the session's folder and one for each of its files
 */
export async function deployWithoutSharing(
  site: Site,
  args: readonly string[],
  changes: Record<string, string>,
  inodes = 7,
) {
  const TMPDIR = newTemporaryFolder(site)
  const mount = `mount -t tmpfs -o nr_inodes=${inodes} tmpfs "$TMPDIR" && exec "$@"`
  const env = { ...site.deployEnvironment, TMPDIR, ...changes }
  const $$ = $({ cwd: site.clone, env, nothrow: true })
  const { exitCode, stdout, stderr } = await $$`exec ${ownMounts} sh -c ${mount} sh ${program('deploy')} ${args}`
  return { exitCode, output: `${stdout}${stderr}` }
}

/** Starts what sees mounts of its own. Only root needs not become it for that, and keeps all that it may do. */
export const ownMounts = ['unshare', ...(userInfo().uid === 0 ? [] : ['--map-root-user']), '--mount']

/** Why not, for a test that would be skipped. */
export const cannotMount =
  !(await $`${ownMounts} mount -t tmpfs tmpfs /tmp`.nothrow()).ok && 'this user may not mount anything'

export const connectionsTo = (sshd: Sshd) => sshd.log().split('Accepted publickey').length - 1

/** Starts a server that is no sshd. @returns the settings with which deploy connects to it */
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
