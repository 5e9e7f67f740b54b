import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { join, relative } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import { requestRef, requests } from '../scripts/lib/verdict.ts'
import { waitFor } from './lib/events.ts'
import { program, testsBinaries } from './lib/programs.ts'
import { type SiteOptions, startServer } from './lib/site.ts'
import { findFreePort, newKeyPair } from './lib/sshd.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
const script = join(import.meta.dirname, '../build/install-hook.sh')

/** Enough of a hook for tests that never push. */
const fakeHook = '#!/bin/sh\necho pushlive post-receive fake\n'

type Server = Awaited<ReturnType<typeof startServer>>

/** A site whose server has nothing yet, and an operator with `server.env` who can log in there. */
async function newBareServer(t: TestContext, { sshd, newSite }: Server, options?: SiteOptions) {
  const site = await newSite(t, options)
  const settings = readFileSync(join(site.repository, '.env'), 'utf8')
  rmSync(site.repository, { recursive: true })

  const operator = join(site.folder, 'operator')
  mkdirSync(operator)
  // Not in the site's folder, whose name may be one that ssh's configuration cannot hold.
  const sshFolder = mkdtempSync(join(sshd.folder, 'operator-'))
  const own = await newKeyPair(sshFolder)
  sshd.authorize(own.publicKey)
  const config = `Host *\n  Port ${sshd.port}\n  IdentityFile "${own.file}"\n  IdentitiesOnly yes\n  IdentityAgent none\n  BatchMode yes\n`
  writeFileSync(join(sshFolder, 'config'), config)
  writeFileSync(join(sshFolder, 'known_hosts'), sshd.knownHosts)
  writeFileSync(join(operator, 'server.env'), settings)

  const writeHook = (name: string, text: string) => {
    const file = join(operator, name)
    writeFileSync(file, text, { mode: 0o755 })
    return file
  }
  const [command = '', ...args] = program('post-receive')
  const sourceHook = `#!/bin/sh\n# pushlive\nexec '${command}' '${args.join("' '")}' "$@"\n`
  return {
    ...site,
    operator,
    sshFolder,
    settings,
    hook: join(site.repository, 'hooks/post-receive'),
    writeHook,
    /** What the hook is made of in tests that push: the binary of dist/, or a way to the source. */
    ...(testsBinaries ? {} : { HOOK_BINARY: writeHook('hook', sourceHook) }),

    /** Runs install-hook.sh as the operator does; with `HOOK_BINARY` unless that is told otherwise. */
    async installHook(changes: Record<string, string | undefined> = {}, installer = script) {
      const own = testsBinaries ? {} : { HOOK_BINARY: join(operator, 'hook') }
      const env = { PATH: process.env.PATH, HOME: operator, STAGING_REMOTE_REPO: site.url, ...own, ...changes }
      const run = await $({ cwd: operator, env, nothrow: true })`${installer} --ssh-dir ${sshFolder}`
      return { exitCode: run.exitCode, output: run.stdout + run.stderr }
    },

    async push(...refspecs: string[]) {
      const pushed = await site.git({ nothrow: true })`git push ${site.repository} ${refspecs}`
      return { isAccepted: pushed.ok, output: pushed.stderr }
    },
  }
}

describe('install-hook', async () => {
  const server = await startServer({ after })

  for (const name of ['site', `it's a "site"`]) {
    it(`turns nothing into a repository that deploys (${name})`, async t => {
      const site = await newBareServer(t, server, { name })
      const { exitCode, output } = await site.installHook()
      assert.equal(exitCode, 0, output)
      assert.equal(readFileSync(join(site.repository, '.env'), 'utf8'), site.settings)
      assert.equal(statSync(join(site.repository, '.env')).mode & 0o777, 0o600)
      const commit = await site.commit()
      const deployed = await site.deploy()
      assert.equal(deployed.exitCode, 0, deployed.output)
      assert.equal(await site.live(), commit)
      assert.equal(site.read('page.txt'), 'one\n')
    })
  }

  it('can run again: it keeps repository, settings and hook, and leaves nothing beside them', async t => {
    const site = await newBareServer(t, server)
    await site.installHook()
    await site.commit()
    await site.deploy()
    const before = readFileSync(join(site.repository, 'config'), 'utf8')
    writeFileSync(join(site.repository, '.env'), `${site.settings}# changed on the server\n`)
    const { exitCode, output } = await site.installHook()
    assert.equal(exitCode, 0, output)
    for (const what of ['REPOSITORY', 'SETTINGS', 'HOOK']) assert.match(output, new RegExp(`KEEPING THE ${what}`))
    assert.match(readFileSync(join(site.repository, '.env'), 'utf8'), /# changed on the server/)
    assert.equal(readFileSync(join(site.repository, 'config'), 'utf8'), before)
    assert.deepEqual((await $`find ${site.repository} -name '*.new'`).stdout, '')
    const commit = await site.commit()
    const deployed = await site.deploy()
    assert.equal(deployed.exitCode, 0, deployed.output)
    assert.equal(await site.live(), commit)
  })

  it('replaces settings only by those that HOOK_ENV names, and keeps the old ones beside them', async t => {
    const site = await newBareServer(t, server)
    await site.installHook({ HOOK_BINARY: site.writeHook('fake', fakeHook) })
    const settings = `${site.settings}NEW=1\n`
    writeFileSync(join(site.operator, 'other.env'), settings)
    const { exitCode, output } = await site.installHook({ HOOK_ENV: 'other.env' })
    assert.equal(exitCode, 0, output)
    assert.match(output, /COPYING THE SETTINGS \(other\.env\)/)
    assert.equal(readFileSync(join(site.repository, '.env'), 'utf8'), settings)
    assert.equal(readFileSync(join(site.repository, '.env.before'), 'utf8'), site.settings)
    for (const file of ['.env', '.env.before']) assert.equal(statSync(join(site.repository, file)).mode & 0o777, 0o600)
  })

  it('renews the hook while the old one deploys, which goes on', async t => {
    const site = await newBareServer(t, server)
    await site.installHook()
    const [begun, goOn] = [join(site.folder, 'begun'), join(site.folder, 'go-on')]
    const Makefile = `install-deps:\n\t@touch '${begun}'; until test -e '${goOn}'; do sleep 0.05; done\nupgrade-db:\n`
    const commit = await site.commit({ Makefile })
    const deploying = site.startDeploy()
    await waitFor('the deployment begins', () => existsSync(begun))

    const newHook = join(site.operator, 'new-hook')
    cpSync(site.hook, newHook)
    writeFileSync(newHook, '\n# newer\n', { flag: 'a' })
    const { exitCode, output } = await site.installHook({ HOOK_BINARY: newHook })
    assert.equal(exitCode, 0, output)
    assert.ok(readFileSync(site.hook).equals(readFileSync(newHook)))

    writeFileSync(goOn, '')
    const deployed = await deploying
    assert.equal(deployed.exitCode, 0, deployed.stderr)
    assert.equal(await site.live(), commit)
    const next = await site.commit()
    const again = await site.deploy()
    assert.equal(again.exitCode, 0, again.output)
    assert.equal(await site.live(), next)
  })

  it("keeps another hook, such as the seed's bash one, beside its own", async t => {
    const site = await newBareServer(t, server)
    await $`git init --quiet --bare ${site.repository}`
    const bashHook = '#!/bin/bash\nGIT_WORK_TREE=/srv git checkout -f\n'
    writeFileSync(site.hook, bashHook, { mode: 0o755 })
    const { exitCode, output } = await site.installHook({ HOOK_BINARY: site.writeHook('fake', fakeHook) })
    assert.equal(exitCode, 0, output)
    assert.equal(readFileSync(`${site.hook}.before`, 'utf8'), bashHook)
    assert.equal(readFileSync(site.hook, 'utf8'), fakeHook)
  })

  it('lets nobody push but to the branch that deploys, forward, and tags', async t => {
    const site = await newBareServer(t, server)
    await site.installHook({ HOOK_BINARY: site.writeHook('fake', fakeHook) })
    await site.commit()
    assert.ok((await site.push('HEAD:refs/heads/main', 'HEAD:refs/tags/v1')).isAccepted)
    const elsewhere = [
      'refs/heads/other',
      'refs/deploy/main/live',
      'refs/deploy/main/history',
      'refs/replace/x',
      'refs/x',
    ]
    for (const ref of elsewhere) {
      const { isAccepted, output } = await site.push(`HEAD:${ref}`)
      assert.equal(isAccepted, false, ref)
      assert.match(output, /hidden ref/)
    }
    assert.match((await site.push(':refs/heads/main')).output, /deletion prohibited/)
    await site.git`git commit --quiet --amend --message ${'another'}`
    assert.match((await site.push('+HEAD:refs/heads/main')).output, /non-fast-forward/)
  })

  it('lets deploy ask in every way that the hook answers', async t => {
    const site = await newBareServer(t, server)
    await site.installHook({ HOOK_BINARY: site.writeHook('fake', fakeHook) })
    await site.commit()
    await site.push('HEAD:refs/heads/main')
    for (const request of [...requests, 'check'] as const) {
      const ref = requestRef(request, 'main')
      assert.ok((await site.push(`HEAD:${ref}`)).isAccepted, ref)
      assert.ok((await site.push(`:${ref}`)).isAccepted, `deletion of ${ref}`)
    }
  })

  it('protects another branch, when the settings have come to name one', async t => {
    const site = await newBareServer(t, server)
    const HOOK_BINARY = site.writeHook('fake', fakeHook)
    await site.installHook({ HOOK_BINARY })
    writeFileSync(join(site.operator, 'server.env'), `${site.settings}BRANCH_NAME="production" # from now on\n`)
    const { output } = await site.installHook({ HOOK_BINARY, HOOK_ENV: 'server.env' })
    assert.match(output, /only production can be pushed/)
    await site.commit()
    assert.equal((await site.push('HEAD:refs/heads/main')).isAccepted, false)
    assert.equal((await site.push('HEAD:refs/heads/production')).isAccepted, true)
  })

  it('understands STAGING_REMOTE_REPO in all forms that git does', async t => {
    const site = await newBareServer(t, server, { name: 'all forms' })
    const { user, port, home } = server.sshd
    const HOOK_BINARY = site.writeHook('fake', fakeHook)
    const place = `${user}@127.0.0.1`
    const forms = [
      [`ssh://${place}:${port}${site.folder}/1.git`, join(site.folder, '1.git')],
      [`ssh://${place}:${port}${site.folder.replaceAll(' ', '%20')}/2%C3%A9.git`, join(site.folder, '2é.git')],
      [`ssh://${place}:${port}/~/3.git`, join(home, '3.git')],
      [`[${place}:${port}]:${site.folder}/4.git`, join(site.folder, '4.git')],
      [`${place}:${site.folder}/5.git`, join(site.folder, '5.git')],
      [`${place}:${relative(userInfo().homedir, site.folder)}/6.git`, join(site.folder, '6.git')],
      [`${place}:~/7.git`, join(home, '7.git')],
      [`${site.folder}/8.git`, join(site.folder, '8.git')],
      ['./9:.git', join(site.operator, '9:.git')],
    ] as const
    const GIT_SSH_COMMAND = `ssh -F ${site.sshFolder}/config -o UserKnownHostsFile=${site.sshFolder}/known_hosts`
    const asOperator = $({ cwd: site.operator, env: { ...process.env, GIT_SSH_COMMAND } })
    for (const [STAGING_REMOTE_REPO, repository] of forms) {
      const { exitCode, output } = await site.installHook({ STAGING_REMOTE_REPO, HOOK_BINARY })
      assert.equal(exitCode, 0, output)
      assert.ok(existsSync(join(repository, 'hooks/post-receive')), STAGING_REMOTE_REPO)
      assert.ok((await asOperator`git ls-remote -- ${STAGING_REMOTE_REPO}`).ok)
    }
  })

  it('reads STAGING_REMOTE_REPO from .env as well', async t => {
    const site = await newBareServer(t, server)
    writeFileSync(join(site.operator, '.env'), `OTHER=1\nSTAGING_REMOTE_REPO='${site.url}'\n`)
    const HOOK_BINARY = site.writeHook('fake', fakeHook)
    const { exitCode, output } = await site.installHook({ STAGING_REMOTE_REPO: undefined, HOOK_BINARY })
    assert.equal(exitCode, 0, output)
    assert.ok(existsSync(site.hook))
  })
})

describe('install-hook stops before it changes anything', async () => {
  const server = await startServer({ after })

  it('without settings, or with some that cannot be right', async t => {
    const site = await newBareServer(t, server)
    const file = join(site.operator, 'server.env')
    const tries = [
      [undefined, /server\.env is not there[\s\S]*\.env\.example/],
      ['BRANCH_NAME=main\n', /PATH_TO_GIT_WORK_TREE is not an absolute path/],
      ['PATH_TO_GIT_WORK_TREE=www\n', /PATH_TO_GIT_WORK_TREE is not an absolute path: www/],
      [`PATH_TO_GIT_WORK_TREE=${file}/www\n`, /is not writable/],
      [`${site.settings}BRANCH_NAME=a..b\n`, /cannot be a branch: a\.\.b/],
    ] as const
    for (const [text, message] of tries) {
      rmSync(file, { force: true })
      if (text) writeFileSync(file, text)
      const { exitCode, output } = await site.installHook()
      assert.equal(exitCode, 1, output)
      assert.match(output, message)
      assert.equal(existsSync(site.repository), false)
    }
    assert.match((await site.installHook({ STAGING_REMOTE_REPO: undefined })).output, /STAGING_REMOTE_REPO is missing/)
    const noSsh = await site.installHook({ STAGING_REMOTE_REPO: 'https://example.org/x.git' })
    assert.match(noSsh.output, /is no address for ssh/)
  })

  it('when the folder holds something else', async t => {
    const site = await newBareServer(t, server)
    mkdirSync(site.repository)
    writeFileSync(join(site.repository, 'thesis.txt'), 'x')
    const { exitCode, output } = await site.installHook()
    assert.equal(exitCode, 1, output)
    assert.match(output, /is no bare repository/)
  })

  it('when git would refuse the pushes, because the repository is not its own', async t => {
    if (userInfo().uid !== 0) return t.skip('only root can give a folder away')
    const site = await newBareServer(t, server)
    await $`git init --quiet --bare ${site.repository}`
    await $`chown -R nobody ${site.repository}`
    const { exitCode, output } = await site.installHook()
    assert.equal(exitCode, 1, output)
    assert.match(output, /dubious ownership[\s\S]*is no bare repository that git lets/)
  })

  it('when git looks for hooks elsewhere', async t => {
    const site = await newBareServer(t, server)
    await $`git init --quiet --bare ${site.repository}`
    await $`git -C ${site.repository} config core.hooksPath /srv/hooks`
    const { exitCode, output } = await site.installHook()
    assert.equal(exitCode, 1, output)
    assert.match(output, /looks for hooks in \/srv\/hooks/)
  })

  it('when the server cannot be reached, or shows another host key', async t => {
    const site = await newBareServer(t, server)
    const refused = `ssh://${userInfo().username}@127.0.0.1:${await findFreePort()}${site.repository}`
    assert.equal((await site.installHook({ STAGING_REMOTE_REPO: refused })).exitCode, 255)
    writeFileSync(join(site.sshFolder, 'known_hosts'), '')
    const { exitCode, output } = await site.installHook()
    assert.equal(exitCode, 255)
    assert.match(output, /Host key verification failed/)
    assert.equal(existsSync(site.repository), false)
  })

  it('when there is no binary for the machine that the server is', async t => {
    const site = await newBareServer(t, server)
    const installer = join(site.folder, 'build/install-hook.sh')
    cpSync(script, installer)
    const programs = join(site.folder, 'programs')
    mkdirSync(programs)
    writeFileSync(join(programs, 'uname'), '#!/bin/sh\n[ "$1" = -s ] && echo Linux || echo aarch64\n', { mode: 0o755 })
    await server.sshd.restart({ setEnv: { PATH: `${programs}:${process.env.PATH}` } })
    const { exitCode, output } = await site.installHook({ HOOK_BINARY: undefined }, installer)
    await server.sshd.restart({ setEnv: {} })
    assert.equal(exitCode, 1, output)
    assert.match(output, /The server is linux-arm64, and there is no hook for it in .*dist\.\nTo do: make release/)
    assert.equal(existsSync(site.repository), false)
  })

  it('when the hook does not run on the server: the old one stays', async t => {
    const site = await newBareServer(t, server)
    await site.installHook({ HOOK_BINARY: site.writeHook('fake', fakeHook) })
    const broken = site.writeHook('broken', '#!/nowhere/interpreter\n')
    chmodSync(broken, 0o755)
    const { exitCode, output } = await site.installHook({ HOOK_BINARY: broken })
    assert.equal(exitCode, 1, output)
    assert.match(output, /does not run on this server/)
    assert.equal(readFileSync(site.hook, 'utf8'), fakeHook)
  })
})
