import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'
import { newKeyPair, type Sshd } from '../lib/sshd.ts'

const $ = zx({ quiet: true })

/** How deploy is started. */
interface Run {
  readonly args?: readonly string[]
  readonly env?: Record<string, string | undefined>
  readonly cwd?: string
}
type Maybe<T> = T | undefined | Promise<T | undefined>

interface Advice {
  readonly code: number
  /**
   * Makes what the message is about: by its start where the exit code is 2 or 3, in a clone that all these share. The
   * others have a clone of their own, with a commit that is not deployed yet.
   */
  readonly make: (site: Site, sshd: Sshd) => Maybe<Run>
  /** Does what the message says to do. Without it that is to start deploy as all the others do, which works. */
  readonly follow?: (site: Site, run: Run, sshd: Sshd) => Maybe<Run>
}

/** By the messages of docs/messages.md, in their order. */
const followed: Readonly<Record<string, Advice>> = {
  '... not set, and ...': {
    code: 1,
    make: site => commit(site, { Makefile: 'install-deps:\n' }),
    follow: site => set(site, { UPGRADE_DB: '' }),
  },
  '... would end at the #': ofHook('SECRET_KEY=ab#cd', "SECRET_KEY='ab#cd'"),
  '... of the settings sets nothing: a setting is NAME=VALUE': ofHook('the next line', '# the next line'),
  '... begins with a quote that is not closed': ofHook('INSTALL_DEPS="true', 'INSTALL_DEPS="true"'),
  'PATH has ~ or $ in it, which no shell replaces here': ofHook('PATH=~/bin:/usr/bin', `PATH='${process.env.PATH}'`),
  'The commit has ..., which SHARED_PATHS names.': {
    code: 1,
    make: site => {
      set(site, { RELEASES: '3', SHARED_PATHS: 'uploads' })
      return commit(site, { 'uploads/one.png': '' })
    },
    follow: site => commit(site, { uploads: undefined }),
  },
  '... is a repository of its own.': {
    code: 1,
    make: site => void mkdirSync(join(site.workTree, '.git'), { recursive: true }),
    follow: site => moveAway(site, '.git'),
  },
  'Files that git does not know are in the way in ...': {
    code: 1,
    make: async site => {
      await site.deploy()
      writeFileSync(join(site.workTree, 'new.txt'), 'mine\n')
      return commit(site, { 'new.txt': 'of the commit\n' })
    },
    follow: site => moveAway(site, 'new.txt'),
  },
  'This is no clone of a repository.': { code: 2, make: site => ({ cwd: site.home }) },
  'There is no commit to deploy: ... is not to be found here.': {
    code: 2,
    make: () => ({ env: { BRANCH_NAME: 'nowhere' } }),
  },
  '... is not a commit of this repository.': {
    code: 2,
    make: () => ({ args: ['log', 'nowhere'] }),
    follow: async site => {
      const [{ commit }] = JSON.parse((await site.deploy(['history', '--json'])).output)
      return { args: ['log', commit] }
    },
  },
  'SSH_DEPLOYMENT_KEY is empty: a CI gives this secret to no job for a fork or for Dependabot, and to none outside of its environment or its protected branches':
    { code: 2, make: () => ({ env: { CI: 'true', SSH_DEPLOYMENT_KEY: '' } }) },
  '... has no option ...': { code: 2, make: () => ({ args: ['--agian'] }), follow: () => ({ args: ['--again'] }) },
  "deploy has no command '...'.": { code: 2, make: () => ({ args: ['stauts'] }), follow: () => ({ args: ['status'] }) },
  'A setting is wrong.': { code: 2, make: () => ({ env: { STAGING_REMOTE_REPO: undefined } }) },
  '... would end at the # in ...': {
    code: 2,
    make: site => inFolder(site, 'cut', { '.env': 'APP_URL=https://shop.example.org/#about\n' }),
    follow: site => inFolder(site, 'cut', { '.env': 'APP_URL="https://shop.example.org/#about"\n' }),
  },
  '... cannot be set in ..., which is committed.': {
    code: 2,
    make: site => inFolder(site, 'committed', { 'deploy/deploy.env': 'ACCEPT_NO_VERDICT=no\n' }),
    follow: site => inFolder(site, 'committed', { 'deploy/deploy.env': undefined, '.env': 'ACCEPT_NO_VERDICT=no\n' }),
  },
  "KNOWN_DEPLOYMENT_HOSTS is a private key; it should hold the server's public host keys.": ofHosts(
    ({ SSH_DEPLOYMENT_KEY }) => SSH_DEPLOYMENT_KEY,
  ),
  'KNOWN_DEPLOYMENT_HOSTS has no line with a whole host key.': ofHosts(() => '127.0.0.1 ssh-ed25519 AAAA'),
  'KNOWN_DEPLOYMENT_HOSTS has no line for ..., only for ...': ofHosts(elsewhere),
  'The temporary folder ... cannot be used.': {
    code: 2,
    make: site => ({ env: { TMPDIR: join(site.folder, 'none') } }),
  },
  '... is a public key.': {
    code: 2,
    make: async (_site, { folder }) => ({ env: { SSH_DEPLOYMENT_KEY: (await newKeyPair(folder)).publicKey } }),
  },
  '... is not a private key: it has no BEGIN line.': ofKey(key => key.replace(/^.*\n/, '')),
  '... is cut off: it has no END line.': ofKey(key => key.replace(/\n-----END.*/s, '')),
  '... is damaged or cut off: its lines do not make a key.': ofKey(key => key.replace(/\n.*(\n-----END)/, '$1')),
  '... has a passphrase, and a CI cannot type one.': {
    code: 2,
    make: async site => {
      writeFileSync(copyOf(site, 'key'), site.deployEnvironment.SSH_DEPLOYMENT_KEY, { mode: 0o600 })
      await $`ssh-keygen -q -p -P ${''} -N ${'a secret'} -f ${copyOf(site, 'key')}`
      return { env: { SSH_DEPLOYMENT_KEY: copyOf(site, 'key') } }
    },
    follow: async (site, run) => {
      await $`ssh-keygen -q -p -P ${'a secret'} -N ${''} -f ${copyOf(site, 'key')}`
      return run
    },
  },
  'The server shows another host key than the known one: it was set up again, or someone intercepts the connection. Nothing was sent.':
    {
      code: 3,
      make: async ({ deployEnvironment }, { folder }) => {
        const [host] = deployEnvironment.KNOWN_DEPLOYMENT_HOSTS.split(' ')
        return { env: { KNOWN_DEPLOYMENT_HOSTS: `${host} ${(await newKeyPair(folder)).publicKey}` } }
      },
    },
  'The server does not accept the key for this user.': {
    code: 3,
    make: async (site, { folder }) => {
      const { privateKey, publicKey } = await newKeyPair(folder)
      writeFileSync(copyOf(site, 'key.pub'), publicKey)
      return { env: { SSH_DEPLOYMENT_KEY: privateKey } }
    },
    follow: (site, run, sshd) => {
      sshd.authorize(readFileSync(copyOf(site, 'key.pub'), 'utf8'))
      return run
    },
  },
  'The server refuses connections at this port.': {
    code: 3,
    make: ({ deployEnvironment }) => ({
      env: {
        STAGING_REMOTE_REPO: deployEnvironment.STAGING_REMOTE_REPO.replace(/:\d+\//, ':1/'),
        KNOWN_DEPLOYMENT_HOSTS: elsewhere(deployEnvironment),
      },
    }),
  },
  'There is no repository at this path on the server.': {
    code: 3,
    make: site => ({ env: { STAGING_REMOTE_REPO: `${site.url}t` } }),
  },
  'This is a shallow clone, and the server lacks the history before it.': {
    code: 4,
    make: async site => {
      await site.commit()
      return { cwd: await site.cloneShallow() }
    },
    follow: async (_site, run) => {
      await $({ cwd: run.cwd as string })`git fetch --quiet --unshallow origin`
      return run
    },
  },
  'The branch on the server has commits that this one lacks: not a fast-forward.': {
    code: 4,
    make: async site => {
      await site.commit({ 'page.txt': 'of another\n' })
      await site.deploy()
      await site.git`git reset --quiet --hard HEAD~1`
      return commit(site, { 'new.txt': 'mine\n' })
    },
    follow: async site => {
      await site.git`git pull --quiet --rebase ${site.repository} main`
      return undefined
    },
  },
  'The server does not take --force: its branch only grows. Nothing was pushed.': {
    code: 4,
    make: async site => {
      await site.deploy()
      await site.git`git commit --quiet --amend --message ${'another'}`
      return { args: ['--force'] }
    },
    follow: async (site, run) => {
      set(site, { ACCEPT: 'any' })
      await install(site)
      return run
    },
  },
  'PUSHED, NOT VERIFIED: no pushlive hook answered, so it is unknown whether the code is live.': {
    code: 5,
    make: site => rmSync(join(site.repository, 'hooks/post-receive')) as undefined,
    follow: install,
  },
  'The server never reported a result: its hook stopped early, or the connection broke.': {
    code: 5,
    // The hook is gone after its first line.
    make: ({ repository }) => {
      const hook = join(repository, 'hooks/post-receive')
      renameSync(hook, `${hook}.whole`)
      const script = `#!/bin/sh\n${hook}.whole | head -n 1\nmv ${hook}.whole ${hook}\n`
      writeFileSync(hook, script, { mode: 0o755 })
      return undefined
    },
  },
}

describe('To do what a message says is enough:', { concurrency: 2 }, async () => {
  const { newSite, sshd } = await startServer({ after })
  const live = await newSite({ after })
  await live.commit()
  assertExit(await live.deploy(), 0)
  const page = readFileSync(join(import.meta.dirname, '../../docs/messages.md'), 'utf8')

  for (const [what, { code, make, follow }] of Object.entries(followed)) {
    it(what, async t => {
      const [, toDo = ''] =
        page
          .split('\n')
          .find(row => row.startsWith(`| \`${what}\` | `))
          ?.split(/ \| (.*) \|$/) ?? []
      assert.notEqual(toDo, '', 'docs/messages.md has this message, with something to do')
      const site = code === 2 || code === 3 ? live : await newSite(t)
      if (site !== live) await site.commit()
      const run = (await make(site, sshd)) ?? {}
      const { output } = assertExit(await site.deploy(run.args, run.env, run.cwd), code)
      assert.match(output, printed(what))
      assert.ok(
        toDo.split('; or: ').some(fix => printed(`To do: ${fix}`).test(output)),
        `${toDo}\n${output}`,
      )
      if (!follow && site === live) return
      const { args, env, cwd } = (await follow?.(site, run, sshd)) ?? {}
      assertExit(await site.deploy(args, env, cwd), 0)
    })
  }
})

/** A text of the page, as a program prints it. */
function printed(text: string): RegExp {
  const parts = text.split('...').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(parts.join('[^]*?'))
}

async function commit(site: Site, files: Record<string, string | undefined>): Promise<undefined> {
  await site.commit(files)
}

function set(site: Site, settings: Record<string, string>): undefined {
  site.configure(settings)
}

function moveAway(site: Site, name: string): undefined {
  renameSync(join(site.workTree, name), join(site.folder, 'away'))
}

async function install(site: Site): Promise<undefined> {
  await $`${program('post-receive')} install ${site.repository}`
}

const copyOf = (site: Site, name: string) => join(site.folder, name)

/** deploy reads the settings of the folder that it is started in. */
function inFolder(site: Site, folder: string, files: Record<string, string | undefined>): Run {
  const named = Object.entries(files).map(([file, content]) => [join(folder, file), content] as const)
  site.write(Object.fromEntries(named))
  return { cwd: join(site.clone, folder) }
}

type Environment = Site['deployEnvironment']

function elsewhere({ KNOWN_DEPLOYMENT_HOSTS }: Environment): string {
  return KNOWN_DEPLOYMENT_HOSTS.replace(/\]:\d+/g, ']:1')
}

/** A line of the hook's settings, and how it is right. */
function ofHook(wrong: string, right: string): Advice {
  const add = (site: Site, line: string): undefined => {
    site.configure({})
    appendFileSync(join(site.repository, '.env'), `${line}\n`)
  }
  return { code: 1, make: site => add(site, wrong), follow: site => add(site, right) }
}

function ofKey(change: (key: string) => string): Advice {
  return {
    code: 2,
    make: site => ({ env: { SSH_DEPLOYMENT_KEY: change(site.deployEnvironment.SSH_DEPLOYMENT_KEY) } }),
  }
}

function ofHosts(value: (environment: Environment) => string): Advice {
  return { code: 2, make: site => ({ env: { KNOWN_DEPLOYMENT_HOSTS: value(site.deployEnvironment) } }) }
}
