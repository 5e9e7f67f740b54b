import { isMissingRepository } from '../ssh/explain-failure.ts'
import { parseJump, parseRemote, type Server } from '../ssh/remote.ts'
import { withSshSession } from '../ssh/session.ts'
import { addressOf, refusal } from './authorized-key.ts'
import type { CiSecrets } from './ci-secrets.ts'
import { $, feed } from './shell.ts'

export interface Trial {
  /** Whether the server let the key in, and would take a push; where there is no repository yet, the first alone. */
  readonly isAccepted: boolean
  readonly hasRepository: boolean
  /** What git and ssh said, if it did not work. */
  readonly output: string
}

/** Lists the repository and begins a push, just as the CI will reach it: with its secrets and nothing else. */
export async function tryKey({
  STAGING_REMOTE_REPO,
  SSH_DEPLOYMENT_KEY: key,
  KNOWN_DEPLOYMENT_HOSTS: knownHosts,
  PROXY_JUMP = '',
}: CiSecrets): Promise<Trial> {
  return withSshSession({ key, knownHosts, jump: parseJump(PROXY_JUMP) }, async ({ env, takeSshMessages }) => {
    const $$ = $({ env: { ...process.env, ...(await env) }, stdio: 'pipe' })
    const { user, host, port, path } = parseRemote(STAGING_REMOTE_REPO) as Server
    const login = [...(port ? ['-p', `${port}`] : []), '-T', '--', `${user}@${host}`]
    const asGit = `eval "$GIT_SSH_COMMAND" '"$@"'`
    // As git runs it, but not by git: its configuration here may lead elsewhere. Asked for nothing, it changes nothing.
    const start = (service: string) =>
      feed($$`exec sh -c ${asGit} ssh ${login} ${`${service} '${path}'`}`, endOfRequest)

    const listing = await start('git-upload-pack')
    if (!listing.ok) {
      const output = takeSshMessages() + listing.stderr
      // An attacker on the network can have ssh print any words, but 255 is ssh's own exit code: no program has run then.
      const isMissing = listing.exitCode !== 255 && isMissingRepository(output)
      return { isAccepted: isMissing, hasRepository: false, output: isMissing ? '' : output }
    }
    const push = await start('git-receive-pack')
    const isTaken = push.ok && isOfReceivePack.test(push.stdout)
    const output = `${takeSshMessages()}${push.stderr}The answer to git-receive-pack: ${push.stdout.slice(0, 200)}`
    return { isAccepted: isTaken, hasRepository: true, output: isTaken ? '' : output }
  })
}

/** Of git's protocol: nothing more is asked for. */
const endOfRequest = '0000'

/**
 * What it says first (gitprotocol-pack(5)). git-upload-pack, which may be all that the key's line runs, can do other
 * things; and a login shell that prints something before it stops a push.
 */
const isOfReceivePack = /^[\da-f]{44,68} [^\n\0]*\0.*\breport-status\b/

/** What a thief of the key would try. */
export interface Misuse {
  /**
   * `refused`: by the line in authorized_keys. `other`: let in, but something else ended it, such as a login shell that
   * runs no commands. `unknown`: the connection failed, which says nothing of what the key may do.
   */
  readonly shell: 'given' | 'refused' | 'other' | 'unknown'
  /** Whether the key may have connections made from there, or taken. */
  readonly forwards: boolean
  /** What the server or ssh said of the shell. */
  readonly output: string
}

export async function tryMisuse(configFile: string, alias: string): Promise<Misuse> {
  const ssh = ['ssh', '-F', configFile, '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=15']
  const [{ exitCode, stdout, stderr }, opened] = await Promise.all([
    $`${ssh} -R 0:127.0.0.1:1 -T -- ${alias} true`,
    // Hardly anything listens there: a server that may not forward does not even try.
    $`${ssh} -W 127.0.0.1:1 -- ${alias}`,
  ])
  const outcomes: Record<number, Misuse['shell']> = { 0: 'given', [refusal]: 'refused', 255: 'unknown' }
  const ofListening = /^(Warning: remote port forwarding failed|Allocated port \d+) .*\n?/m
  return {
    shell: outcomes[exitCode ?? 255] ?? 'other',
    forwards: /^Allocated port/m.test(stderr) || opened.ok || /open failed: connect failed/.test(opened.stderr),
    output: `${stdout}${stderr.replace(ofListening, '')}`.trim(),
  }
}

/** The end of the sentence "The server ...": what the key may do there that it should not. */
export function describeMisuse({ shell, forwards }: Misuse): string | undefined {
  if (shell === 'given') return 'gives the key a shell'
  return forwards ? 'lets the key forward connections' : undefined
}

/** Whether a jump host lets the key connect to the server, whatever the server itself then says. */
export async function tryPassage(configFile: string, alias: string, server: Server): Promise<boolean> {
  return (await $`ssh -F ${configFile} -o BatchMode=yes -o ConnectTimeout=15 -W ${addressOf(server)} -- ${alias}`).ok
}
