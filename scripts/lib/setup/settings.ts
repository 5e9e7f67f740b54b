import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { loadEnvFile, readSettings } from '../shared/settings.ts'
import { parseJump, parseRemote, type Remote, type Server } from '../ssh/remote.ts'
import { restrictionTo } from './authorized-key.ts'
import { readFingerprints } from './host-keys.ts'
import { inHome } from './ssh-folder.ts'

const settings = {
  STAGING_REMOTE_REPO: {
    means:
      'the repository to push to, such as seita@ssh.our-server.com:/home/seita/flexmeasures-staging/flexmeasures.git',
    required: true,
    read: (url: string): Server | (Remote & { readonly host?: undefined }) => {
      const remote = parseRemote(url.trim())
      if (remote === undefined) throw new Error('is neither user@host:path, ssh://user@host:port/path nor a path')
      const { host, ...path } = remote
      if (host === undefined) return path
      restrictionTo(remote)
      return withUser(remote)
    },
  },
  PROXY_JUMP: {
    means: 'the host through which the CI reaches the server, as user@host or user@host:port',
    read: (text: string) => {
      const jump = parseJump(text)
      if (jump === undefined) throw new Error('is not user@host or user@host:port')
      return withUser(jump)
    },
  },
  HOST_FINGERPRINT: {
    means: 'the SHA256 fingerprints of the host keys, as ssh-keygen -l prints them; without it setup-ssh asks you',
    read: readFingerprints,
  },
  SSH_KEY_FILE: {
    means: 'the file of the deploy key, which is created if it is not there',
    read: (file: string) => {
      if (/["\\$\n\r]/.test(file)) throw new Error('has a character that ssh cannot read')
      return inHome(file)
    },
  },
  SSH_KEY_TYPE: {
    means: 'ed25519 (the default), ecdsa or rsa',
    default: 'ed25519',
    read: (text: string) => {
      const type = text.trim()
      if (/^(ed25519|ecdsa|rsa)$/.test(type)) return type
      throw new Error('is unknown')
    },
  },
  BRANCH_NAME: { means: 'the branch that you will push' },
  HOOK_BINARY: {
    means: 'a post-receive for the server, where none lies beside setup-ssh',
    read: (file: string) => {
      if (!statSync(file, { throwIfNoEntry: false })?.isFile()) throw new Error(`is not there, or no file (${file})`)
      return resolve(file)
    },
  },
} as const

export type SetupSettings = ReturnType<typeof readSetupSettings>

/**
 * @param envFile in place of `.env` and `deploy/deploy.env`
 * @throws Failure (usage) that names everything that is missing or wrong
 */
export function readSetupSettings(envFile?: string) {
  loadEnvFile(envFile)
  return readSettings(settings, process.env, envFile)
}

function withUser(remote: Remote): Server {
  if (remote.user !== undefined) return remote as Server
  throw new Error("names no user: write user@host, because the CI's user name differs from yours")
}
