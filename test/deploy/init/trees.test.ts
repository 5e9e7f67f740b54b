import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../../lib/exit.ts'
import { program } from '../../lib/programs.ts'
import { environmentOf } from '../../lib/site.ts'
import { applications, makeProject, write } from './trees.ts'

const flask = applications.flask?.files ?? {}
const server = ['--server', 'ada@example.org']

/** Runs `deploy init` in a project, as a program of somebody without a terminal does. */
async function init(root: string, args: readonly string[], prefix: readonly string[] = []) {
  const $ = zx({
    cwd: root,
    env: environmentOf(dirname(root)),
    quiet: true,
    nothrow: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { exitCode, stdout, stderr } = await $`${prefix} ${program('deploy')} init ${args}`
  return { exitCode, output: `${stdout}${stderr}` }
}

const status = (root: string) =>
  execFileSync('git', ['-c', 'safe.directory=*', 'status', '--porcelain', '--untracked-files=all', '--ignored'], {
    cwd: root,
    encoding: 'utf8',
  })
const read = (root: string, path: string) => readFileSync(join(root, path), 'utf8')

/** init refuses, with this message, and has written nothing. */
async function verifyRefused(root: string, args: readonly string[], message: RegExp, prefix?: readonly string[]) {
  const before = existsSync(join(root, '.git')) ? status(root) : ''
  const { output } = assertExit(await init(root, args, prefix), 2)
  assert.match(output, message)
  if (existsSync(join(root, '.git'))) assert.equal(status(root), before)
  return output
}

describe('deploy init refuses', { concurrency: 2 }, () => {
  const cases: Record<string, [RegExp, (t: TestContext) => string, ...string[]]> = {
    'a folder that is no repository': [
      /^This is no clone of a repository\./,
      t => {
        const root = makeProject(t, flask)
        rmSync(join(root, '.git'), { recursive: true })
        return root
      },
    ],
    'a repository without a commit': [
      /^There is no commit here yet\.\nTo do: commit the application first/,
      t => makeProject(t, {}),
    ],
    'a folder inside of a repository': [
      /^This is a folder inside of a repository\.\n[\s\S]*To do: cd .*shop$/m,
      t => join(makeProject(t, { 'inner/wsgi.py': '' }), 'inner'),
    ],
    'a monorepo without a word on how': [
      /^There is no application at the top of this repository, but in folders of it\.\n {4}backend, frontend\nTo do: write a Makefile/,
      t => makeProject(t, { 'backend/manage.py': '', 'backend/requirements.txt': '', 'frontend/package.json': '{}' }),
    ],
    'a project of two kinds without a word on which': [
      /--kind is missing: Kind of application \(php, go, /,
      t => makeProject(t, { 'go.mod': '', 'composer.json': '{}' }),
    ],
    'a project of no kind': [/--kind is missing/, t => makeProject(t, { 'README.md': '' })],
    'a project whose deploy is a file, such as the program': [
      /^deploy is a file here, and the settings go in a folder of that name\.\nTo do: move it away/,
      t => makeProject(t, { ...flask, deploy: '#!' }),
    ],
    'a project whose deploy is a link': [
      /^deploy is a link here/,
      t => {
        const root = makeProject(t, flask)
        symlinkSync('/tmp', join(root, 'deploy'))
        return root
      },
    ],
    'a project whose folder deploy is taken': [
      /^The folder deploy is taken for something else here\.\n {4}It has chart\.yaml, and neither/,
      t => makeProject(t, { ...flask, 'deploy/chart.yaml': '' }),
    ],
    'a project where a file would go behind a link': [
      /^init cannot write its files here\.\n {4}\.github is a link\nTo do:/,
      t => {
        const root = makeProject(t, flask)
        symlinkSync('/tmp', join(root, '.github'))
        return root
      },
      '--ci=github',
    ],
    'a package.json that is none': [/^package\.json cannot be read\./, t => makeProject(t, { 'package.json': '{' })],
    'a server without a user': [
      /--server example\.org is neither user@host/,
      t => makeProject(t, flask),
      '--server=example.org',
    ],
    'a start that another kind has': [
      /--start pm2 is none of systemd, uwsgi/,
      t => makeProject(t, flask),
      '--start=pm2',
    ],
    'a health check that is no address': [
      /--health ftp:\/\/x is no address/,
      t => makeProject(t, flask),
      '--health=ftp://x',
    ],
    'an empty health check': [
      /--health {1,2}is empty: write the address of a page, or none/,
      t => makeProject(t, flask),
      '--health=',
    ],
    'a password in an address': [
      /--health .* has a password in it/,
      t => makeProject(t, flask),
      '--health=http://a:b@127.0.0.1/',
    ],
    'a shared path that leads out': [
      /--shared \.\.\/x names \.\.\/x, which is no path inside/,
      t => makeProject(t, flask),
      '--shared=../x',
    ],
    'shared paths in one another': [/names a\/b, which lies in a\b/, t => makeProject(t, flask), '--shared=a a/b'],
    'a CI that there is not': [/--ci jenkins is none of github/, t => makeProject(t, flask), '--ci=jenkins'],
    'an argument': [/^deploy init takes no argument 'now'/, t => makeProject(t, flask), 'now'],
  }
  for (const [what, [message, make, ...args]] of Object.entries(cases)) {
    it(what, async t => void (await verifyRefused(make(t), ['--yes', ...server, ...args], message)))
  }

  it('to ask without a terminal, and names the options', async t => {
    const output = await verifyRefused(makeProject(t, flask), [], /^init asks, and there is no terminal here\./)
    for (const name of ['server', 'kind', 'start', 'health', 'shared'])
      assert.match(output, new RegExp(`--${name} is missing: `))
    assert.match(output, /To do: give these as options, or --yes/)
  })

  it('to guess the server', async t => {
    await verifyRefused(makeProject(t, flask), ['--yes'], /--server is missing: Server, such as/)
  })

  it('a tree that it cannot write', {
    skip: process.getuid?.() !== 0 && 'only root can become another user',
  }, async t => {
    const root = makeProject(t, flask)
    const other = 65_534
    for (const path of ['.', '.git']) chownSync(join(root, path), other, other)
    chmodSync(dirname(root), 0o755)
    chmodSync(root, 0o555)
    await verifyRefused(
      root,
      ['--yes', ...server],
      /^init cannot write its files here\.\n {4}this folder: you may not write there/,
      ['setpriv', `--reuid=${other}`, '--clear-groups'],
    )
  })
})

describe('deploy init', { concurrency: 2 }, () => {
  it('writes files, says which, and says what comes next', async t => {
    const root = makeProject(t, { ...flask, 'config.py': 'os.environ["SECRET_KEY"]' })
    const { output } = assertExit(await init(root, ['--yes', ...server, '--ci=gitlab']), 0)
    assert.equal(
      output,
      `WRITTEN  deploy/deploy.env
WRITTEN  deploy/server.env
WRITTEN  deploy/server/shop.service
WRITTEN  deploy/server/shop.socket
WRITTEN  deploy/server/sudoers
WRITTEN  deploy/server/root.sh
WRITTEN  .gitlab-ci.yml
Commit a release's deploy.cjs as ci/deploy.cjs.
The code reads this from its environment: setup-ssh set SECRET_KEY=...
Commit these files. Then:
  setup-ssh
  deploy
`,
    )
  })

  it('run again needs no answer, and changes nothing', async t => {
    const root = makeProject(t, flask)
    assertExit(
      await init(root, ['--yes', ...server, '--health=/health', '--shared=a b', '--start=uwsgi', '--ci=github']),
      0,
    )
    const { output } = assertExit(await init(root, ['--yes']), 0)
    assert.match(output, /^All \d+ files are there, and as init would write them\./)
  })

  it('keeps what was edited, shows the difference, and writes what is missing', async t => {
    const root = makeProject(t, flask)
    assertExit(await init(root, ['--yes', ...server]), 0)
    const edited = `${read(root, 'deploy/server.env')}SECRET=\u001b[31mred\n`
    write(root, { 'deploy/server.env': edited })
    rmSync(join(root, 'deploy/server/sudoers'))
    const { output } = assertExit(await init(root, ['--yes']), 0)
    assert.match(
      output,
      /^deploy\/server\.env, yours \(-\) and what init would write \(\+\):\n {4}@@[\s\S]*\n {4}-SECRET=red$/m,
    )
    assert.match(output, /^WRITTEN {2}deploy\/server\/sudoers\nKEPT {5}deploy\/server\.env, which differs$/m)
    assert.equal(read(root, 'deploy/server.env'), edited)
  })

  it('takes over answers that were edited in the files', async t => {
    const root = makeProject(t, flask)
    assertExit(await init(root, ['--yes', ...server]), 0)
    const text = read(root, 'deploy/server.env')
    write(root, { 'deploy/server.env': text.replace('127.0.0.1:8000/health', '127.0.0.1:9000/up') })
    rmSync(join(root, 'deploy/server'), { recursive: true })
    assertExit(await init(root, ['--yes']), 0)
    assert.match(read(root, 'deploy/server/shop.socket'), /^ListenStream=127\.0\.0\.1:9000$/m)
  })

  it('never writes over a CI file that is there', async t => {
    const root = makeProject(t, { ...flask, '.gitlab-ci.yml': 'test: {script: [make]}\n' })
    assertExit(await init(root, ['--yes', ...server]), 0)
    assert.equal(read(root, '.gitlab-ci.yml'), 'test: {script: [make]}\n')
    assert.ok(existsSync(join(root, 'deploy/gitlab-ci.yml')))
  })

  it('says which of its files git would not commit', async t => {
    const root = makeProject(t, { ...flask, '.gitignore': '*.env\n' })
    const { output } = assertExit(await init(root, ['--yes', ...server]), 0)
    assert.match(
      output,
      /^\.gitignore keeps git from committing deploy\/deploy\.env, deploy\/server\.env: add an exception/m,
    )
  })

  it('takes a monorepo whose kind is named', async t => {
    const files = { Makefile: 'install-deps:\n\nserve:\n', 'backend/manage.py': '' }
    const root = makeProject(t, files)
    assertExit(await init(root, ['--yes', ...server, '--kind=make', '--health=none', '--shared=none']), 0)
    assert.match(read(root, 'deploy/server.env'), /^INSTALL_DEPS="make install-deps"$/m)
    assert.match(read(root, 'deploy/server/shop.service'), /^ExecStart=\/bin\/sh -c "exec make serve"$/m)
  })

  it('takes a folder deploy that has other files, too, once it is told so', async t => {
    const root = makeProject(t, { ...flask, 'deploy/chart.yaml': '', 'deploy/deploy.env': '' })
    const { output } = assertExit(await init(root, ['--yes', ...server]), 0)
    assert.match(output, /^KEPT {5}deploy\/deploy\.env, which differs$/m)
  })

  it('takes the branch that the origin calls its own, and a name that is fit for files', async t => {
    const root = makeProject(t, flask, 'My shop.example')
    const git = (...args: string[]) => execFileSync('git', args, { cwd: root, env: environmentOf(dirname(root)) })
    git('update-ref', 'refs/remotes/origin/live', 'HEAD')
    git('symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/live')
    assertExit(await init(root, ['--yes', ...server]), 0)
    assert.equal(
      read(root, 'deploy/deploy.env').replace(/^#.*\n/, ''),
      'STAGING_REMOTE_REPO=ada@example.org:/home/ada/My-shop-example.git\nBRANCH_NAME=live\n',
    )
  })

  it('does not follow a link that is committed', async t => {
    const root = makeProject(t, { 'wsgi.py': 'application = 1', 'requirements.txt': '' })
    const outside = join(dirname(root), 'outside.py')
    writeFileSync(outside, 'os.environ["OUTSIDE"]')
    symlinkSync(outside, join(root, 'link.py'))
    execFileSync('git', ['add', '--all'], { cwd: root })
    const { output } = assertExit(await init(root, ['--yes', ...server, '--kind=flask']), 0)
    assert.doesNotMatch(output, /OUTSIDE/)
  })

  it('answers --help and --version', async t => {
    const root = makeProject(t, flask)
    assert.match(assertExit(await init(root, ['--help']), 0).output, /^Usage: deploy init/)
    assert.match(assertExit(await init(root, ['--version']), 0).output, /^pushlive deploy /)
  })

  it('is read by deploy: the settings that it wrote are those that deploy has', async t => {
    const root = makeProject(t, flask)
    const repository = join(dirname(root), 'shop.git')
    mkdirSync(repository)
    execFileSync('git', ['init', '--quiet', '--bare', repository])
    assertExit(await init(root, ['--yes', ...server]), 0)
    write(root, { 'deploy/deploy.env': `STAGING_REMOTE_REPO=${repository}\nBRANCH_NAME=main\n` })
    const $ = zx({ cwd: root, env: environmentOf(dirname(root)), quiet: true, nothrow: true })
    const { stdout, exitCode } = await $`${program('deploy')} --dry-run`
    assert.equal(exitCode, 0)
    assert.match(stdout, new RegExp(`ADDING REMOTE staging \\(${repository}\\)`))
  })
})
