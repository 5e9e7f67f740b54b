import { $ as zx } from 'zx/core'
import { blobOf } from './deploy-key.ts'
import { feed } from './feed.ts'
import { exit, Failure } from './program.ts'
import type { Remote } from './remote.ts'

/**
 * What stands before a key in authorized_keys to let it push to this repository and list it, and nothing else: no
 * shell, no files, no forwarding, no other repository. `restrict,command="git-receive-pack '/r.git'"` would do that as
 * well, but would send a push to any other repository to this one without a word.
 *
 * @throws Failure (usage) for a path that means more to a shell than it says
 */
export function restrictionTo({ path }: Remote): string {
  if (/['"`$\\!]/.test(path)) {
    throw new Failure(exit.usage, `The path in STAGING_REMOTE_REPO cannot stand in authorized_keys: ${path}`, {
      fix: 'rename the repository, so that its path has no quotes, backquotes, backslashes, $ or !',
    })
  }
  const [push, list] = ['git-receive-pack', 'git-upload-pack'].map(program => `"${program} '${path}'"`)
  const command = [
    'case "$SSH_ORIGINAL_COMMAND" in',
    `${push}|${list}) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;`,
    `*) echo "This key may only push to ${path}" >&2; exit 126 ;;`,
    'esac',
  ].join(' ')
  return `restrict,command="${command.replaceAll('"', '\\"')}"`
}

/**
 * Runs on the server, and gets the key and the line on its input: nothing from outside meets a shell. Quoted once for
 * the login shell, whichever that is (fish and csh too), so on one line and without single quotes and `!`.
 */
const addLine = [
  'set -e',
  'umask 077',
  'IFS= read -r blob',
  'IFS= read -r line',
  'mkdir -p ~/.ssh',
  'file=~/.ssh/authorized_keys',
  'touch "$file"',
  'if grep -v "^[[:space:]]*#" "$file" | grep -qxF -e "$line"; then echo pushlive: present; exit; fi',
  'if grep -v "^[[:space:]]*#" "$file" | grep -qF -e "$blob"; then echo pushlive: differs; exit; fi',
  // A line behind one without newline would be lost without a word.
  'if test -n "$(tail -c 1 "$file")"; then echo >> "$file"; fi',
  'printf "%s\\n" "$line" >> "$file"',
  'chmod 700 ~/.ssh',
  'chmod 600 "$file"',
  'echo pushlive: added',
].join('; ')

export interface Authorization {
  /** `differs`: the key is there, with other restrictions. `no access`: the operator cannot log in there. */
  readonly outcome: 'added' | 'present' | 'differs' | 'no access'
  /** ssh's own words. */
  readonly words: string
}

/**
 * Adds a line to authorized_keys on the server, unless it is there, as the user who logs in there.
 *
 * @param ssh the operator's own ssh with its options
 */
export async function authorizeKey(
  ssh: readonly string[],
  remote: Remote,
  line: string,
  publicKey: string,
): Promise<Authorization> {
  const $ = zx({ quiet: true, nothrow: true, env: { ...process.env, LC_ALL: 'C' } })
  const destination = `${remote.user}@${remote.host}`
  const login = $`${ssh} -T -p ${remote.port ?? 22} -- ${destination} ${`sh -c '${addLine}'`}`
  const { stdout, stderr } = await feed(login, `${blobOf(publicKey)}\n${line}\n`)
  // A login shell's greeting may stand before it.
  const outcome = /^pushlive: (added|present|differs)$/m.exec(stdout)?.[1]
  return { outcome: (outcome as Authorization['outcome'] | undefined) ?? 'no access', words: stderr.trim() }
}
