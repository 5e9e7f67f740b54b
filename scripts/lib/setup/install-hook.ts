import { existsSync, rmSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { $ as zx } from 'zx/core'
import { harmless, quoteForSh } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { makePrivateFolder } from '../ssh/private-folder.ts'
import { findHook, thisMachine } from './hook-binary.ts'
import { findHops } from './hops.ts'
import { verifyPrograms } from './programs.ts'
import type { SetupSettings } from './settings.ts'
import { findSshFolder } from './ssh-folder.ts'
import { verifyFile } from './users-file.ts'

/** Unpacks into a folder of the login user's, because /tmp may be mounted noexec. */
const unpackAndInstall = `sh -c '${[
  'umask 077',
  'd=$(mktemp -d "$HOME/.pushlive-XXXXXX") || exit',
  'clean() { rm -rf "$d"; }',
  'trap clean EXIT',
  'trap "exit 1" HUP INT TERM',
  // One that was downloaded may lack the mode.
  'tar -xzf - -C "$d" && chmod 700 "$d/post-receive" && sh "$d/install" "$d" < /dev/null',
].join('; ')}'`

/** What there is to install, beside the hook itself. */
export interface Installation {
  /** The hook's settings. */
  readonly file: string
  /** Whether the server's own settings count, if it has some; then the file need not be there. */
  readonly keepSettings?: boolean | undefined
  /** Whether what was set on the server stays, unless the file has changed there. */
  readonly merges?: boolean | undefined
  /** A folder of what belongs on the server, too. */
  readonly files?: string | undefined
  readonly sshFolder: string | undefined
}

/** How it has ended; what it said only where that was not shown. */
export interface Installed {
  readonly exitCode: number
  readonly output: string
  readonly errors: string
}

/**
 * Copies the hook to the server through the operator's own ssh access, and has it install itself there
 * (`post-receive install`), which shows what it does. If the repository is a path on this machine, it copies nothing.
 *
 * @param shows whether its output is shown as it comes
 * @throws Failure (usage) if there is no hook for the server, or it does not run there; (unreachable) if the server
 *   cannot be reached, or does not let the operator in
 */
export async function installHook(
  { STAGING_REMOTE_REPO: remote, PROXY_JUMP, BRANCH_NAME, HOOK_BINARY }: SetupSettings,
  { file, keepSettings = false, merges = false, files, sshFolder }: Installation,
  shows = true,
): Promise<Installed> {
  const isHere = remote.host === undefined
  verifyPrograms(isHere ? ['bash', 'sh'] : ['bash', 'sh', 'ssh', 'tar', 'gzip'])
  verifyFile(file)
  const settingsFile = existsSync(file) ? resolve(file) : undefined
  if (settingsFile === undefined && !keepSettings) {
    throw new Failure(exitCode.usage, `The settings file ${file} is not there.`, {
      fix: "name a file with the hook's part of .env.example",
    })
  }
  const server = isHere ? undefined : findHops(remote, PROXY_JUMP).at(-1)
  const ssh = server && findSshFolder(sshFolder).login(server)
  const hook = HOOK_BINARY ?? findHook(ssh ? await askPlatform(ssh) : thisMachine)
  const args = [
    ...(keepSettings ? ['--keep-settings'] : []),
    ...(merges ? ['--merge'] : []),
    ...(BRANCH_NAME ? [`--branch=${BRANCH_NAME}`] : []),
    ...['--', ssh ? remote.path : resolve(remote.path)],
  ].map(quoteForSh)
  if (settingsFile !== undefined) args.unshift('--settings="$1/settings"')
  if (files !== undefined) args.unshift('--files="$1/files"')
  // A file, because the login shell may have quotes of its own kind.
  const folder = makePrivateFolder(() => ({ install: `exec "$1/post-receive" install ${args.join(' ')}\n` }))
  try {
    // A binary that is several programs starts the one that it is called by.
    symlinkSync(hook, join(folder, 'post-receive'))
    if (settingsFile !== undefined) symlinkSync(settingsFile, join(folder, 'settings'))
    if (files !== undefined) symlinkSync(resolve(files), join(folder, 'files'))
    const output = shows ? 'inherit' : 'pipe'
    const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', output, output] })
    if (ssh && shows) console.log(`COPYING TO THE SERVER (${hook}) ...`)
    const ended = ssh
      ? await $`tar -chf - -C ${folder} . | gzip --fast | ${ssh} ${unpackAndInstall}`
      : await $`sh ${folder}/install ${folder}`
    if (isOfSsh(ended)) process.stderr.write(harmless(ended.stderr))
    return { exitCode: exitCodeOf(ended, hook), output: ended.stdout, errors: ended.stderr }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The kind of machine that the server is, in the words of `process.platform` and `process.arch`. */
async function askPlatform(ssh: readonly string[]): Promise<string> {
  const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const { stdout } = await $`${ssh} ${"sh -c 'echo pushlive: $(uname -sm)'"}`
  // A login shell may print as well.
  const [, system = '', machine = ''] = /^pushlive: (\S+) (\S+)$/m.exec(stdout) ?? []
  if (machine === '') throw cannotLogIn()
  const names: Record<string, string> = { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64' }
  return `${system.toLowerCase()}-${names[machine] ?? machine}`
}

export const cannotLogIn = () =>
  new Failure(exitCode.unreachable, 'The server cannot be reached, or runs no command for you: see above.', {
    fix: 'log in there by hand; if its host key is not known yet, run setup-ssh without --hook first',
  })

/** Whether nothing was installed, because of ssh, or because the hook does not run there. */
const isOfSsh = ({ exitCode: code }: { exitCode: number | null }) => [255, 126, 127].includes(code ?? 0)

/** ssh exits with 255 if it does not reach the server, and otherwise as the installation does. */
function exitCodeOf({ exitCode: code }: { exitCode: number | null }, hook: string): number {
  if (code === 255) throw cannotLogIn()
  if (code === 126 || code === 127) {
    throw new Failure(exitCode.usage, `${hook} does not run on the server: see above.`, {
      fix: 'set HOOK_BINARY to the hook of the release that is made for it',
    })
  }
  return code ?? exitCode.bug
}
