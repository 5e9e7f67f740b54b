import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { branchName, loadEnvFile, readSettings } from '../shared/settings.ts'
import { normalizeKnownHosts } from '../ssh/known-hosts.ts'
import { normalizePrivateKey } from '../ssh/private-key.ts'
import { parseJump, parseRemote, type Remote } from '../ssh/remote.ts'

export type DeploySettings = ReturnType<typeof readDeploySettings>

/** The inputs of the CI's action are these, too. */
export const settings = {
  STAGING_REMOTE_REPO: {
    means:
      'the repository to push to, such as seita@ssh.our-server.com:/home/seita/flexmeasures-staging/flexmeasures.git',
    required: true,
    read: readRemote,
  },
  BRANCH_NAME: { means: 'the branch to push, such as main', required: true, read: branchName },
  SSH_DEPLOYMENT_KEY: {
    means: 'the private key from the secrets of the CI; leave it unset to log in as you do by hand',
    read: (text: string) => ifAny(readSecret(text), normalizePrivateKey),
  },
  KNOWN_DEPLOYMENT_HOSTS: {
    means: 'known_hosts lines from the secrets of the CI; setup-ssh prints them',
    read: (text: string) => ifAny(readSecret(text), readKnownHosts),
  },
  PROXY_JUMP: {
    means: 'the host through which the server is reached, such as ada@gate.our-server.com:22',
    read: (text: string): Remote => {
      const jump = parseJump(text)
      if (jump === undefined) throw new Error('is not user@host or user@host:port')
      return jump
    },
  },
  APP_URL: {
    means: 'where the application is, such as https://flexmeasures.our-server.com, for the CI to show',
    read: (text: string): string => {
      if (!/^https?:\/\/[\x21-\x7e]+$/.test(text.trim())) throw new Error('is not an http address')
      return text.trim()
    },
  },
  ACCEPT_NO_VERDICT: {
    means: 'yes: exit with 0 also where no hook of pushlive says whether the code is live',
    default: 'no',
    read: (text: string): boolean => {
      if (!/^(yes|no)$/.test(text.trim())) throw new Error('is neither yes nor no')
      return text.trim() === 'yes'
    },
  },
} as const

/**
 * What deploy is told by its environment, by `.env` and by `deploy/deploy.env`; the first that says something wins.
 *
 * @param envFile in place of `.env` and `deploy/deploy.env`
 * @param isInCi whether this is a job of a CI, for which an empty key is a secret that it did not get
 * @throws Failure (usage) that names all that is missing or wrong
 */
export function readDeploySettings(envFile: string | undefined, isInCi = false) {
  // In a file an empty one is somebody's choice.
  const lacksSecret = process.env.SSH_DEPLOYMENT_KEY?.trim() === '' && isInCi
  loadEnvFile(envFile)
  const isGiven = (name: keyof typeof settings) => (process.env[name] ?? '').trim() !== ''
  const values = readSettings(settings, process.env, envFile, ({ STAGING_REMOTE_REPO }) => {
    if (lacksSecret && STAGING_REMOTE_REPO?.host !== undefined) {
      return [
        "SSH_DEPLOYMENT_KEY is empty: a CI gives this secret to no job for a fork or for Dependabot, and to none outside of its environment or its protected branches. To do: deploy in a job that gets it; to log in by this machine's own ssh, leave SSH_DEPLOYMENT_KEY out",
      ]
    }
    return isGiven('SSH_DEPLOYMENT_KEY') && !isGiven('KNOWN_DEPLOYMENT_HOSTS')
      ? ['SSH_DEPLOYMENT_KEY is there without KNOWN_DEPLOYMENT_HOSTS: setup-ssh prints both']
      : []
  })
  // The processes that are started get none.
  delete process.env.SSH_DEPLOYMENT_KEY
  return values
}

/** How the server is reached, each with what the setting says. */
export function describeAccess({ SSH_DEPLOYMENT_KEY, KNOWN_DEPLOYMENT_HOSTS }: DeploySettings) {
  return [
    SSH_DEPLOYMENT_KEY === undefined
      ? { what: 'your own key', found: 'no SSH_DEPLOYMENT_KEY, ssh logs in as it does for you' }
      : { what: 'key', found: 'SSH_DEPLOYMENT_KEY is a private key without passphrase' },
    KNOWN_DEPLOYMENT_HOSTS === undefined
      ? { what: 'your own known hosts', found: 'no KNOWN_DEPLOYMENT_HOSTS, ssh knows the hosts that it knows for you' }
      : { what: 'known hosts', found: 'KNOWN_DEPLOYMENT_HOSTS has a host key of the server' },
  ]
}

function readRemote(url: string): Remote {
  const remote = parseRemote(url.trim())
  if (remote === undefined) throw new Error('is neither user@host:path, ssh://user@host:port/path nor a path')
  if (remote.url.includes('=')) {
    // clone.ts names it in `git -c`, where a name ends at its first equal sign.
    throw new Error('has an equal sign, which git does not take here (ssh://user@host/path may have %3D in its place)')
  }
  return remote
}

/** The text itself, or what is in the file that it names: GitLab can store a secret as a file. */
function readSecret(text: string): string {
  const path = text.trim().replace(/^~(?=\/)/, home)
  // Of base64, only what begins with UTF-16's byte order mark begins with a slash: with two.
  if (!/^\/(?!\/)[^\n]*$/.test(path)) return text
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'ENAMETOOLONG') return text
    // The path is not shown: it may be a part of a secret.
    throw new Error(
      /^(ENOENT|ENOTDIR)$/.test(code)
        ? 'is a path, and there is no such file'
        : `is in a file that cannot be read (${code})`,
    )
  }
}

/** @throws Error where a user without a name has no HOME either */
function home(): string {
  try {
    return homedir()
  } catch {
    throw new Error('begins with ~, and this user has no home folder: set HOME, or write the whole path')
  }
}

const ifAny = <T>(text: string, read: (text: string) => T): T | undefined =>
  text.trim() === '' ? undefined : read(text)

/** @throws Failure (usage) where they lack the server or the jump host */
function readKnownHosts(text: string): string {
  const { STAGING_REMOTE_REPO = '', PROXY_JUMP = '' } = process.env
  const hosts = [parseRemote(STAGING_REMOTE_REPO.trim()), parseJump(PROXY_JUMP)]
  return hosts.reduce(
    (lines, remote) => (remote?.host === undefined ? lines : normalizeKnownHosts(lines, remote)),
    text,
  )
}
