import type { ProcessPromise, Shell } from 'zx/core'
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
    const remote = parseRemote(STAGING_REMOTE_REPO) as Server
    const $$ = $({ env: { ...process.env, ...(await env) } })
    const listed = await $$`git ls-remote -- ${STAGING_REMOTE_REPO}`
    if (!listed.ok) {
      const output = takeSshMessages() + listed.stderr
      const isMissing = isMissingRepository(output) && (await isLetIn($$, remote))
      // What the key may not do is not asked here.
      takeSshMessages()
      return { isAccepted: isMissing, hasRepository: false, output }
    }
    const { isTaken, stderr } = await beginPush($$, remote)
    const messages = takeSshMessages() + stderr
    return { isAccepted: isTaken, hasRepository: true, output: isTaken ? '' : messages }
  })
}

/**
 * Has the server start git-receive-pack, and asks it for nothing: so nothing is changed. What it answers first tells it
 * from git-upload-pack, which may be all that the key's line runs (gitprotocol-pack(5), Reference Discovery).
 */
async function beginPush($: Shell, remote: Server) {
  const nothing = '0000'
  const { ok, stdout, stderr } = await feed(onServer($, remote, `git-receive-pack '${remote.path}'`), nothing)
  return { isTaken: ok && /\0.*\breport-status\b/.test(stdout), stderr }
}

/**
 * Whether a program on the server has run, whatever it exited with: ssh itself exits with 255. An attacker on the
 * network can have ssh print any words, and cannot change that.
 */
const isLetIn = async ($: Shell, remote: Server) => (await feed(onServer($, remote, 'true'), '')).exitCode !== 255

/** Runs a command as git does. */
function onServer($: Shell, { user, host, port }: Server, command: string): ProcessPromise {
  const login = [...(port ? ['-p', `${port}`] : []), '-T', '--', `${user}@${host}`, command]
  const script = `eval "$GIT_SSH_COMMAND" '"$@"'`
  return $({ stdio: 'pipe' })`exec sh -c ${script} ssh ${login}`
}

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
