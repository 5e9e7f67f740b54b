import { accessSync, constants, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { exitCode, Failure } from '../shared/program.ts'
import { findHome } from '../ssh/home.ts'
import type { Hop } from './hops.ts'
import { verifyFile } from './users-file.ts'

/** @throws Failure (usage) for a user without a passwd entry */
function homeFolder(): string {
  const home = findHome()
  if (home !== undefined) return home
  const [user, group] = [process.getuid?.(), process.getgid?.()]
  throw new Failure(exitCode.usage, 'ssh does not work for a user who is not in /etc/passwd.', {
    fix: `run setup-ssh as a user who is; in a container, as root: echo "me:x:${user}:${group}::/tmp:/bin/sh" >> /etc/passwd`,
  })
}

/** A file's absolute path; `~/` is the home folder that ssh uses. */
export function inHome(file: string): string {
  return resolve(file.startsWith('~/') ? join(homeFolder(), file.slice(2)) : file)
}

/**
 * The files of ssh, and how the operator logs in: always with a known host key.
 *
 * @param given in place of `~/.ssh`
 * @throws Failure (usage) for a folder that cannot be written, for files of its that are none, and for a user without a
 *   passwd entry
 */
export function findSshFolder(given: string | undefined) {
  const home = homeFolder()
  const folder = given === undefined ? join(home, '.ssh') : resolve(given)
  if (/["\\$\n\r]/.test(folder)) throw new Failure(exitCode.usage, `ssh cannot read a folder of this name: ${folder}`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new Failure(exitCode.usage, `You cannot write to ${folder}.`, { why: String(cause), cause })
  }
  const config = join(folder, 'config')
  const entries = join(folder, 'pushlive.conf')
  const knownHosts = join(folder, 'known_hosts')
  for (const file of [config, entries, knownHosts]) verifyFile(file)
  const here = given === undefined ? [] : ['-F', config]
  const ownHosts = `UserKnownHostsFile="${escapePercent(knownHosts)}"`
  // Without a port, the operator's configuration may name one.
  const way = ({ server: { port }, jump }: Hop) => [
    ...(jump ? ['-J', jump.alias] : []),
    ...(port === undefined ? [] : ['-p', String(port)]),
  ]
  const options = [
    `BatchMode=${process.stdin.isTTY ? 'no' : 'yes'}`,
    'ConnectTimeout=15',
    ownHosts,
    'StrictHostKeyChecking=yes',
    'RemoteCommand=none',
  ]
  return {
    folder,
    /** The user's own configuration. */
    config,
    /** Our own, and how the user's configuration includes it. */
    entries,
    // ssh looks for a name without a path in ~/.ssh, whichever file includes it; and there alone ~ is $HOME.
    include: given === undefined && process.env.HOME === home ? 'pushlive.conf' : `"${entries}"`,
    knownHosts,
    /**
     * The operator's own ssh to a host, without the command to run there. It passes the jump host with the deploy key,
     * because the ssh that `-J` starts reads the configuration, and not the options given here.
     */
    login: (hop: Hop): readonly string[] => [
      'ssh',
      ...here,
      ...options.flatMap(option => ['-o', option]),
      ...way(hop),
      ...['-T', '--', `${hop.server.user}@${hop.server.host}`],
    ],
    /** The same as people type it, for a command that asks something. */
    atTerminal: (hop: Hop): readonly string[] => [
      'ssh',
      ...(given === undefined ? [] : [...here, '-o', ownHosts]),
      ...way(hop),
      ...['-t', `${hop.server.user}@${hop.server.host}`],
    ],
  }
}

export type SshFolder = ReturnType<typeof findSshFolder>

/** A value that ssh takes as it is: it would expand `%h`. */
export function escapePercent(value: string): string {
  return value.replaceAll('%', '%%')
}
