#!/usr/bin/env -S node --
import { existsSync, mkdtempDisposableSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { $ as zx } from 'zx/core'
import { findHops, type Hop } from '../scripts/lib/setup/hops.ts'
import { readSetupSettings } from '../scripts/lib/setup/settings.ts'
import { findSshFolder } from '../scripts/lib/setup/ssh-folder.ts'
import { readArguments } from '../scripts/lib/shared/arguments.ts'
import { quoteForSh } from '../scripts/lib/shared/foreign-text.ts'
import { exitCode, Failure, run } from '../scripts/lib/shared/program.ts'
import { readSettings } from '../scripts/lib/shared/settings.ts'
import { nameOf, root, host as thisMachine } from './base.ts'

const help = `Usage: install-hook.ts [--ssh-dir DIR] [--env-file FILE]

Makes STAGING_REMOTE_REPO a repository that deploys what is pushed to it, through your own ssh access to the server:
copies the hook there, and has it install itself (post-receive install). It can run any number of times. Exits with
  0  it is installed
  2  settings or usage are wrong, or something on the server is; nothing was changed
  3  the server could not be reached or would not let you in

  HOOK_ENV=FILE     the hook's settings, in place of those on the server. Without it server.env, if the server has none
  HOOK_BINARY=FILE  the hook: the one in dist/ that fits the server
  --ssh-dir DIR     in place of ~/.ssh; your own access then goes by DIR/config
  --env-file FILE   where STAGING_REMOTE_REPO and BRANCH_NAME are, in place of .env`

const settingsOfInstallHook = {
  BRANCH_NAME: { means: 'the branch that you will push' },
  HOOK_ENV: { means: "a file with the hook's settings", read: readFileName },
  HOOK_BINARY: { means: 'a post-receive for the server', read: readFileName },
} as const

/** Where a folder of the login user's can be had in which programs run: /tmp may be mounted noexec. */
const unpackAndInstall = [
  'umask 077',
  'd=$(mktemp -d "$HOME/.pushlive-XXXXXX") || exit',
  'clean() { rm -rf "$d"; }',
  'trap clean EXIT',
  'trap "exit 1" HUP INT TERM',
  'tar -xzf - -C "$d" && sh "$d/install" "$d" < /dev/null',
].join('; ')

run(main)

async function main(): Promise<number> {
  const folders = { 'ssh-dir': { type: 'string' }, 'env-file': { type: 'string' } } as const
  const options = readArguments('install-hook', help, folders)?.options
  if (options === undefined) return 0
  const { STAGING_REMOTE_REPO: remote, PROXY_JUMP } = readSetupSettings(options['env-file'])
  const { BRANCH_NAME, HOOK_ENV, HOOK_BINARY } = readSettings(settingsOfInstallHook)
  const settings = HOOK_ENV ?? (existsSync('server.env') ? resolve('server.env') : undefined)
  const wishes = [
    ...(settings === undefined || HOOK_ENV ? [] : ['--keep-settings']),
    ...(BRANCH_NAME ? [`--branch=${BRANCH_NAME}`] : []),
  ]
  const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'inherit', 'inherit'] })
  if (remote.host === undefined) {
    const hook = HOOK_BINARY ?? findHook(nameOf(thisMachine))
    const given = settings === undefined ? [] : [`--settings=${settings}`]
    return exitCodeOf(await $`${hook} install ${given} ${wishes} -- ${resolve(remote.path)}`)
  }

  const [server] = findHops(remote, PROXY_JUMP).slice(-1) as [Hop]
  const ssh = findSshFolder(options['ssh-dir']).login(server)
  const hook = HOOK_BINARY ?? findHook(await askPlatform(ssh))
  using folder = mkdtempDisposableSync(join(tmpdir(), 'pushlive-'))
  const upload = (name: string, file: string) => symlinkSync(file, join(folder.path, name))
  upload('post-receive', hook)
  if (settings !== undefined) upload('settings', settings)
  // A file, because the login shell may be one that quotes in a way of its own.
  const given = settings === undefined ? '' : '--settings="$1/settings"'
  const words = [...wishes, '--', remote.path].map(quoteForSh).join(' ')
  writeFileSync(join(folder.path, 'install'), `exec "$1/post-receive" install ${given} ${words}\n`)
  console.log(`COPYING TO THE SERVER (${hook}) ...`)
  const unpack = `sh -c '${unpackAndInstall}'`
  return exitCodeOf(await $`tar -chf - -C ${folder.path} . | gzip --fast | ${ssh} ${unpack}`)
}

/** As `process.platform` and `process.arch` have it there. */
async function askPlatform(ssh: readonly string[]): Promise<string> {
  const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const { stdout } = await $`${ssh} ${"sh -c 'echo pushlive: $(uname -sm)'"}`
  // A login shell may print as well.
  const [, system = '', machine = ''] = /^pushlive: (\S+) (\S+)$/m.exec(stdout) ?? []
  if (machine === '') throw new Failure(exitCode.unreachable, 'The server runs no command for you: see above.')
  const names: Record<string, string> = { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64' }
  return `${system.toLowerCase()}-${names[machine] ?? machine}`
}

function findHook(platform: string): string {
  const places = [join(root, 'dist', platform, 'post-receive'), join(root, 'dist/release', `post-receive-${platform}`)]
  const found = places.find(place => existsSync(place))
  if (found === undefined) {
    throw new Failure(exitCode.usage, `The server is ${platform}, and there is no hook for it in ${root}/dist.`, {
      fix: `make build PLATFORM=${platform}`,
    })
  }
  return found
}

/** ssh ends with 255 where it does not reach the server; with anything else, it is what the server's half ended with. */
const exitCodeOf = ({ exitCode: code }: { exitCode: number | null }) =>
  code === 255 ? exitCode.unreachable : (code ?? exitCode.bug)

function readFileName(file: string): string {
  if (!existsSync(file)) throw new Error(`is not there (${file})`)
  return resolve(file)
}
