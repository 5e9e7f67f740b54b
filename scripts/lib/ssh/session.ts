import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { exitOnSignals } from '../shared/signals.ts'
import { makePrivateFolder } from './private-folder.ts'
import type { Remote } from './remote.ts'
import { SharedConnection } from './shared-connection.ts'

export interface SshSecrets {
  /** A private key as OpenSSH reads it. Without it ssh logs in as it does for its user. */
  readonly key?: string | undefined
  /** known_hosts lines. Without them ssh knows the hosts that it knows for its user. */
  readonly knownHosts?: string | undefined
  /** `user@host:port`: all connections go through there, with the same key and hosts. */
  readonly jump?: string | undefined
  /** Where the git commands go, if they are to share one connection. */
  readonly remote?: Remote | undefined
}

export type Environment = Readonly<Record<string, string>>

const withKey = (folder: string) => `\
Host *
  IdentityFile ${folder}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile ${folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  BatchMode yes
  PreferredAuthentications publickey
  ConnectTimeout 15
  ServerAliveInterval 15
  ServerAliveCountMax 4
  ForwardAgent no
`

/**
 * Runs git commands with an ssh that has the CI's key and hosts, and nothing of the user's: no agent, no `~/.ssh`.
 * The secrets lie in a private temporary folder for as long as that takes, and are gone afterwards, also when the
 * program is interrupted; those of a run that was killed are swept by the next.
 *
 * @param action gets the environment for git, and a promise that it awaits before its first command that needs the
 * server: the connection is made meanwhile. It rejects with a Failure (unreachable), and nothing was sent then.
 */
export async function withSshSession<T>(
  { key, knownHosts, jump, remote }: SshSecrets,
  action: (env: Environment, connected: Promise<void>) => Promise<T>,
): Promise<T> {
  // git's and ssh's messages are told apart by their words, which are English only so.
  const env = { LC_ALL: 'C' }
  const through = jump ? ['-J', jump] : []
  const useSsh = (options: readonly string[]): Environment => ({
    ...env,
    GIT_SSH_COMMAND: ['ssh', ...options].map(word => `'${word}'`).join(' '),
    GIT_SSH_VARIANT: 'ssh',
  })
  const connected = Promise.resolve()
  if (key === undefined && knownHosts === undefined) return action(jump ? useSsh(through) : env, connected)

  let folder = ''
  let connection: SharedConnection | undefined
  const end = () => {
    connection?.close()
    connection = undefined
    if (folder) rmSync(folder, { recursive: true, force: true })
  }
  // First: it shows ssh's last words, and a CI takes commands again when all is shown.
  process.prependListener('exit', end)
  const ignoreSignals = exitOnSignals()
  try {
    // A file and not -o options: the ssh that a jump starts inherits the one and not the other. The other way round
    // for the jump and the shared connection, which are not for that ssh.
    folder = makePrivateFolder(folder => ({
      known_hosts: knownHosts ?? '',
      ...(key !== undefined && { key, config: withKey(folder) }),
    }))
    if (key === undefined) {
      const hosts = [`UserKnownHostsFile=${folder}/known_hosts`, 'GlobalKnownHostsFile=/dev/null']
      const options = [...hosts, 'StrictHostKeyChecking=yes'].flatMap(option => ['-o', option])
      return await action(useSsh([...options, ...through]), connected)
    }
    const options = ['-F', join(folder, 'config'), ...through]
    if (remote?.host === undefined) return await action(useSsh(options), connected)
    connection = new SharedConnection(['ssh', ...options], folder, remote, { persist: !jump })
    return await action(useSsh([...options, '-S', connection.socket]), connection.opened)
  } finally {
    end()
    process.off('exit', end)
    ignoreSignals()
  }
}
