import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { environmentOf, startServer } from '../lib/site.ts'

describe('The environment of the hook and its steps', async () => {
  const { newSite, sshd } = await startServer({ after })

  it('comes from no start-up file: not ~/.bashrc, not BASH_ENV, no function in a variable', async t => {
    const site = await newSite(t)
    const ran = join(sshd.folder, 'ran')
    for (const file of ['.bashrc', '.profile', '.bash_profile', '.bash_login']) {
      writeFileSync(join(sshd.home, file), `echo ${file} >> '${ran}'\nexport FROM_BASHRC=1\n`)
    }
    writeFileSync(join(site.folder, 'bash-env'), `echo BASH_ENV >> '${ran}'\n`)
    site.configure({ BASH_ENV: join(site.folder, 'bash-env') })
    await site.commit({ Makefile: 'install-deps:\n\tenv > environment\nupgrade-db:\n', '.gitignore': 'environment\n' })
    assertExit(await site.deploy(), 0)
    // sshd sets that one: the login shell that starts git.
    assert.equal(readFileSync(ran, 'utf8'), '.bashrc\n')
    rmSync(ran)
    const commit = await site.commit()
    const hostile = { BASH_ENV: join(site.folder, 'bash-env'), 'BASH_FUNC_make%%': `() { touch '${ran}'; }` }
    // zx would start a bash that reads them.
    const pushed = spawnSync('git', ['push', site.repository, 'main'], {
      cwd: site.clone,
      env: { ...process.env, ...hostile },
    })
    assert.equal(await site.live(), commit, pushed.stderr.toString())
    assert.equal(existsSync(ran), false)
    assert.doesNotMatch(site.read('environment'), /^(FROM_BASHRC|BASH_ENV|BASH_FUNC)/m)
  })

  it('is what .env says, both settings and PATH, whatever the pusher sends', async t => {
    const site = await newSite(t)
    const bin = join(site.folder, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'uv'), '#!/bin/sh\necho "uv ran" >> "$STEPS"\n', { mode: 0o755 })
    site.configure({ PATH: `${bin}:/usr/bin:/bin`, INSTALL_DEPS: 'uv sync' })
    const commit = await site.commit()
    const hostile = {
      RESTART: 'echo hostile >> "$STEPS"',
      INSTALL_DEPS: 'echo hostile >> "$STEPS"',
      PATH_TO_VENV: '/nowhere',
      BRANCH_NAME: 'main',
    }
    const local = {
      ...site.deployEnvironment,
      ...hostile,
      STAGING_REMOTE_REPO: site.repository,
      SSH_DEPLOYMENT_KEY: undefined,
      KNOWN_DEPLOYMENT_HOSTS: undefined,
    }
    assertExit(await site.deploy([], local), 0)
    assert.deepEqual(site.steps(), ['uv ran', `upgrade ${commit}`])
  })

  it('names the commit, the branch and the commit that was live before', async t => {
    const site = await newSite(t)
    site.configure({
      INSTALL_DEPS: 'echo "$DEPLOY_BRANCH $DEPLOY_COMMIT $DEPLOY_PREVIOUS_COMMIT" >> "$STEPS"',
      UPGRADE_DB: '',
    })
    const first = await site.commit()
    assertExit(await site.deploy(), 0)
    const second = await site.commit()
    assertExit(await site.deploy(), 0)
    assert.deepEqual(site.steps(), [`main ${first} `, `main ${second} ${first}`])
  })
})

describe('Settings of the hook that cannot be right', async () => {
  const { newSite } = await startServer({ after })

  it('are named together before anything happens', async t => {
    const site = await newSite(t)
    const live = await site.commit()
    assertExit(await site.deploy(), 0)
    site.steps()
    await site.commit({ 'page.txt': 'two\n' })
    const wrong = {
      'a virtual environment that is not there': [
        { PATH_TO_VENV: '/nowhere/venv' },
        /PATH_TO_VENV \(\/nowhere\/venv\) is no virtual environment/,
      ],
      'one with ~': [{ PATH_TO_VENV: '~/venv' }, /PATH_TO_VENV has ~ or \$ in it/],
      'one with $': [{ PATH_TO_VENV: '$HOME/venv' }, /PATH_TO_VENV has ~ or \$ in it/],
      'a WSGI file that is not there': [
        { PATH_TO_WSGI: '/nowhere/wsgi.py' },
        /PATH_TO_WSGI \(\/nowhere\/wsgi\.py\) is not there/,
      ],
      'a work tree that is the repository': [
        { PATH_TO_GIT_WORK_TREE: site.repository, PATH_TO_WSGI: 'wsgi.py' },
        /lie in one another/,
      ],
      'a work tree in the repository': [
        { PATH_TO_GIT_WORK_TREE: join(site.repository, 'www'), PATH_TO_WSGI: 'wsgi.py' },
        /lie in one another/,
      ],
      'a work tree around the repository': [
        { PATH_TO_GIT_WORK_TREE: site.folder, PATH_TO_WSGI: 'wsgi.py' },
        /lie in one another/,
      ],
      'a number that no timer holds': [{ STEP_TIMEOUT: '99999999' }, /STEP_TIMEOUT is not a number of seconds/],
    } as const
    for (const [name, [changes, message]] of Object.entries(wrong)) {
      site.configure({
        PATH_TO_GIT_WORK_TREE: site.workTree,
        PATH_TO_WSGI: join(site.workTree, 'wsgi.py'),
        PATH_TO_VENV: undefined,
        STEP_TIMEOUT: undefined,
      })
      site.configure(changes)
      const { output } = assertExit(await site.deploy(), 1, name)
      assert.match(output, message, name)
      assert.deepEqual(site.steps(), [], name)
    }
    assert.equal(await site.live(), live)
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('include a WSGI file that the commit lacks, because touching it would restart nothing', async t => {
    const site = await newSite(t)
    site.configure({ PATH_TO_WSGI: join(site.workTree, 'wsgy.py') })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /RESTARTING APPLICATION failed: PATH_TO_WSGI .* is no file/)
  })

  it('or cannot be read fail the deployment, with the reason: .env is a folder', async t => {
    const site = await newSite(t)
    await site.commit()
    assertExit(await site.deploy(), 0)
    rmSync(join(site.repository, '.env'))
    mkdirSync(join(site.repository, '.env'))
    for (let time = 1; time <= 2; time++) {
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /settings file .*\.env cannot be read/)
    }
  })
})

describe('A push by another Unix user than the one that deploys', async () => {
  const { newSite } = await startServer({ after })
  const skip = process.getuid?.() === 0 ? false : 'only root becomes another user'

  it('fails, says what to do, and changes nothing', { skip }, async t => {
    const site = await newSite(t)
    const live = await site.commit()
    await site.deploy()
    const commit = await site.commit()
    const { folder, clone, repository, home } = site
    // The modes of a repository that a group shares.
    await site.git`chmod -R a+rwX ${clone} ${repository} && chmod a+rx ${folder} ${home}`
    await site.git`chmod go-rwx ${repository}/pushlive ${repository}/.env`
    writeFileSync(join(home, '.gitconfig'), '[safe]\n\tdirectory = *\n')
    const asOther = (command: string[]) => {
      const other = ['--reuid', '65534', '--regid', '65534', '--clear-groups', ...command]
      return spawnSync('setpriv', other, { cwd: clone, env: site.deployEnvironment, encoding: 'utf8' })
    }
    const files = program('post-receive').filter(word => word.startsWith('/'))
    if (files.some(file => asOther(['test', '-r', file]).status !== 0))
      return t.skip('the hook lies where only root reads')
    const push = () => asOther(['git', 'push', repository, `${commit}:refs/heads/main`]).stderr
    const unreadable = push()
    assert.match(unreadable, /\.env cannot be read[\s\S]*To do: run this as the user that it belongs to/)
    await site.serverGit`chmod a+r .env && git update-ref refs/heads/main ${live}`
    const locked = push()
    assert.match(locked, /nobody cannot write .*To do: push as the user that the repository belongs to/)
    assert.match(locked, new RegExp(`pushlive: ${commit} is not live`))
    assert.equal(await site.live(), live)
  })
})

describe('A push to a local path', async () => {
  const { newSite } = await startServer({ after })
  const skip = process.getuid?.() === 0 ? false : 'only root becomes another user'

  it('by a user without a name is told by the number, and a CI may have DEPLOY_COMMIT', { skip }, async t => {
    const site = await newSite(t)
    await site.commit()
    await site.git`chown -R 54321:54321 ${site.folder}`
    const env = {
      ...environmentOf(site.home),
      STAGING_REMOTE_REPO: site.repository,
      BRANCH_NAME: 'main',
      DEPLOY_COMMIT: 'x',
      DEPLOY_BRANCH: 'y',
    }
    const asOther = (...command: string[]) => {
      const other = ['--reuid', '54321', '--regid', '54321', '--clear-groups', ...command]
      return spawnSync('setpriv', other, { cwd: site.clone, env, encoding: 'utf8' })
    }
    const files = [...program('deploy'), ...program('post-receive')].filter(word => word.startsWith('/'))
    if (files.some(file => asOther('test', '-r', file).status !== 0)) return t.skip('only root reads the programs')
    const { status, stdout, stderr } = asOther(...program('deploy'))
    assert.equal(status, 0, stdout + stderr)
    assert.match(asOther(...program('deploy'), 'status').stdout, /^ {2}● .*, user 54321, took /m)
  })
})

describe('Names from outside', async () => {
  const { newSite } = await startServer({ after })

  it('never reach a terminal unescaped: files, settings, commands of several lines', async t => {
    const site = await newSite(t)
    const evil = '\u001b]0;title\u0007\rpushlive: x is live'
    site.configure({
      UPGRADE_DB_IF_CHANGED: 'migrations',
      RESTART: 'true\n: "\u001b[2J"\ntest "$(cat page.txt)" = one',
    })
    await site.commit()
    assertExit(await site.deploy(), 0)
    await site.commit({ 'page.txt': 'two\n', [`migrations/${evil}`]: 'x' })
    const { output } = assertExit(await site.deploy(), 1)
    for (const text of [output, (await site.deploy(['status'])).output, (await site.deploy(['history'])).output]) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none is the point
      assert.doesNotMatch(text, /[\u0000-\u0008\u000b-\u001f\u007f]/)
      assert.doesNotMatch(text, /^(remote: )?(pushlive: x is live|: ")/m)
    }
  })
})
