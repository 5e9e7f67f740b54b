import { spawnSync } from 'node:child_process'
import { chmodSync, constants, copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isSea } from 'node:sea'
import { askFolder, isAskInSh } from '../../protocol/asks.ts'
import { quoteForSh } from '../../shared/foreign-text.ts'
import { isExecutable } from '../../shared/on-path.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import { replaceFile } from '../../shared/replace-file.ts'

/** The second line of a hook that runs from its source, because there is no binary. */
const sourceMark = '# pushlive post-receive, run from its source.'

/** Whether the hook is this program. */
export function isThisProgram(hook: string): boolean {
  return (
    isExecutable(hook) && (isSea() ? isSameFile(hook, process.execPath) : hasContent(hook, Buffer.from(sourceHook())))
  )
}

/**
 * Makes this program the hook. A push meanwhile runs the old hook or the new one, and a running hook keeps its file.
 *
 * @throws Failure (usage) if it does not run there, as on a file system that is mounted noexec; the old one stays then
 */
export async function placeProgram(hook: string): Promise<void> {
  await replaceFile(
    hook,
    temporary => {
      if (isSea()) copyFileSync(process.execPath, temporary, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
      else writeFileSync(temporary, sourceHook(), { flag: 'wx' })
      chmodSync(temporary, 0o755)
      const { status, stderr, error } = spawnSync(temporary, ['--version'], { encoding: 'utf8' })
      if (status === 0) return
      const why = error ? String(error) : stderr
      throw new Failure(exitCode.usage, `The hook does not run in ${dirname(hook)}.`, { why, cause: error })
    },
    0o755,
  )
}

function sourceHook(): string {
  const command = [process.execPath, '--', process.argv[1] ?? '']
  return `#!/bin/sh\n${sourceMark}\nexec ${command.map(quoteForSh).join(' ')} "$@"\n`
}

/** Whether the hook is not pushlive's: neither a binary, of any version, nor a script that runs the source. */
export function isForeignHook(hook: string): boolean {
  const text = readHook(hook)
  if (text === undefined) return false
  const isScript = text.subarray(0, 2).toString() === '#!'
  return !text.includes(isScript ? `\n${sourceMark}\n` : 'pushlive post-receive')
}

export function isForeignUpdateHook(hook: string): boolean {
  return readHook(hook)?.includes(`\n${updateHookMark}\n`) === false
}

/** Whether pre-commit, lefthook, simple-git-hooks or husky 4 has made a hook in the folder. */
export function isOfHookTool(folder: string, name: string): boolean {
  const isOurs = name === 'post-receive' || name === 'update'
  // git runs no hook whose name has a dot.
  if (isOurs || name.includes('.')) return false
  return /^#!.*(pre-commit\.com|LEFTHOOK|SIMPLE_GIT_HOOKS|# husky)/s.test(`${readHook(join(folder, name)) ?? ''}`)
}

/** Undefined if there is none. git does not run a link that leads nowhere. */
function readHook(file: string): Buffer | undefined {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ? readFileSync(file) : undefined
}

export const hasContent = (file: string, content: Uint8Array) => readHook(file)?.equals(content) ?? false

function isSameFile(one: string, other: string): boolean {
  const [a, b] = [statSync(one), statSync(other)]
  if (a.ino === b.ino && a.dev === b.dev) return true
  return a.size === b.size && hasContent(one, readFileSync(other))
}

/** The second line of `hooks/update`. */
const updateHookMark = '# pushlive: what may be pushed to this repository.'

/**
 * `hooks/update`, which git runs for each ref of a push: `update REF OLD NEW`. It starts no process, because every push
 * waits for it. `receive.denyNonFastForwards` makes the branch only go forward, unless ACCEPT is `any`.
 *
 * Only an ask of the exact form is let in: a ref below it, or one in place of its folder, would block all later asks.
 */
export const updateHook = (branch: string) => `\
#!/bin/sh
${updateHookMark}
# Each installation overwrites this file. Put your own rules into update.local beside it, an update hook like any other:
# it runs for the branch and for tags, after this one has accepted them.
LC_ALL=C
branch=${quoteForSh(branch)}
ref=$1 old=$2 new=$3

refuse() {
  printf '%s\\n' "$1" >&2
  exit 1
}
is_zero() { case $1 in *[!0]*) return 1 ;; esac; }
${isAskInSh}

case $ref in
  "refs/heads/$branch")
    ! is_zero "$new" || refuse "$branch cannot be deleted here: it is what is deployed."
    ;;
  refs/tags/*)
    is_zero "$old" || refuse "A tag that is here can be neither moved nor deleted: \${ref#refs/tags/}"
    ;;
  "${askFolder('$branch')}/"*)
    is_zero "$old" && is_ask "\${ref#"${askFolder('$branch')}/"}" ||
      refuse "This is no way to ask for a deployment: $ref. Is deploy as new as the hook?"
    # git runs no link that leads nowhere, and says nothing.
    hook=\${0%/*}/post-receive
    [ -e "$hook" ] || [ ! -L "$hook" ] || printf '%s\\n' "$hook leads to a file that is not there, so nothing is deployed. To do: on the server: post-receive install REPOSITORY" >&2
    exit 0
    ;;
  *) refuse "Only $branch can be pushed here, and new tags, not $ref. For another branch set BRANCH_NAME in .env on the server, and run there: post-receive install REPOSITORY" ;;
esac

own=\${0%/*}/update.local
[ ! -x "$own" ] || exec "$own" "$@"
`
