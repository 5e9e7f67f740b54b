import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { quote, quoteForSh } from '../shared/foreign-text.ts'
import { exitOnSignals } from '../shared/signals.ts'
import { findHome } from './home.ts'
import { makePrivateFolder } from './private-folder.ts'
import type { Remote } from './remote.ts'
import { SharedConnection } from './shared-connection.ts'
import { SshLog } from './ssh-log.ts'

/** How the server is reached. */
export interface SshAccess {
  /** A private key as OpenSSH reads it, with `knownHosts`. Without it ssh logs in as it does for its user. */
  readonly key?: string | undefined
  /** known_hosts lines. Without them ssh knows the hosts that it knows for its user. */
  readonly knownHosts?: string | undefined
  /** The jump host that all connections go through, with the same key and hosts. */
  readonly jump?: Remote | undefined
  /** Where the git commands go, if they are to share one connection. */
  readonly remote?: Remote | undefined
}

export type Environment = Readonly<Record<string, string>>

export interface SshSession {
  /** For git. A promise, because the user's own ssh is asked for meanwhile. */
  readonly env: Promise<Environment>
  /**
   * To be awaited before the first command that needs the server: the connection is made meanwhile. It rejects with a
   * Failure (unreachable), and nothing was sent then.
   */
  readonly connected: Promise<void>
  /** What ssh printed since the last call: git's standard error has none of it. */
  readonly takeSshMessages: () => string
}

/**
 * Lets in the host keys that are given, and no others, whatever the user's configuration says after it: ssh takes the
 * first value that it finds. That configuration cannot add a key by a command, by DNS, by an exception for localhost, or
 * by a connection that was made before. What this ssh does not know it passes over: KnownHostsCommand is there from
 * OpenSSH 8.5 on. The user's own IgnoreUnknown would come too late to count.
 */
const onlyGivenHosts = (folder: string) => `\
IgnoreUnknown *
UserKnownHostsFile ${folder}/known_hosts
GlobalKnownHostsFile /dev/null
KnownHostsCommand none
StrictHostKeyChecking yes
VerifyHostKeyDNS no
NoHostAuthenticationForLocalhost no
CheckHostIP no
UpdateHostKeys no
ControlPath none
`

const onlyGivenKey = (folder: string) => `\
IdentityFile ${folder}/key
IdentitiesOnly yes
IdentityAgent none
BatchMode yes
PreferredAuthentications publickey
ConnectTimeout 15
ForwardAgent no
`

/**
 * What ssh reads without -F. After Include ~ is $HOME: see glob(3). To a user without a passwd entry ssh itself says what
 * is wrong.
 */
const usersConfiguration = () => `Include "${findHome() ?? '~'}/.ssh/config"\nInclude /etc/ssh/ssh_config\n`

/** A connection that freezes ends within a minute. It comes last: what the user's configuration says wins. */
const untilFrozen = `\
Host *
ConnectTimeout 60
ServerAliveInterval 15
ServerAliveCountMax 4
`

/**
 * Runs git commands with an ssh that has the CI's key and hosts, and nothing of the user's: no agent, no `~/.ssh`.
 * The secrets lie in a private temporary folder for as long as that takes, and are gone afterwards, also when the
 * program is interrupted; those of a run that was killed are swept by the next.
 *
 * @param access undefined where git needs no ssh
 */
export async function withSshSession<T>(
  access: SshAccess | undefined,
  action: (session: SshSession) => Promise<T>,
): Promise<T> {
  // git's and ssh's messages are told apart by their words, which are English only so.
  const env = { LC_ALL: 'C' }
  let log: SshLog | undefined
  const begin = (env: Environment | Promise<Environment>, connected = Promise.resolve()) =>
    action({ env: Promise.resolve(env), connected, takeSshMessages: () => log?.takeNew() ?? '' })
  if (access === undefined) return begin(env)
  const { key, knownHosts, jump, remote } = access

  let folder = ''
  let connection: SharedConnection | undefined
  const end = () => {
    connection?.close()
    connection = undefined
    const messages = log?.takeNew()
    log?.close()
    log = undefined
    if (messages) process.stderr.write(`${quote(messages)}\n`)
    if (folder) rmSync(folder, { recursive: true, force: true })
  }
  // First: it shows ssh's last words, and a CI takes commands again when all is shown.
  process.prependListener('exit', end)
  const ignoreSignals = exitOnSignals()
  try {
    // A file and not -o options: the ssh that a jump starts inherits the one and not the other. The other way round
    // for the jump and the shared connection, which are not for that ssh.
    folder = makePrivateFolder(folder => ({
      config:
        (knownHosts === undefined ? '' : onlyGivenHosts(folder)) +
        (key === undefined ? usersConfiguration() : onlyGivenKey(folder)) +
        untilFrozen,
      ...(knownHosts !== undefined && { known_hosts: knownHosts }),
      ...(key !== undefined && { key }),
    }))
    log = new SshLog(folder)
    const { file } = log
    const useSsh = (options: readonly string[]): Environment => {
      const ssh = ['ssh', ...options].map(quoteForSh).join(' ')
      return { ...env, GIT_SSH_COMMAND: `exec ${ssh} 2>>${quoteForSh(file)}`, GIT_SSH_VARIANT: 'ssh' }
    }
    const useUsersSsh = async (): Promise<Environment> => {
      const ssh = await findUsersSsh()
      return ssh === undefined ? useSsh(options) : { ...env, GIT_SSH_COMMAND: `${ssh} 2>>${quoteForSh(file)}` }
    }
    const options = ['-F', join(folder, 'config'), ...(jump ? ['-J', jump.url] : [])]
    if (knownHosts === undefined && jump === undefined) return await begin(useUsersSsh())
    if (key === undefined || remote === undefined) return await begin(useSsh(options))
    connection = new SharedConnection(['ssh', ...options], folder, log, remote, { persist: !jump })
    return await begin(useSsh([...options, '-S', connection.socket]), connection.opened)
  } finally {
    end()
    process.off('exit', end)
    ignoreSignals()
  }
}

/**
 * The command that git would take in place of ssh, in the order in which it looks (GIT_SSH_COMMAND and core.sshCommand
 * in git's documentation).
 */
async function findUsersSsh(): Promise<string | undefined> {
  const { GIT_SSH_COMMAND, GIT_SSH } = process.env
  if (GIT_SSH_COMMAND) return GIT_SSH_COMMAND
  const configured = await new Promise<string>(resolve => {
    execFile('git', ['config', '--get', 'core.sshCommand'], (_, stdout) => resolve(stdout.trim()))
  })
  return configured || (GIT_SSH ? quoteForSh(GIT_SSH) : undefined)
}
