import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'
import { nextSecond } from '../lib/web-server.ts'

const $ = zx({ quiet: true })

describe('A push', async () => {
  const { newSite } = await startServer({ after })

  it('puts the first commit live, in a work tree that did not exist', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const { output } = assertExit(await site.deploy(), 0)
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
    assert.match(
      output,
      new RegExp(`^${commit} IS IN PLACE \\(not checked: HEALTH_CHECK_URL is empty\\), in [\\d.]+ s\\.$`, 'm'),
    )
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
    assertExit(await site.deploy(), 0)
    site.write({ thing: undefined })
    const commit = await site.commit({
      'page.txt': 'two\n',
      'gone.txt': undefined,
      'deep/er/gone.txt': undefined,
      'thing/inside.txt': 'a folder',
    })
    assertExit(await site.deploy(), 0)
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
    writeFileSync(wsgi, '')
    utimesSync(wsgi, 1, 1)
    site.configure({ PATH_TO_WSGI: wsgi })
    await site.commit()
    assertExit(await site.deploy(), 0)
    assert.ok(statSync(wsgi).mtimeMs > 1000)
  })

  it('gives the WSGI file a new time for a RESTART that loads it, as its compiled form would hide the change', async t => {
    const site = await newSite(t)
    site.configure({ RESTART: 'python3 -c "import wsgi; print(wsgi.VERSION)" >> "$STEPS"', INSTALL_DEPS: '' })
    await site.commit({ 'wsgi.py': 'VERSION = 1\n' })
    assertExit(await site.deploy(), 0)
    await nextSecond()
    await site.commit({ 'wsgi.py': 'VERSION = 2\n' })
    assertExit(await site.deploy(), 0)
    assert.deepEqual(
      site.steps().filter(step => !step.startsWith('upgrade')),
      ['1', '2'],
    )
  })

  it('checks out the pushed branch, whatever the HEAD of the bare repository is', async t => {
    const site = await newSite(t)
    await site.commit({ 'page.txt': 'old master\n' })
    await site.serverGit`git fetch --quiet ${site.clone} HEAD:refs/heads/master`
    await site.serverGit`git symbolic-ref HEAD refs/heads/master`
    const commit = await site.commit({ 'page.txt': 'main\n' })
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('page.txt'), 'main\n')
    assert.equal((await site.serverGit`git symbolic-ref HEAD`).stdout.trim(), 'refs/heads/master')
    assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), commit)
  })

  it('of another branch, a tag, or a deletion deploys nothing and says so, even without hooks/update', async t => {
    const site = await newSite(t)
    // That is so where the binary was copied there by hand.
    rmSync(join(site.repository, 'hooks/update'))
    await site.serverGit`git config receive.denyDeletes false`
    const commit = await site.commit()
    assertExit(await site.deploy(), 0)
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
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /only pushes of production are deployed here/)
  })

  it('takes over a work tree that the bash hook filled, with its untracked files', async t => {
    const site = await newSite(t)
    await site.commit({ 'old.txt': 'old' })
    mkdirSync(site.workTree)
    await site.serverGit`git fetch --quiet ${site.clone} HEAD:refs/heads/bash`
    await site.serverGit`git symbolic-ref HEAD refs/heads/bash`
    await site.serverGit`GIT_WORK_TREE=${site.workTree} git --git-dir=. checkout --quiet -f`
    for (const untracked of ['.env', 'venv', 'instance']) writeFileSync(join(site.workTree, untracked), untracked)
    await site.commit({ 'old.txt': undefined })
    assertExit(await site.deploy(), 0)
    assert.throws(() => site.read('old.txt'))
    for (const untracked of ['.env', 'venv', 'instance']) assert.equal(site.read(untracked), untracked)
  })

  it('undoes local changes to tracked files in the work tree', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    writeFileSync(join(site.workTree, 'page.txt'), 'edited on the server\n')
    await site.commit({ 'other.txt': 'x' })
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it("lets a recipe call git: git describe knows the tags, and git works in the recipe's own repositories", async t => {
    const site = await newSite(t)
    const makefile = `install-deps:
\t@git describe --tags --dirty > described
\t@git init --quiet scratch && git -C scratch rev-parse --git-dir > own
\t@env | grep ^GIT_ > environment || true
upgrade-db:
`
    await site.commit({ Makefile: makefile, '.gitignore': 'described\nown\nscratch\nenvironment\n' })
    await site.git`git tag --annotate --message ${'first'} v1.0; git tag mine; git tag yours`
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /^NOT PUSHING THE TAGS mine, yours: only annotated ones go along/m)
    assert.equal(await site.ref('refs/tags/mine'), undefined)
    assert.equal(site.read('described'), 'v1.0\n')
    assert.equal(site.read('own'), '.git\n')
    assert.doesNotMatch(site.read('environment'), /^GIT_(DIR|INDEX_FILE|WORK_TREE|QUARANTINE|EXEC_PATH)/m)
    assert.equal(await site.ref('refs/tags/v1.0^{commit}'), await site.live())
  })

  for (const branch of ["fix/a;b$(x)'q", '-lead', 'HEAD', 'é']) {
    it(`deploys a branch named ${branch}`, async t => {
      const site = await newSite(t, { branch })
      const commit = await site.commit()
      assertExit(await site.deploy(), 0)
      assert.equal(await site.live(), commit)
    })
  }

  it('works where every path has spaces and quotes', async t => {
    const site = await newSite(t, { name: `it's a "site"` })
    await site.commit()
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('from a detached HEAD, as CI checks out, deploys that commit', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.commit({ 'page.txt': 'not this\n' })
    await site.git`git checkout --quiet --detach ${commit}`
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), commit)
  })

  it('shows ten megabytes of a recipe, line by line', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: 'install-deps:\n\t@seq -f "line %.0f of the recipe ........" 300000\nupgrade-db:\n' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.equal(output.match(/^remote: {5}line \d+ of the recipe/gm)?.length, 300_000)
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
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(
      output,
      /INSTALLING DEPENDENCIES failed: `make install-deps` exited with 2\.\n(remote: {5}.*\n)*remote: {5}all is lost/,
    )
    assert.doesNotMatch(output, /UPGRADING|RESTARTING/)
    assert.equal(await site.live(), good)
    assert.equal(await site.failed(), bad)
    assert.deepEqual(site.steps(), [`install ${good}`])
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('may be the upgrade: nothing is restarted, and the message says that the database is ahead', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    await site.commit({ Makefile: 'install-deps:\nupgrade-db:\n\tfalse\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /UPGRADING DATABASE STRUCTURE failed/)
    assert.doesNotMatch(output, /RESTARTING/)
    assert.match(output, /may be ahead of the code/)
  })

  it('in the first deployment says that nothing was live before', async t => {
    const site = await newSite(t)
    const bad = await site.commit({ Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /There was no previous version to restore/)
    assert.equal(await site.live(), undefined)
    assert.equal(await site.failed(), bad)
  })

  it('is recorded as the last failure, but no longer shown by status after the next success', async t => {
    const site = await newSite(t)
    const Makefile = readFileSync(join(site.clone, 'Makefile'), 'utf8')
    const bad = await site.commit({ Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
    await site.deploy()
    await site.commit({ Makefile })
    assertExit(await site.deploy(), 0)
    assert.equal(await site.failed(), bad)
    assert.doesNotMatch((await site.deploy(['status'])).output, /failed/)
  })

  it('may be missing settings, which are all named at once', async t => {
    const site = await newSite(t)
    site.configure({ PATH_TO_GIT_WORK_TREE: 'relative', PATH_TO_WSGI: undefined, STEP_TIMEOUT: 'soon' })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /PATH_TO_GIT_WORK_TREE is not an absolute path/)
    assert.match(output, /STEP_TIMEOUT is not a number/)
    assert.match(output, /RESTART and PATH_TO_WSGI are missing/)
    assert.equal(await site.live(), undefined)
  })

  it('may be the checkout, where the folder cannot be written', async t => {
    const site = await newSite(t)
    writeFileSync(join(site.folder, 'file'), '')
    site.configure({ PATH_TO_GIT_WORK_TREE: join(site.folder, 'file/www'), PATH_TO_WSGI: undefined, RESTART: 'true' })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /PATH_TO_GIT_WORK_TREE cannot be made or written: .*\/file is a file/)
    assert.deepEqual(site.steps(), [])
  })

  it('may be the checkout, where the folder is a repository of its own', async t => {
    const site = await newSite(t)
    await $`git init --quiet ${site.workTree}`
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
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
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('who'), `venv\n${venv}\n`)
  })

  it('of ACTIVATE_VENV is the environment after the command, whose output is discarded', async t => {
    const site = await newSite(t)
    makeTool(join(site.folder, 'act/bin'), 'activated')
    writeFileSync(
      join(site.folder, 'activate'),
      `echo SECRET=1\nexport PATH=${site.folder}/act/bin:$PATH VIRTUAL_ENV=act\n`,
    )
    site.configure({ ACTIVATE_VENV: `source ${site.folder}/activate` })
    await site.commit({ Makefile: recipe })
    const { output } = assertExit(await site.deploy(), 0)
    assert.equal(site.read('who'), 'activated\nact\n')
    assert.doesNotMatch(output, /SECRET/)
  })

  it('of both settings is the activated one, with PATH_TO_VENV first on PATH', async t => {
    const site = await newSite(t)
    makeTool(join(site.folder, 'venv/bin'), 'venv')
    site.configure({ ACTIVATE_VENV: 'export FROM_ACTIVATE=yes', PATH_TO_VENV: join(site.folder, 'venv') })
    await site.commit({ Makefile: 'install-deps:\n\t@tool > who; echo "$$FROM_ACTIVATE" >> who\nupgrade-db:\n' })
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('who'), 'venv\nyes\n')
  })

  it('that cannot be activated fails the deployment', async t => {
    const site = await newSite(t)
    site.configure({ ACTIVATE_VENV: 'echo no such thing >&2; false' })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /ACTIVATING VIRTUAL ENVIRONMENT failed: .*exited with 1\.[\s\S]*no such thing/)
    assert.deepEqual(site.steps(), [])
  })

  it('is optional: INSTALL_DEPS, UPGRADE_DB and RESTART may be any commands, and empty ones are skipped', async t => {
    const site = await newSite(t)
    site.configure({
      INSTALL_DEPS: '',
      UPGRADE_DB: 'echo upgrade >> "$STEPS"',
      RESTART: 'echo restart "$DEPLOY_BRANCH" >> "$STEPS"',
    })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 0)
    assert.deepEqual(site.steps(), ['upgrade', 'restart main'])
    assert.doesNotMatch(output, /INSTALLING/)
  })
})

describe('The hook', () => {
  it('exits with 2 when it is started by hand, and says what it is for', async () => {
    const [command = '', ...args] = program('post-receive')
    const byHand = assertExit(await $({ nothrow: true })`${command} ${args} < /dev/null`, 2)
    assert.match(byHand.stderr, /^This is a git hook\.\nTo do: post-receive --help/)
  })

  it('exits with 1 when the commit is not live', async t => {
    const repository = mkdtempSync(join(tmpdir(), 'no-settings-'))
    t.after(() => rmSync(repository, { recursive: true }))
    await $`git init --quiet --bare ${repository}`
    const [command = '', ...args] = program('post-receive')
    const push = `${'0'.repeat(40)} ${'c'.repeat(40)} refs/heads/main\n`
    const run = $({ nothrow: true, cwd: repository, input: push })
    const { stdout } = assertExit(await run`GIT_DIR=. ${command} ${args}`, 1)
    assert.match(stdout, /is not live/)
  })
})
