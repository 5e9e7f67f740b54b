import { exitCode, Failure } from '../shared/program.ts'
import { blobOf } from '../ssh/key-blob.ts'
import { knownHostsName, type Remote, type Server } from '../ssh/remote.ts'
import { $, feed } from './shell.ts'

/**
 * The options before a key in authorized_keys that let it push to this repository and list it, and nothing else: no
 * shell, no files, no forwarding, no other repository. `restrict,command="git-receive-pack '/r.git'"` would do that,
 * too, but a push to any other repository would go to this one, and the pusher would not see it.
 *
 * @throws Failure (usage) for a path with a character that a shell may interpret
 */
export function restrictionTo({ path }: Remote): string {
  if (/['"`$\\!]/.test(path)) {
    throw new Failure(exitCode.usage, `The path in STAGING_REMOTE_REPO cannot be used in authorized_keys: ${path}`, {
      fix: 'rename the repository, so that its path has no quotes, backquotes, backslashes, $ or !',
    })
  }
  // git sends the path in single quotes, which inSh cannot hold: ? matches each. The command that runs is fixed.
  const allow = (program: string) => `"${program} "?"${path}"?) exec ${program} "${path}" ;;`
  return `restrict,${commandOption(
    [
      'case "$SSH_ORIGINAL_COMMAND" in',
      allow('git-receive-pack'),
      allow('git-upload-pack'),
      `*) echo "This key may only push to ${path}" >&2; exit ${refusal} ;;`,
      'esac',
    ].join(' '),
  )}`
}

/**
 * The options before a key at the jump host: they let the key connect to the server, and do nothing else. port-forwarding
 * is both directions, and no option forbids the key to listen there: it may at port 1, which is for root alone.
 */
export function passageTo(server: Server): string {
  const refuse = `echo "This key may only connect to ${knownHostsName(server)}" >&2; exit ${refusal}`
  return `restrict,port-forwarding,permitlisten="localhost:1",permitopen="${addressOf(server)}",${commandOption(refuse)}`
}

/** `host:port` as ssh asks a jump host for it. */
export function addressOf({ host, port = 22 }: Server): string {
  const name = host.toLowerCase()
  return `${name.includes(':') ? `[${name}]` : name}:${port}`
}

/** The exit code with which the commands above refuse everything else. A shell's 126 means: found, but may not run. */
export const refusal = 126

/**
 * sshd gives a command to the user's login shell, which may be fish or csh. All shells read `'...'` alike, if there is
 * no `'`, `!` or `\'` in it.
 */
const inSh = (script: string) => `sh -c '${script}'`

const commandOption = (script: string) => `command="${`exec ${inSh(script)}`.replaceAll('"', '\\"')}"`

/** Runs on the server. Reads the key and the line from its input, so that no shell interprets them. */
const addLine = [
  'echo pushlive: reached',
  'set -e',
  'umask 077',
  'IFS= read -r blob',
  'IFS= read -r line',
  'mkdir -p ~/.ssh',
  'file=~/.ssh/authorized_keys',
  'touch "$file"',
  'grep -nF -e "$blob" "$file" | grep -v "^[0-9]*:[[:space:]]*#" | grep -vF -e ":$line" | sed "s/:.*//; s/^/pushlive: line /"',
  'if grep -v "^[[:space:]]*#" "$file" | grep -qxF -e "$line"; then echo pushlive: present; exit; fi',
  'if grep -v "^[[:space:]]*#" "$file" | grep -qF -e "$blob"; then echo pushlive: differs; exit; fi',
  // Without this, a line after one that lacks its newline would become a part of it.
  'if test -n "$(tail -c 1 "$file")"; then echo >> "$file"; fi',
  'printf "%s\\n" "$line" >> "$file"',
  'chmod 700 ~/.ssh',
  'chmod 600 "$file"',
  'echo pushlive: added',
].join('; ')

export interface Authorization {
  /**
   * `differs`: the key is there, with other restrictions. `not written`: the file could not be changed. `no commands`:
   * the operator is let in, but the login shell runs nothing. `no access`: the operator cannot log in.
   */
  readonly outcome: 'added' | 'present' | 'differs' | 'not written' | 'no commands' | 'no access'
  /** The numbers of the lines of `~/.ssh/authorized_keys` there that have the key with other restrictions. */
  readonly lines: readonly string[]
  /** What ssh and the server printed, if the line was not added. */
  readonly output: string
}

/**
 * Adds a line to authorized_keys on the server, unless it is there, as the user who logs in there.
 *
 * @param login the operator's own ssh to that user
 */
export async function authorizeKey(login: readonly string[], line: string, publicKey: string): Promise<Authorization> {
  const ssh = $({ stdio: 'pipe', env: { ...process.env, LC_ALL: 'C' } })`${login} ${inSh(addLine)}`
  const { exitCode, stdout, stderr } = await feed(ssh, `${blobOf(publicKey)}\n${line}\n`)
  // A login shell may print a greeting before it.
  const outcomes = [...stdout.matchAll(/^pushlive: (reached|added|present|differs)$/gm)].map(([, outcome]) => outcome)
  const lines = [...stdout.matchAll(/^pushlive: line (\d+)$/gm)].map(([, line = '']) => line)
  const outcome = outcomes.at(-1) as 'reached' | 'added' | 'present' | 'differs' | undefined
  if (outcome === 'reached') return { outcome: 'not written', lines, output: stderr.trim() }
  if (outcome) return { outcome, lines, output: stderr.trim() }
  // nologin prints its message to standard output. 255 is ssh's own exit code.
  if (exitCode !== 255) return { outcome: 'no commands', lines, output: `${stdout}${stderr}`.trim() }
  return { outcome: 'no access', lines, output: stderr.trim() }
}
