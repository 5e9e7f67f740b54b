import { accessSync, constants, mkdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { exitCode, Failure } from '../shared/program.ts'
import type { Hop } from './hops.ts'

/** ssh goes by the passwd entry and not by $HOME, so this does too. */
function homeFolder(): string {
  try {
    return userInfo().homedir
  } catch (cause) {
    throw new Failure(exitCode.usage, 'ssh does not work for a user who is not in /etc/passwd.', {
      why: String(cause),
      fix: 'run setup-ssh as a user of this machine',
      cause,
    })
  }
}

/** A file's absolute path; `~/` stands for what ssh takes it for. */
export function inHome(file: string): string {
  return resolve(file.startsWith('~/') ? join(homeFolder(), file.slice(2)) : file)
}

/**
 * Where everything of ssh's is, and how the operator logs in: with host keys that ssh knows, always.
 *
 * @param given in place of `~/.ssh`
 * @throws Failure (usage) for a folder that cannot be written, and for a user whom ssh does not know
 */
export function findSshFolder(given: string | undefined) {
  const home = homeFolder()
  const folder = given === undefined ? join(home, '.ssh') : resolve(given)
  if (/["\\$\n\r]/.test(folder)) throw new Failure(exitCode.usage, `ssh cannot read a folder of this name: ${folder}`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new Failure(exitCode.usage, `${folder} is not yours to write.`, { why: String(cause), cause })
  }
  const config = join(folder, 'config')
  const entries = join(folder, 'pushlive.conf')
  const knownHosts = join(folder, 'known_hosts')
  const options = [
    `BatchMode=${process.stdin.isTTY ? 'no' : 'yes'}`,
    'ConnectTimeout=15',
    `UserKnownHostsFile="${escapePercent(knownHosts)}"`,
    'StrictHostKeyChecking=yes',
    'RemoteCommand=none',
  ]
  return {
    folder,
    /** The user's own configuration. */
    config,
    /** Ours, beside it, and how the user's names it. */
    entries,
    // ssh looks in ~/.ssh for a name without a path, whichever file includes it.
    include: given === undefined ? 'pushlive.conf' : `"${entries}"`,
    knownHosts,
    /**
     * The operator's own ssh to a host, less the command that is to run there. A jump host lets it through by the deploy
     * key: the ssh that it starts for that heeds a configuration and no options.
     */
    login: ({ server: { user, host, port }, jump }: Hop): readonly string[] => [
      'ssh',
      ...(given === undefined ? [] : ['-F', config]),
      ...options.flatMap(option => ['-o', option]),
      ...(jump ? ['-J', jump.alias] : []),
      // Where no port is given, the operator's configuration may name one.
      ...(port === undefined ? [] : ['-p', String(port)]),
      ...['-T', '--', `${user}@${host}`],
    ],
  }
}

export type SshFolder = ReturnType<typeof findSshFolder>

/** A value in which ssh's own `%` tokens mean nothing. */
export function escapePercent(value: string): string {
  return value.replaceAll('%', '%%')
}
