import type { Shell } from 'zx/core'
import { isMissingRepository } from '../ssh/explain-failure.ts'
import { parseJump, parseRemote, type Server } from '../ssh/remote.ts'
import { withSshSession } from '../ssh/session.ts'
import { addressOf, refusal } from './authorized-key.ts'
import type { CiSecrets } from './ci-secrets.ts'
import { $ } from './shell.ts'

export interface Trial {
  /** Whether the server let the key in. */
  readonly isAccepted: boolean
  readonly hasRepository: boolean
  /** What git and ssh said, if it did not work. */
  readonly output: string
}

/** Lists the repository just as the CI will reach it: with its secrets and nothing else. */
export async function tryKey({
  STAGING_REMOTE_REPO,
  SSH_DEPLOYMENT_KEY: key,
  KNOWN_DEPLOYMENT_HOSTS: knownHosts,
  PROXY_JUMP = '',
}: CiSecrets): Promise<Trial> {
  return withSshSession({ key, knownHosts, jump: parseJump(PROXY_JUMP) }, async ({ env, takeSshMessages }) => {
    const $$ = $({ env: { ...process.env, ...(await env) } })
    const listed = await $$`git ls-remote -- ${STAGING_REMOTE_REPO}`
    const messages = takeSshMessages() + listed.stderr
    const isMissing = isMissingRepository(messages) && (await isLetIn($$, STAGING_REMOTE_REPO))
    // What the key may not do is not asked here.
    takeSshMessages()
    return { isAccepted: listed.ok || isMissing, hasRepository: listed.ok, output: listed.ok ? '' : messages }
  })
}

/**
 * Whether a program on the server has run, whatever it exited with: ssh itself exits with 255. An attacker on the
 * network can have ssh print any words, and cannot change that.
 */
async function isLetIn($: Shell, url: string): Promise<boolean> {
  const { user, host, port } = parseRemote(url) as Server
  const login = [...(port ? ['-p', `${port}`] : []), '-T', '--', `${user}@${host}`, 'true']
  // As git runs it.
  const script = `eval "$GIT_SSH_COMMAND" '"$@"'`
  return (await $`exec sh -c ${script} ssh ${login}`).exitCode !== 255
}

export interface ShellTrial {
  /**
   * `refused`: by the line in authorized_keys. `other`: let in, but something else ended it, such as a login shell that
   * runs no commands. `unknown`: the connection failed, which says nothing of what the key may do.
   */
  readonly outcome: 'given' | 'refused' | 'other' | 'unknown'
  /** What the server or ssh said. */
  readonly output: string
}

/** Asks for a shell, as a thief of the key would. */
export async function tryShell(configFile: string, alias: string): Promise<ShellTrial> {
  const { exitCode, stdout, stderr } =
    await $`ssh -F ${configFile} -o BatchMode=yes -o ConnectTimeout=15 -T -- ${alias} true`
  const outcomes: Record<number, ShellTrial['outcome']> = { 0: 'given', [refusal]: 'refused', 255: 'unknown' }
  return { outcome: outcomes[exitCode ?? 255] ?? 'other', output: `${stdout}${stderr}`.trim() }
}

/** Whether a jump host lets the key connect to the server, whatever the server itself then says. */
export async function tryPassage(configFile: string, alias: string, server: Server): Promise<boolean> {
  return (await $`ssh -F ${configFile} -o BatchMode=yes -o ConnectTimeout=15 -W ${addressOf(server)} -- ${alias}`).ok
}
