import { basename } from 'node:path'
import { knownHostsName, type Server } from '../ssh/remote.ts'
import { passageTo, restrictionTo } from './authorized-key.ts'

/** A host that the deploy key logs in to. */
export interface Hop {
  readonly server: Server
  /** `user@host` or `user@[host]:port`, for people. */
  readonly place: string
  /** Its `Host` in ssh's configuration. */
  readonly alias: string
  /** The options before the key in authorized_keys there, and what they let it do. */
  readonly restriction: string
  readonly mayDo: string
  /** The hop before it. */
  readonly jump?: Hop | undefined
}

/** The jump host, if there is one, and the server. */
export function findHops(server: Server, jumpServer: Server | undefined): readonly Hop[] {
  const alias = aliasOf(server)
  const jump: Hop | undefined = jumpServer && {
    server: jumpServer,
    place: formatServer(jumpServer),
    alias: `${alias}-jump`,
    restriction: passageTo(server),
    mayDo: `connect to ${knownHostsName(server)}`,
  }
  const target: Hop = {
    server,
    place: formatServer(server),
    alias,
    restriction: restrictionTo(server),
    mayDo: 'push to this repository',
    jump,
  }
  return jump ? [jump, target] : [target]
}

/** A name made of host and repository, for the key's file and for the `Host` in ssh's configuration. */
export function aliasOf({ host, path }: Server): string {
  const repository = basename(path, '.git') || 'repository'
  return `pushlive-${host}-${repository}`.replace(/[^A-Za-z0-9._-]/g, '_')
}

const formatServer = (server: Server) => `${server.user}@${knownHostsName(server)}`
