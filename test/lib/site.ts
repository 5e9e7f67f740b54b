import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { $ as zx } from 'zx/core'
import { kill, processes } from './processes.ts'
import { program } from './programs.ts'
import { type CleansUp, newKeyPair, type Sshd, type SshdOptions, startSshd } from './sshd.ts'

/** A recipe that records which step ran for which commit. */
const recordingMakefile = `\
install-deps:
\t@echo "install $$DEPLOY_COMMIT" >> "$$STEPS"

upgrade-db:
\t@echo "upgrade $$DEPLOY_COMMIT" >> "$$STEPS"
`

export interface SiteOptions {
  branch?: string
  /** It is part of all paths of the site. */
  name?: string
}

/** A deployment server: sshd with one deploy key, and as many sites as a test wants. */
export async function startServer(t: CleansUp, options: SshdOptions = {}) {
  const sshd = await startSshd(t, options)
  const key = await newKeyPair(sshd.folder)
  sshd.authorize(key.publicKey)
  return { sshd, key, newSite: (t: CleansUp, options?: SiteOptions) => newSite(t, sshd, key.privateKey, options) }
}

/** The environment of a user who works with git, without anything of the user who runs the tests. */
export const environmentOf = (home: string) => ({
  PATH: process.env.PATH,
  HOME: home,
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
})

export type Site = Awaited<ReturnType<typeof newSite>>

/** A bare repository with the hook and its settings, a work tree, and a clone with one commit that is not pushed yet. */
async function newSite(t: CleansUp, sshd: Sshd, key: string, { branch = 'main', name = 'site' }: SiteOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`))
  t.after(() => {
    // A step whose hook was killed may wait for ever.
    for (const { pid, cwd } of processes()) if (cwd.startsWith(`${folder}/`)) kill(pid)
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  const repository = join(folder, 'app.git')
  const workTree = join(folder, 'www')
  const clone = join(folder, 'clone')
  const home = join(folder, 'home')
  const stepsFile = join(folder, 'steps')
  const env = environmentOf(home)
  const $ = zx({ env, quiet: true })
  mkdirSync(home)
  writeFileSync(stepsFile, '')
  cpSync(await installOnce(branch), repository, { recursive: true })
  await $`git init --quiet --initial-branch=${'main'} ${clone}`
  const git = $({ cwd: clone })

  let settings: Record<string, string> = {
    BRANCH_NAME: branch,
    PATH_TO_GIT_WORK_TREE: workTree,
    PATH_TO_WSGI: join(workTree, 'wsgi.py'),
    STEPS: stepsFile,
  }
  const site = {
    folder,
    repository,
    workTree,
    clone,
    home,
    branch,
    url: `ssh://${sshd.user}@${sshd.host}:${sshd.port}${repository}`,
    /** git in the clone. */
    git,
    /** git in the bare repository. */
    serverGit: $({ cwd: repository }),

    /** Changes the hook's settings; `undefined` takes one away. */
    configure(changes: Record<string, string | undefined>) {
      settings = Object.fromEntries(
        Object.entries({ ...settings, ...changes }).filter(
          (entry): entry is [string, string] => entry[1] !== undefined,
        ),
      )
      const lines = Object.entries(settings).map(([name, value]) => `${name}=${quoteSetting(value)}\n`)
      writeFileSync(join(repository, '.env'), lines.join(''), { mode: 0o600 })
    },

    /** Writes files into the clone; `undefined` removes one. */
    write(files: Record<string, string | undefined>) {
      for (const [file, content] of Object.entries(files)) {
        const path = join(clone, file)
        if (content === undefined) rmSync(path, { recursive: true })
        else {
          mkdirSync(dirname(path), { recursive: true })
          writeFileSync(path, content)
        }
      }
    },

    /** Commits all files, these changed before. Returns the commit. */
    async commit(files: Record<string, string | undefined> = {}): Promise<string> {
      site.write(files)
      await git`git add --all`
      await git`git commit --quiet --allow-empty --message ${'A change'}`
      return (await git`git rev-parse HEAD`).stdout.trim()
    },

    /** A clone that has only the last commit, as a CI makes it. Returns its folder. */
    async cloneShallow(): Promise<string> {
      const shallow = join(folder, 'shallow')
      await $`git clone --quiet --depth 1 ${`file://${clone}`} ${shallow}`
      return shallow
    },

    /** The environment that a CI job gives deploy. */
    get deployEnvironment() {
      return {
        ...env,
        STAGING_REMOTE_REPO: site.url,
        BRANCH_NAME: branch,
        SSH_DEPLOYMENT_KEY: key,
        KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts,
      }
    },

    /** Starts `deploy` as a CI job would; a promise of zx's, with the process behind it. */
    startDeploy(args: readonly string[] = [], changes: Record<string, string | undefined> = {}, cwd = clone) {
      const changed = { ...site.deployEnvironment, ...changes }
      return zx({ cwd, env: changed, quiet: true, nothrow: true })`exec ${program('deploy')} ${args}`
    },

    async deploy(args: readonly string[] = [], changes: Record<string, string | undefined> = {}, cwd = clone) {
      const { exitCode, stdout, stderr } = await site.startDeploy(args, changes, cwd)
      return { exitCode, output: `${stdout}${stderr}` }
    },

    /** A ref of the bare repository; nothing where there is none. */
    async ref(name: string): Promise<string | undefined> {
      const found = await site.serverGit`git rev-parse --quiet --verify ${name}`.nothrow()
      return found.ok ? found.stdout.trim() : undefined
    },
    /** The asks that have not been removed. */
    async asks(): Promise<string[]> {
      return (await site.serverGit`git for-each-ref refs/deploy-ask`).stdout.split('\n').filter(Boolean)
    },
    live: () => site.ref(`refs/deploy/${branch}/live`),
    failed: () => site.ref(`refs/deploy/${branch}/failed`),

    /** The steps that were recorded since the last call. */
    steps(): string[] {
      const steps = readFileSync(stepsFile, 'utf8').split('\n').filter(Boolean)
      writeFileSync(stepsFile, '')
      return steps
    },

    read: (file: string) => readFileSync(join(workTree, file), 'utf8'),

    /** git in the work tree, as a step finds it. */
    get workTreeGit() {
      return $({ cwd: workTree })
    },
  }
  site.configure({})
  // Not `git checkout -b`: it refuses names that a push takes, such as HEAD and -lead.
  await git`git symbolic-ref HEAD ${`refs/heads/${branch}`}`
  site.write({ Makefile: recordingMakefile, 'wsgi.py': 'application = None\n', 'page.txt': 'one\n' })
  return site
}

/** A repository as `post-receive install` creates it; the sites of a process are copies of it. */
const installed = new Map<string, Promise<string>>()

function installOnce(branch: string): Promise<string> {
  const made = installed.get(branch) ?? install(branch)
  installed.set(branch, made)
  return made
}

async function install(branch: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'installed-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const settings = join(folder, 'server.env')
  const repository = join(folder, 'app.git')
  writeFileSync(
    settings,
    `BRANCH_NAME=${quoteSetting(branch)}\nPATH_TO_GIT_WORK_TREE=${join(folder, 'www')}\nRESTART=\n`,
  )
  const $ = zx({ env: { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1' }, quiet: true })
  await $`${program('post-receive')} install ${repository} --settings ${settings}`
  // git's own housekeeping runs in the background, and locks what the tests look at.
  await $`git --git-dir=${repository} config gc.auto 0`
  // No copy of the binary, which has a hundred megabytes; and no link, because a test may write another hook here.
  const hook = join(repository, 'hooks/post-receive')
  writeFileSync(`${hook}.new`, `#!/bin/sh\nexec '${program('post-receive').join("' '")}' "$@"\n`, { mode: 0o755 })
  renameSync(`${hook}.new`, hook)
  return repository
}

/** dotenv takes three kinds of quotes, and none of them can be escaped. */
export function quoteSetting(value: string): string {
  const quote = ["'", '`', '"'].find(quote => !value.includes(quote))
  if (quote === undefined) throw new Error(`.env cannot hold ${value}`)
  return `${quote}${value}${quote}`
}
