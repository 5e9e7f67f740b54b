import { $ as zx } from 'zx/core'
import type { CommitOptions } from './history.ts'

/** A file of a commit; a link's content is its target. */
interface File {
  readonly mode: '100644' | '100755' | '120000'
  readonly content: string
}

export interface Commit {
  readonly id: string
  readonly parent: Commit | undefined
  readonly kind: CommitOptions['kind']
  readonly files: ReadonlyMap<string, File>
}

/** The paths of the server's untracked files, and of the file of a commit that collides with each. */
export const places = [
  { untracked: 'local.cfg', tracked: 'local.cfg' },
  { untracked: 'data/db', tracked: 'data' },
  { untracked: 'cache', tracked: 'cache/x' },
  { untracked: 'instance/app.db', tracked: 'instance/app.db' },
  { untracked: 'odd\u001b[31m\rname', tracked: 'odd\u001b[31m\rname' },
  // In Latin-1, as all paths are here.
  { untracked: 'caf\u00e9', tracked: 'caf\u00e9/na\u00efve' },
] as const

/** The one of them that outlives releases. */
export const shared = places[3]

interface Clones {
  /** The server's folder. Its name is in each commit, so that two servers have no commit in common. */
  readonly folder: string
  /** The repository that all clones take their objects from. */
  readonly origin: string
  readonly clones: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

/** Makes commits that are known here file by file. */
export function newCommits({ folder, origin, clones, env }: Clones) {
  const $ = zx({ env, quiet: true })
  const commits: Commit[] = []
  const heads: (Commit | undefined)[] = clones.map(() => undefined)
  let trunk: Commit | undefined
  let branch = 'main'
  let renamed = 0

  /** Makes a commit and gives it to a clone. */
  async function commit(clone: number, options: CommitOptions): Promise<Commit> {
    const parent = options.apart ? heads[clone] : trunk
    const number = commits.length + 1
    const files = new Map<string, File>()
    const text = (content: string): File => ({ mode: '100644', content })
    files.set('version.txt', text(`${number} of ${folder}\n`))
    const inherited = (name: string) => (options.newDependencies ? undefined : parent?.files.get(name))
    files.set('deps.txt', inherited('deps.txt') ?? text(`dependencies of ${number}\n`))
    for (const name of migrationsOf(parent)) files.set(`migrations/${name}`, text(''))
    if (parent === undefined || options.newDependencies) {
      for (const head of ['a', 'b'])
        files.set(`migrations/migration-${String(number).padStart(4, '0')}${head}`, text(''))
    }
    const [, failing = ''] = /^fails (.*)$/.exec(options.kind) ?? []
    const { slow = '', daemon = '', holds, noise, habit = '' } = options
    const recipe = { fail: failing, slow, daemon, holds: holds ? 'yes' : '', noise: noise ? 'yes' : '', habit }
    files.set(
      'recipe',
      text(
        Object.entries(recipe)
          .map(([name, value]) => `${name}=${value}\n`)
          .join(''),
      ),
    )
    // An install may rewrite it.
    files.set('lock.txt', text('as committed\n'))
    files.set('docs/a.txt', text('the same in all commits\n'))
    files.set('bin/tool', { mode: '100755', content: `#!/bin/sh\necho ${number}\n` })
    files.set('link', { mode: '120000', content: number % 2 ? 'docs' : 'bin/tool' })
    files.set(`gen/${number % 3}`, text(`${number}\n`))
    // A file here, a folder there.
    files.set(number % 2 ? 'either' : 'either/or', text(`${number}\n`))
    if (options.kind === 'collides') {
      files.set((places[options.place] ?? places[0]).tracked, text(`tracked, of ${number}\n`))
    }

    const ref = `refs/heads/c${number}`
    const data = (content: string) => `data ${Buffer.byteLength(content)}\n${content}\n`
    const inOctal = (byte: string) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`
    const quoted = (path: string) => `"${path.replace(/[^ -~]/g, inOctal)}"`
    const stream = [
      `commit ${ref}\nmark :1\ncommitter Ada <ada@example.org> ${1_700_000_000 + number} +0000\n${data(options.kind)}`,
      parent ? `from ${parent.id}\n` : '',
      'deleteall\n',
      ...[...files].map(([path, { mode, content }]) => `M ${mode} inline ${quoted(path)}\n${data(content)}`),
      'get-mark :1\n',
    ]
    const inOrigin = zx({ env: { ...env, GIT_DIR: origin }, quiet: true, input: stream.join('') })
    let id = (await inOrigin`git fast-import --quiet`).stdout.trim()
    if (options.kind === 'has .git') {
      const put = await zx({ env: { ...env, GIT_DIR: origin }, quiet: true })`
        blob=$(echo evil | git hash-object -w --stdin)
        tree=$({ git ls-tree ${id}; printf '100644 blob %s\t.git\n' "$blob"; } | git mktree)
        git commit-tree -m 'has .git' ${parent ? ['-p', parent.id] : []} "$tree"`
      id = put.stdout.trim()
    }
    const made: Commit = { id, parent, kind: options.kind, files }
    await give(clone, made)
    commits.push(made)
    if (!options.apart || trunk === parent) trunk = made
    return made
  }

  async function give(clone: number, commit: Commit) {
    await $`git --git-dir=${clones[clone]}/.git update-ref refs/heads/${branch} ${commit.id}`
    heads[clone] = commit
  }

  /** Renames the branch in all clones, to a name that it never had. */
  async function renameBranch() {
    branch = `main-${++renamed}`
    for (const [clone, commit] of heads.entries()) if (commit) await give(clone, commit)
  }

  return { commits, heads, trunk: () => trunk, branch: () => branch, commit, give, renameBranch }
}

/** The names of a commit's migrations, in order. */
export function migrationsOf(commit: Commit | undefined): string[] {
  const paths = [...(commit?.files.keys() ?? [])].filter(path => path.startsWith('migrations/'))
  return paths.map(path => path.slice('migrations/'.length)).sort()
}

/** Whether a commit is another one, or contains it. */
export function contains(commit: Commit | undefined, other: Commit): boolean {
  for (let each = commit; each; each = each.parent) if (each === other) return true
  return false
}
