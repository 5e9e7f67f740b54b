import { $ as zx } from 'zx/core'
import type { CiSecrets } from './ci-secrets.ts'
import { withSshSession } from './ssh-session.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

export interface Trial {
  /** Whether the server let the key in. */
  readonly isAccepted: boolean
  readonly hasRepository: boolean
  /** What git and ssh said, if it did not work. */
  readonly words: string
}

/** Lists the repository just as the CI will reach it: with its three secrets and nothing else. */
export async function tryKey({
  STAGING_REMOTE_REPO,
  SSH_DEPLOYMENT_KEY: key,
  KNOWN_DEPLOYMENT_HOSTS: knownHosts,
}: CiSecrets): Promise<Trial> {
  return withSshSession({ key, knownHosts }, async env => {
    const listed = await $({ env: { ...process.env, ...env } })`git ls-remote -- ${STAGING_REMOTE_REPO}`
    const isMissing = /does not appear to be a git repository/.test(listed.stderr)
    return { isAccepted: listed.ok || isMissing, hasRepository: listed.ok, words: listed.ok ? '' : listed.stderr }
  })
}

export interface ShellTrial {
  /** Undefined where the connection failed, which says nothing of what the key may do. */
  readonly isRefused: boolean | undefined
  /** What the server or ssh said. */
  readonly words: string
}

/** Asks for a shell as somebody would who had stolen the key. */
export async function tryShell(configFile: string, alias: string): Promise<ShellTrial> {
  const tried = await $`ssh -F ${configFile} -o BatchMode=yes -o ConnectTimeout=15 -T -- ${alias} true`
  return { isRefused: tried.exitCode === 255 ? undefined : tried.exitCode !== 0, words: tried.stderr.trim() }
}
