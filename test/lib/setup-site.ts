import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { quote, $ as zx } from 'zx/core'
import { feed } from '../../scripts/lib/setup/shell.ts'
import { fingerprint } from '../../scripts/lib/ssh/key-blob.ts'
import { program } from './programs.ts'
import { type CleansUp, type KeyType, newKeyPair, type SshdOptions, startSshd } from './sshd.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

export interface Changes {
  env?: Record<string, string>
  args?: readonly string[]
}

/** A server with a bare repository, and an operator who can log in there with a key of their own. */
export async function startSite(
  t: CleansUp,
  {
    hostKeyTypes = ['ed25519'],
    path = 'srv/app.git',
    host = '127.0.0.1',
    ...options
  }: SshdOptions & { path?: string; host?: string } = {},
) {
  const sshd = await startSshd(t, { ...options, hostKeyTypes })
  const own = await newKeyPair(sshd.folder)
  sshd.authorize(own.publicKey)
  const repository = join(sshd.folder, path)
  await $`git init --quiet --bare ${repository}`
  const url = `ssh://${sshd.user}@${host}:${sshd.port}${repository}`

  const folder = join(sshd.folder, 'operator')
  const sshFolder = join(folder, 'ssh')
  const config = join(sshFolder, 'config')
  mkdirSync(sshFolder, { recursive: true, mode: 0o700 })
  const configText = `Host *\n  IdentityFile "${own.file}"\n  IdentitiesOnly yes\n  IdentityAgent none\n  GlobalKnownHostsFile /dev/null\n`
  writeFileSync(config, configText, { mode: 0o600 })

  const hostFingerprint = fingerprint(sshd.hostPublicKeys[hostKeyTypes[0] as KeyType]?.split(' ')[1] ?? '')
  const environment = (env: Record<string, string> = {}) => ({
    PATH: process.env.PATH,
    HOME: folder,
    STAGING_REMOTE_REPO: url,
    HOST_FINGERPRINT: hostFingerprint,
    ...env,
  })
  return {
    sshd,
    own,
    url,
    repository,
    folder,
    sshFolder,
    config,
    configText,
    hostFingerprint,
    alias: `pushlive-${host}-app`,
    deployKey: join(sshFolder, `pushlive-${host}-app`),
    in: (name: string) => join(sshFolder, name),
    read: (name: string) => readFileSync(join(sshFolder, name), 'utf8'),

    async setupSsh({ env, args = [] }: Changes = {}) {
      const $$ = $({ env: environment(env), cwd: folder })
      const { exitCode, stdout, stderr } = await $$`${program('setup-ssh')} --ssh-dir ${sshFolder} ${args}`
      return { exitCode, stdout, stderr, table: stdout.split('\n\n').at(-1) ?? '' }
    },

    /** The same at a terminal, with what a user types there: at once, or each answer once its question is there. */
    async setupSshAtTerminal(
      typed: string | readonly (readonly [question: string, answer: string])[],
      { env, args = [] }: Changes = {},
    ) {
      const command = [...program('setup-ssh'), '--ssh-dir', sshFolder, ...args].map(quote).join(' ')
      const $$ = zx({ quiet: true, nothrow: true, env: environment(env), cwd: folder })
      const running = $$({ stdio: 'pipe' })`script --quiet --return --command ${command} /dev/null`
      if (typeof typed === 'string') feed(running, typed)
      else {
        const answers = [...typed]
        let shown = ''
        running.stdout.on('data', chunk => {
          shown += chunk
          const [next] = answers
          if (next === undefined || !shown.includes(next[0])) return
          answers.shift()
          shown = ''
          running.stdin.write(next[1])
        })
      }
      const { exitCode, stdout } = await running
      return { exitCode, stdout: stdout.replaceAll('\r', '') }
    },

    /** Runs a command on the server with the deploy key. */
    withDeployKey: (...command: string[]) =>
      $`ssh -F ${join(sshFolder, 'pushlive.conf')} pushlive-127.0.0.1-app ${command}`,
    /** Options and destination of the operator's own ssh, behind `-F config`. */
    loginWithOwnKey: [
      '-o',
      `UserKnownHostsFile=${join(sshFolder, 'known_hosts')}`,
      '-p',
      String(sshd.port),
      `${sshd.user}@${sshd.host}`,
    ],
    authorizedKeys: () => readFileSync(sshd.authorizedKeys, 'utf8'),
  }
}

export type Site = Awaited<ReturnType<typeof startSite>>

export const modeOf = (file: string) => statSync(file).mode & 0o777

/** All files of a folder, with their modes, to verify that nothing has changed. */
export function snapshot(folder: string) {
  return readdirSync(folder).map(name => [name, modeOf(join(folder, name)), readFileSync(join(folder, name), 'utf8')])
}
