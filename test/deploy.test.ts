import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { program } from './lib/programs.ts'
import { startServer } from './lib/site.ts'
import { findFreePort, newKeyPair } from './lib/sshd.ts'

const $ = zx({ quiet: true })

describe('A push', async () => {
  const { newSite } = await startServer({ after })

  it('puts the first commit live, in a work tree that did not exist', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.equal(await site.live(), commit)
    assert.equal(site.read('page.txt'), 'one\n')
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
    const announcements = [
      `CHECKING OUT CODE TO GIT WORK TREE (${site.workTree}) ...`,
      'INSTALLING DEPENDENCIES ...',
      'UPGRADING DATABASE STRUCTURE ...',
      'RESTARTING APPLICATION ...',
      `pushlive: ${commit} is live`,
    ]
    assert.deepEqual(
      announcements.map(line => output.indexOf(`remote: ${line}`) >= 0),
      announcements.map(() => true),
      output,
    )
    assert.match(output, new RegExp(`^${commit} IS LIVE`, 'm'))
  })

  it('writes the log file, for its owner alone', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: 'install-deps:\n\t@echo from the recipe\nupgrade-db:\n' })
    await site.deploy()
    const [log] = (await $`find ${site.repository}/pushlive/log -type f -perm 600`).stdout.trim().split('\n')
    assert.match(readFileSync(log ?? '', 'utf8'), /INSTALLING DEPENDENCIES \.\.\.\nfrom the recipe\n/)
  })

  it('puts a second commit live: changed, added, deleted files and a file that became a folder', async t => {
    const site = await newSite(t)
    await site.commit({ 'gone.txt': 'x', thing: 'a file', 'deep/er/gone.txt': 'x' })
    assert.equal((await site.deploy()).exitCode, 0)
    site.write({ thing: undefined })
    const commit = await site.commit({
      'page.txt': 'two\n',
      'gone.txt': undefined,
      'deep/er/gone.txt': undefined,
      'thing/inside.txt': 'a folder',
    })
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(await site.live(), commit)
    assert.equal(site.read('page.txt'), 'two\n')
    assert.equal(site.read('thing/inside.txt'), 'a folder')
    assert.throws(() => site.read('gone.txt'))
    assert.throws(() => site.read('deep/er/gone.txt'))
    assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '')
  })

  it('touches the WSGI file', async t => {
    const site = await newSite(t)
    const wsgi = join(site.folder, 'elsewhere.py')
    site.configure({ PATH_TO_WSGI: wsgi })
    await site.commit()
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(readFileSync(wsgi, 'utf8'), '')
  })

  it('checks out the branch that was pushed, whatever the HEAD of the bare repository says', async t => {
    const site = await newSite(t)
    await site.commit({ 'page.txt': 'old master\n' })
    await site.git`git push --quiet ${site.repository} HEAD:refs/heads/master`
    await site.serverGit`git symbolic-ref HEAD refs/heads/master`
    const commit = await site.commit({ 'page.txt': 'main\n' })
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(site.read('page.txt'), 'main\n')
    assert.equal((await site.serverGit`git symbolic-ref HEAD`).stdout.trim(), 'refs/heads/master')
    assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), commit)
  })

  it('of another branch, of a tag, or a deletion deploys nothing and says so in one line', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    assert.equal((await site.deploy()).exitCode, 0)
    site.steps()
    const push = async (...refs: string[]) => (await site.git`git push ${site.repository} ${refs}`).stderr
    assert.match(
      await push('HEAD:refs/heads/other'),
      /remote: pushlive: \w+ is not live: only pushes of main are deployed here/,
    )
    assert.match(await push('HEAD:refs/tags/t1'), /remote: refs\/tags\/t1: nothing is deployed/)
    await site.serverGit`git config receive.denyDeleteCurrent ignore`
    assert.match(await push(':refs/heads/main'), /remote: main is deleted: nothing is deployed/)
    assert.deepEqual(site.steps(), [])
    assert.equal(await site.live(), commit)
  })

  it('is red where the server deploys another branch', async t => {
    const site = await newSite(t)
    site.configure({ BRANCH_NAME: 'production' })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /only pushes of production are deployed here/)
  })

  it('takes over a work tree that the bash hook filled, with its untracked files', async t => {
    const site = await newSite(t)
    await site.commit({ 'old.txt': 'old' })
    mkdirSync(site.workTree)
    await site.git`git push --quiet ${site.repository} HEAD:refs/heads/bash`
    await site.serverGit`git symbolic-ref HEAD refs/heads/bash`
    await site.serverGit`GIT_WORK_TREE=${site.workTree} git --git-dir=. checkout --quiet -f`
    for (const untracked of ['.env', 'venv', 'instance']) writeFileSync(join(site.workTree, untracked), untracked)
    await site.commit({ 'old.txt': undefined })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.throws(() => site.read('old.txt'))
    for (const untracked of ['.env', 'venv', 'instance']) assert.equal(site.read(untracked), untracked)
  })

  it('undoes local changes to tracked files in the work tree', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    writeFileSync(join(site.workTree, 'page.txt'), 'edited on the server\n')
    await site.commit({ 'other.txt': 'x' })
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('lets a recipe call git: git describe knows the tags, and its own repositories are its own', async t => {
    const site = await newSite(t)
    const makefile = `install-deps:
\t@git describe --tags --dirty > described
\t@git init --quiet scratch && git -C scratch rev-parse --git-dir > own
\t@env | grep ^GIT_ > environment || true
upgrade-db:
`
    await site.commit({ Makefile: makefile, '.gitignore': 'described\nown\nscratch\nenvironment\n' })
    await site.git`git tag --annotate --message ${'first'} v1.0`
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.equal(site.read('described'), 'v1.0\n')
    assert.equal(site.read('own'), '.git\n')
    assert.doesNotMatch(site.read('environment'), /^GIT_(DIR|INDEX_FILE|WORK_TREE|QUARANTINE|EXEC_PATH)/m)
    assert.equal(await site.ref('refs/tags/v1.0^{commit}'), await site.live())
  })

  for (const branch of ["fix/a;b$(x)'q", '-lead', 'HEAD', 'é']) {
    it(`deploys a branch named ${branch}`, async t => {
      const site = await newSite(t, { branch })
      const commit = await site.commit()
      const { exitCode, output } = await site.deploy()
      assert.equal(exitCode, 0, output)
      assert.equal(await site.live(), commit)
    })
  }

  it('works where every path has spaces and quotes', async t => {
    const site = await newSite(t, { name: `it's a "site"` })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('from a detached HEAD, as CI checks out, deploys that commit', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.commit({ 'page.txt': 'not this\n' })
    await site.git`git checkout --quiet --detach ${commit}`
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(await site.live(), commit)
  })

  it('shows ten megabytes of a recipe, line by line', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: 'install-deps:\n\t@seq -f "line %.0f of the recipe ........" 300000\nupgrade-db:\n' })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0)
    assert.equal(output.match(/^remote: {5}line \d+ of the recipe/gm)?.length, 300_000)
  })

  it('to a path on this machine needs no ssh', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const noSecrets = { SSH_DEPLOYMENT_KEY: undefined, KNOWN_DEPLOYMENT_HOSTS: undefined }
    const { exitCode, output } = await site.deploy([], { STAGING_REMOTE_REPO: site.repository, ...noSecrets })
    assert.equal(exitCode, 0, output)
    assert.equal(await site.live(), commit)
  })
})

describe('A step that fails', async () => {
  const { newSite } = await startServer({ after })

  it('stops the deployment: no upgrade after a failed install, no restart, exit 1, live unchanged', async t => {
    const site = await newSite(t)
    const good = await site.commit()
    await site.deploy()
    site.steps()
    const bad = await site.commit({
      Makefile: 'install-deps:\n\t@seq 1000; echo all is lost; exit 7\nupgrade-db:\n\t@echo upgrade >> "$$STEPS"\n',
      'page.txt': 'bad\n',
    })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(
      output,
      /INSTALLING DEPENDENCIES failed: `make install-deps` ended with exit code 2\.\n(remote: {5}.*\n)*remote: {5}all is lost/,
    )
    assert.doesNotMatch(output, /UPGRADING|RESTARTING/)
    assert.equal(await site.live(), good)
    assert.equal(await site.failed(), bad)
    assert.deepEqual(site.steps(), [`install ${good}`])
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('may be the upgrade: no restart, and the database is said to be ahead', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    await site.commit({ Makefile: 'install-deps:\nupgrade-db:\n\tfalse\n' })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /UPGRADING DATABASE STRUCTURE failed/)
    assert.doesNotMatch(output, /RESTARTING/)
    assert.match(output, /may be ahead of the code/)
  })

  it('says that nothing was live, when the first deployment ever fails', async t => {
    const site = await newSite(t)
    const bad = await site.commit({ Makefile: 'install-deps:\n\tfalse\n' })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1)
    assert.match(output, /Nothing was live before/)
    assert.equal(await site.live(), undefined)
    assert.equal(await site.failed(), bad)
  })

  it('is forgotten after the next success', async t => {
    const site = await newSite(t)
    const Makefile = readFileSync(join(site.clone, 'Makefile'), 'utf8')
    await site.commit({ Makefile: 'install-deps:\n\tfalse\n' })
    await site.deploy()
    await site.commit({ Makefile })
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(await site.failed(), undefined)
  })

  it('names all settings that the hook misses, at once', async t => {
    const site = await newSite(t)
    site.configure({ PATH_TO_GIT_WORK_TREE: 'relative', PATH_TO_WSGI: undefined, STEP_TIMEOUT: 'soon' })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /PATH_TO_GIT_WORK_TREE is not an absolute path/)
    assert.match(output, /STEP_TIMEOUT is not a number/)
    assert.match(output, /PATH_TO_WSGI is missing/)
    assert.equal(await site.live(), undefined)
  })

  it('may be the checkout, in a folder that cannot be written', async t => {
    const site = await newSite(t)
    writeFileSync(join(site.folder, 'file'), '')
    site.configure({ PATH_TO_GIT_WORK_TREE: join(site.folder, 'file/www') })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /The folder .*file\/www cannot be made/)
    assert.deepEqual(site.steps(), [])
  })

  it('may be the checkout, where the folder is a repository of its own', async t => {
    const site = await newSite(t)
    await $`git init --quiet ${site.workTree}`
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /is a repository of its own/)
  })
})

describe('The virtual environment', async () => {
  const { newSite } = await startServer({ after })
  const recipe = 'install-deps:\n\t@tool > who; echo "$$VIRTUAL_ENV" >> who\nupgrade-db:\n'
  const makeTool = (bin: string, answer: string) => {
    mkdirSync(bin, { recursive: true })
    writeFileSync(join(bin, 'tool'), `#!/bin/sh\necho ${answer}\n`, { mode: 0o755 })
  }

  it('of PATH_TO_VENV comes first on PATH', async t => {
    const site = await newSite(t)
    const venv = join(site.folder, 'a venv')
    makeTool(join(venv, 'bin'), 'venv')
    site.configure({ PATH_TO_VENV: venv })
    await site.commit({ Makefile: recipe })
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(site.read('who'), `venv\n${venv}\n`)
  })

  it('of ACTIVATE_VENV is what the command leaves, and what it prints goes nowhere', async t => {
    const site = await newSite(t)
    makeTool(join(site.folder, 'act/bin'), 'activated')
    writeFileSync(
      join(site.folder, 'activate'),
      `echo SECRET=1\nexport PATH=${site.folder}/act/bin:$PATH VIRTUAL_ENV=act\n`,
    )
    site.configure({ ACTIVATE_VENV: `source ${site.folder}/activate` })
    await site.commit({ Makefile: recipe })
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.equal(site.read('who'), 'activated\nact\n')
    assert.doesNotMatch(output, /SECRET/)
  })

  it('of both is the activated one with PATH_TO_VENV in front', async t => {
    const site = await newSite(t)
    makeTool(join(site.folder, 'venv/bin'), 'venv')
    site.configure({ ACTIVATE_VENV: 'export FROM_ACTIVATE=yes', PATH_TO_VENV: join(site.folder, 'venv') })
    await site.commit({ Makefile: 'install-deps:\n\t@tool > who; echo "$$FROM_ACTIVATE" >> who\nupgrade-db:\n' })
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal(site.read('who'), 'venv\nyes\n')
  })

  it('that cannot be activated fails the deployment', async t => {
    const site = await newSite(t)
    site.configure({ ACTIVATE_VENV: 'echo no such thing >&2; false' })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 1, output)
    assert.match(output, /ACTIVATING VIRTUAL ENVIRONMENT failed: .*exit code 1[\s\S]*no such thing/)
    assert.deepEqual(site.steps(), [])
  })

  it('is not needed: INSTALL_DEPS, UPGRADE_DB and RESTART may be any commands, and empty ones are skipped', async t => {
    const site = await newSite(t)
    site.configure({
      INSTALL_DEPS: '',
      UPGRADE_DB: 'echo upgrade >> "$STEPS"',
      RESTART: 'echo restart "$DEPLOY_BRANCH" >> "$STEPS"',
    })
    await site.commit()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.deepEqual(site.steps(), ['upgrade', 'restart main'])
    assert.doesNotMatch(output, /INSTALLING/)
  })
})

describe('deploy refuses before anything is sent', async () => {
  const { newSite, sshd } = await startServer({ after })

  it('when settings are missing or malformed: all are named, exit 2', async t => {
    const site = await newSite(t)
    await site.commit()
    const none = { STAGING_REMOTE_REPO: undefined, BRANCH_NAME: '' }
    const { exitCode, output } = await site.deploy([], none)
    assert.equal(exitCode, 2)
    assert.match(output, /STAGING_REMOTE_REPO is missing/)
    assert.match(output, /BRANCH_NAME is missing/)
    assert.equal((await site.deploy([], { STAGING_REMOTE_REPO: 'https://example.org/x' })).exitCode, 2)
    assert.equal((await site.deploy([], { KNOWN_DEPLOYMENT_HOSTS: undefined })).exitCode, 2)
    assert.equal((await site.deploy(['--no-such-option'])).exitCode, 2)
    assert.equal((await site.deploy(['--env-file', 'nowhere'])).exitCode, 2)
  })

  it('outside a repository, and where the branch is not to be found', async t => {
    const site = await newSite(t)
    assert.equal((await site.deploy([], {}, site.home)).exitCode, 2)
    await site.commit()
    const { exitCode, output } = await site.deploy([], { BRANCH_NAME: 'nowhere' })
    assert.equal(exitCode, 2)
    assert.match(output, /refs\/heads\/nowhere is not to be found/)
  })

  it('when nobody listens at the port: exit 3', async t => {
    const site = await newSite(t)
    await site.commit()
    const port = await findFreePort()
    const { exitCode, output } = await site.deploy([], {
      STAGING_REMOTE_REPO: `ssh://${sshd.user}@127.0.0.1:${port}/x.git`,
      KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts.replace(`:${sshd.port}`, `:${port}`),
    })
    assert.equal(exitCode, 3, output)
  })

  it('when the host key is unknown or another one: exit 3, and no connection is made', async t => {
    const site = await newSite(t)
    await site.commit()
    const stranger = await newKeyPair(site.folder)
    const [, blob] = stranger.publicKey.split(' ')
    const changed = `[127.0.0.1]:${sshd.port} ssh-ed25519 ${blob}\n`
    const result = await site.deploy([], { KNOWN_DEPLOYMENT_HOSTS: changed })
    assert.equal(result.exitCode, 3, result.output)
    assert.match(result.output, /another host key than the one that is known/)
    assert.equal(await site.ref('refs/heads/main'), undefined)
  })

  it('when the key is not accepted: exit 3', async t => {
    const site = await newSite(t)
    await site.commit()
    const { privateKey } = await newKeyPair(site.folder)
    const { exitCode, output } = await site.deploy([], { SSH_DEPLOYMENT_KEY: privateKey })
    assert.equal(exitCode, 3, output)
    assert.match(output, /does not accept the key/)
    assert.doesNotMatch(output, /PRIVATE KEY/)
  })

  it('when there is no repository at the path: exit 3', async t => {
    const site = await newSite(t)
    await site.commit()
    const { exitCode, output } = await site.deploy([], { STAGING_REMOTE_REPO: `${site.url}.nowhere` })
    assert.equal(exitCode, 3, output)
    assert.match(output, /no repository at this path/)
  })

  it('when the push is no fast-forward: exit 4 and the fix', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    await site.git`git commit --quiet --amend --message ${'another'}`
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 4, output)
    assert.match(output, /not a fast-forward/)
    assert.match(output, /To do: fetch, then merge or rebase/)
  })

  it('when the clone is shallow: exit 4 and the fix', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.commit()
    const shallow = join(site.folder, 'shallow')
    await $`git clone --quiet --depth 1 file://${site.clone} ${shallow}`
    const { exitCode, output } = await site.deploy([], {}, shallow)
    assert.equal(exitCode, 4, output)
    assert.match(output, /To do: git fetch --unshallow/)
  })

  it('with --dry-run nothing is sent', async t => {
    const site = await newSite(t)
    await site.commit()
    const { exitCode, output } = await site.deploy(['--dry-run'])
    assert.equal(exitCode, 0, output)
    assert.equal(await site.ref('refs/heads/main'), undefined)
    assert.match(output, /Nothing was pushed/)
  })
})

describe('deploy', async () => {
  const { newSite } = await startServer({ after })

  it('reads its settings from .env and --env-file, and the environment wins', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ '.gitignore': '.env*\n' })
    const { STAGING_REMOTE_REPO } = site.deployEnvironment
    const absent = { STAGING_REMOTE_REPO: undefined, BRANCH_NAME: undefined }
    writeFileSync(join(site.clone, '.env'), `STAGING_REMOTE_REPO="${STAGING_REMOTE_REPO}"\nBRANCH_NAME=wrong\n`)
    assert.equal((await site.deploy([], { ...absent, BRANCH_NAME: 'main' })).exitCode, 0)
    assert.equal(await site.live(), commit)
    writeFileSync(join(site.clone, '.env.b'), `STAGING_REMOTE_REPO="${STAGING_REMOTE_REPO}"\nBRANCH_NAME=main\n`)
    assert.equal((await site.deploy(['--env-file', '.env.b'], absent)).exitCode, 0)
  })

  it('sets the remote again and again', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.git`git remote add staging https://example.org/old.git`
    assert.equal((await site.deploy()).exitCode, 0)
    assert.equal((await site.git`git remote get-url staging`).stdout.trim(), site.url)
  })

  it('says "already live" the second time, and runs nothing', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    site.steps()
    const { exitCode, output } = await site.deploy()
    assert.equal(exitCode, 0, output)
    assert.match(output, /IS LIVE \(it was already\)/)
    assert.deepEqual(site.steps(), [])
  })

  it('gives no verdict where the hook is not ours, as the bash script does not', async t => {
    const site = await newSite(t)
    const hook = join(site.repository, 'hooks/post-receive')
    rmSync(hook)
    writeFileSync(hook, '#!/bin/sh\necho an old hook\n', { mode: 0o755 })
    await site.commit()
    for (let time = 1; time <= 2; time++) {
      const { exitCode, output } = await site.deploy()
      assert.equal(exitCode, 0, output)
      assert.match(output, /not pushlive's and gives no verdict/)
    }
    assert.equal(await site.ref('refs/deploy-request/main'), undefined)
  })

  it('leaves ~/.ssh alone and nothing in the temporary folder', async t => {
    const site = await newSite(t)
    const temporary = join(site.folder, 'tmp')
    mkdirSync(temporary)
    await site.commit()
    assert.equal((await site.deploy([], { TMPDIR: temporary })).exitCode, 0)
    assert.equal((await $`find ${temporary} ${site.home} -mindepth 1 -not -path '*/.npm*'`).stdout, '')
  })

  it('prints its version and its help', async t => {
    const site = await newSite(t)
    assert.match((await site.deploy(['--version'])).output, /^pushlive deploy /)
    assert.match((await site.deploy(['--help'])).output, /^Usage: deploy/)
  })
})

describe('The hook', () => {
  it('that somebody starts by hand says what it is for, exit 2', async () => {
    const [command = '', ...args] = program('post-receive')
    const byHand = await $({ nothrow: true })`${command} ${args} < /dev/null`
    assert.equal(byHand.exitCode, 2)
    assert.match(byHand.stderr, /^This is a git hook\.\nTo do: Usage: copied to hooks\/post-receive/)
  })
})
