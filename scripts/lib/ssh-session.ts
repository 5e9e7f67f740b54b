import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

export interface SshSecrets {
  /** A private key as OpenSSH reads it. Without it ssh logs in as it does for its user. */
  readonly key: string | undefined
  /** known_hosts lines. Without them ssh knows the hosts that it knows for its user. */
  readonly knownHosts: string | undefined
}

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
 * program is interrupted.
 */
export async function withSshSession<T>(
  { key, knownHosts }: SshSecrets,
  action: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  // git's and ssh's messages are told apart by their words, which are English only so.
  const env = { LC_ALL: 'C' }
  if (key === undefined && knownHosts === undefined) return action(env)

  const folder = mkdtempSync(join(shortTemporaryFolder(), 'pushlive-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const interrupted = (signal: NodeJS.Signals) => {
    remove()
    process.exit(128 + constants.signals[signal])
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, interrupted)
  try {
    const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600, flag: 'wx' })
    write('known_hosts', knownHosts ?? '')
    if (key !== undefined) {
      write('key', key)
      // A file and not -o options: the ssh that a ProxyJump starts inherits the one and not the other.
      write('config', withKey(folder))
      return await action({ ...env, GIT_SSH_COMMAND: `ssh -F ${folder}/config`, GIT_SSH_VARIANT: 'ssh' })
    }
    const options = `-o UserKnownHostsFile=${folder}/known_hosts -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes`
    return await action({ ...env, GIT_SSH_COMMAND: `ssh ${options}`, GIT_SSH_VARIANT: 'ssh' })
  } finally {
    for (const signal of signals) process.off(signal, interrupted)
    remove()
  }
}

/** The path goes into GIT_SSH_COMMAND, which a shell splits, and a space in it breaks ProxyJump. */
function shortTemporaryFolder(): string {
  return /^[\w./-]+$/.test(tmpdir()) ? tmpdir() : '/tmp'
}
