import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { program } from './programs.ts'
import { environmentOf } from './site.ts'
import type { CleansUp } from './sshd.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

/** A folder for a server that is not set up yet, and a clone to push from. */
export async function newPlace(t: CleansUp, name = 'place') {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const repository = join(folder, 'app.git')
  const workTree = join(folder, 'www')
  const clone = join(folder, 'clone')
  const settings = join(folder, 'server.env')
  const minimal = `PATH_TO_GIT_WORK_TREE="${workTree}"\nRESTART=\nINSTALL_DEPS=\nUPGRADE_DB=\n`
  writeFileSync(settings, minimal)
  const env = environmentOf(folder)
  await $({ env })`git init --quiet --initial-branch=main ${clone}`
  const git = $({ env, cwd: clone, nothrow: true })
  await git`git commit --quiet --allow-empty --message ${'One'}`
  async function installInto(repository: string, args: readonly string[], changes: NodeJS.ProcessEnv = {}) {
    const run = zx({ quiet: true, nothrow: true, cwd: folder, env: { ...env, ...changes } })
    const { exitCode, stdout, stderr } = await run`${program('post-receive')} install ${repository} ${args}`
    return { exitCode, output: stdout + stderr }
  }

  return {
    folder,
    repository,
    workTree,
    settings,
    minimal,
    git,
    serverGit: $({ env, cwd: repository, nothrow: true }),
    hook: join(repository, 'hooks/post-receive'),
    /** What the hooks of this place's user link to. */
    sharedHook: join(folder, '.local/lib/pushlive/post-receive'),
    update: join(repository, 'hooks/update'),

    /** Runs `post-receive install` as the server's administrator does. */
    install: (args: readonly string[] = ['--settings', settings], changes: NodeJS.ProcessEnv = {}) =>
      installInto(repository, args, changes),
    installInto,

    /** Pushes as a user who can log in to the server. */
    async push(...refspecs: string[]) {
      const pushed = await git`git push --porcelain ${repository} ${refspecs}`
      return { isAccepted: pushed.ok, output: pushed.stdout + pushed.stderr }
    },

    commit: () => git`git commit --quiet --allow-empty --message ${'Another'}`,

    /** A hash of each file of the repository, except for git's own files. */
    contents() {
      const files = readdirSync(repository, { recursive: true, withFileTypes: true })
        .filter(file => file.isFile())
        .map(file => join(file.parentPath, file.name))
        .filter(file => !/\/(objects|branches|info|logs)\/|\.sample$/.test(file))
      return Object.fromEntries(
        files.map(file => [file, createHash('sha256').update(readFileSync(file)).digest('hex')]),
      )
    },
  }
}

export type Place = Awaited<ReturnType<typeof newPlace>>
