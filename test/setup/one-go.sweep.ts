import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { modeOf, startSite } from '../lib/setup-site.ts'
import { environmentOf } from '../lib/site.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

/** How many rows of a terminal with 80 columns a text takes. */
const rowsOf = (text: string) => {
  const lines = text.trimEnd().split('\n')
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / 80)), 0)
}

describe('setup-ssh, where deploy/server.env is in the current directory,', async () => {
  const site = await startSite({ after })
  const { repository, folder } = site
  const server = join(site.sshd.folder, 'srv')
  const local = join(server, 'local.git')
  const bin = join(site.sshd.folder, 'bin')
  const HOOK_BINARY = join(folder, 'hook')
  const env = { HOOK_BINARY, BRANCH_NAME: 'main', GIT_CONFIG_NOSYSTEM: '1' }
  const write = (file: string, text: string) => writeFileSync(join(folder, file), text, { mode: 0o755 })
  const settings = (workTree: string, text = '') =>
    `# The shop.\nPATH_TO_GIT_WORK_TREE=${join(server, workTree)}\nRESTART=\nINSTALL_DEPS=\nUPGRADE_DB=\nHEALTH_CHECK_URL=\nRELEASES=3\nSHARED_PATHS="media shop.db"\n${text}`
  const setUp = () => site.setupSsh({ env })
  /** With the repository at a path on this machine, which takes less time. */
  const setUpHere = (...args: string[]) => site.setupSsh({ env: { ...env, STAGING_REMOTE_REPO: local }, args })
  const asRoot = (table: string) =>
    /^as root +TO DO +(.*)\n +then run setup-ssh again$/m.exec(table)?.[1] ?? assert.fail(table)
  const run = (command: string) => $({ cwd: folder })`sh -c ${command.replace('sudo ', '')}`

  before(async () => {
    write('hook', `#!/bin/sh\nexec '${program('post-receive').join("' '")}' "$@"\n`)
    rmSync(repository, { recursive: true })
    mkdirSync(join(folder, 'deploy/server/units'), { recursive: true })
    write('deploy/server.env', settings('www'))
    write('deploy/server/root.sh', 'echo done > "$(dirname "$0")/../../as-root"\n')
    write('deploy/server/units/shop.service', '[Unit]\n')
    const git = $({ cwd: folder, env: environmentOf(folder) })
    await git`git init --quiet --initial-branch=main`
    await git`git commit --quiet --allow-empty --message ${'One'}`
  })

  it('names the command for root also where the server still lacks what the hook needs', async () => {
    mkdirSync(bin)
    await $`ln -sf /usr/bin/* $(command -v node) ${bin} && rm -f ${bin}/git ${bin}/sudo`
    await site.sshd.restart({ setEnv: { PATH: bin } })
    const { table, stderr } = assertExit(await setUp(), 2)
    assert.match(stderr, /Nothing else was installed[\s\S]*There is no git on the PATH/)
    assert.match(table, /^hook +TO DO +see above$/m)
    assert.equal(modeOf(join(repository, 'server')), 0o700)
    await run(asRoot(table))
    assert.equal(readFileSync(join(server, 'as-root'), 'utf8'), 'done\n')
  })

  it('with --as-root needs one run, also where git comes by it', async () => {
    write('bin-sudo', '#!/bin/sh\nshift\nexec "$@"\n')
    await $`cp ${join(folder, 'bin-sudo')} ${bin}/sudo`
    write('deploy/server/root.sh', `echo NOISE; ln -s "$(PATH=/usr/bin:/bin command -v git)" '${bin}/git'\n`)
    const { stdout, stderr, table } = assertExit(await site.setupSsh({ env, args: ['--as-root'] }), 0)
    assert.equal(stderr, '')
    assert.doesNotMatch(stdout, /NOISE|no git/)
    assert.match(table, /^deploy check +ok +\d\d checks\nNext: deploy$/m)

    write('deploy/server/root.sh', 'echo no such package; exit 7\n')
    const { stdout: said, table: left } = assertExit(await site.setupSsh({ env, args: ['--as-root'] }), 1)
    assert.match(said, /^no such package$/m)
    assert.match(left, /^as root +TO DO +see above; by hand:\n +ssh .*root\.sh\n +then run setup-ssh again$/m)
    write('deploy/server/root.sh', 'true\n')
    assertExit(await setUp(), 1)
    await site.sshd.restart({ setEnv: {} })
  })

  it('the first time, at a terminal, fits a screen, and goes on when root is done', async t => {
    const fresh = await startSite(t, { hostKeyTypes: ['ed25519', 'ecdsa', 'rsa'] })
    cpSync(join(folder, 'deploy'), join(fresh.folder, 'deploy'), { recursive: true })
    const git = $({ cwd: fresh.folder, env: environmentOf(fresh.folder) })
    await git`git init --quiet --initial-branch=main && git commit --quiet --allow-empty --message ${'One'}`
    rmSync(fresh.repository, { recursive: true })
    const text = settings('www').replaceAll(server, join(fresh.sshd.folder, 'srv')).replace('media shop.db', 'media')
    writeFileSync(join(fresh.folder, 'deploy/server.env'), text)
    const { exitCode, stdout: shown } = await fresh.setupSshAtTerminal(
      [
        ['right server', 'yes\n'],
        ['Press Enter', '\n'],
      ],
      { env: { ...env, HOST_FINGERPRINT: '' } },
    )
    const stdout = stripVTControlCharacters(shown)
    assertExit({ exitCode, output: stdout }, 0)
    assert.doesNotMatch(stdout, /fatal|restrict,command/)
    assert.match(
      stdout,
      /ssh .* sh \S+root\.sh\nPress Enter when it is done: [\s\S]*deploy check +ok.*\nNext: deploy$/m,
    )
    const short = stdout
      .replaceAll(/-F \S+ -o \S+ /g, '')
      .replaceAll(fresh.folder, '/home/ada')
      .replaceAll(fresh.sshd.folder, '/home/ada')
    assert.ok(rowsOf(short) <= 24, `${rowsOf(short)} rows:\n${short}`)
  })

  it("does all of the server's part, on one screen, without a word of failure", async () => {
    const { stdout, stderr, table } = assertExit(await setUp(), 0)
    assert.equal(stderr, '')
    assert.doesNotMatch(stdout, /fatal|error|✗|restrict,command/)
    assert.equal(readFileSync(join(repository, '.env'), 'utf8'), settings('www'))
    assert.match(stdout, /^ {2}TO DO: SHARED_PATHS names shop\.db: .* put it into \/.*\/www\.releases\/shared\.$/m)
    assert.match(table, /^hook +ok +/m)
    assert.match(table, /^as root +ok +nothing new; again: ssh /m)
    assert.match(table, /^authorized_keys +ok +.* lets it push to this repository, and refuses a shell$/m)
    assert.match(table, /^deploy check +ok +\d\d checks\nNext: deploy$/m)
    // The paths of this test are longer than those of a user's.
    const short = stdout
      .replace(/-F \S+ -o \S+ /, '')
      .replaceAll(folder, '/home/ada')
      .replaceAll(site.sshd.folder, '/home/ada')
    assert.ok(rowsOf(short) <= 24, `${rowsOf(short)} rows:\n${short}`)
  })

  it('at a terminal waits until root is done, and goes on', async () => {
    rmSync(join(folder, 'deploy/server/units'), { recursive: true })
    write('deploy/server/shop.service', '[Unit]\n')
    const { exitCode, stdout } = await site.setupSshAtTerminal('\n', { env })
    assertExit({ exitCode, output: stdout }, 0)
    assert.match(
      stdout,
      /RUN THIS IN ANOTHER TERMINAL.*\n {2}ssh .*\n.*Press Enter when it is done: [\s\S]*deploy check +ok/,
    )
    assert.ok(existsSync(join(repository, 'server/shop.service')))
    assert.ok(!existsSync(join(repository, 'server/units')))
  })

  it('does only what was asked for with --hook and --env-file', async () => {
    const keys = site.authorizedKeys()
    write('deploy/server.env', settings('www', 'ONE_GO=1\n'))
    write('other.env', `STAGING_REMOTE_REPO='${site.url}'\n`)
    const args = ['--hook', 'deploy/server.env', '--keep-settings']
    const hook = assertExit(await site.setupSsh({ env, args }), 0)
    assert.doesNotMatch(hook.stdout, /SCANNING|CHECKING/)
    const other = assertExit(await site.setupSsh({ args: ['--env-file', 'other.env'] }), 0)
    assert.doesNotMatch(other.stdout, /INSTALLING/)
    assert.doesNotMatch(readFileSync(join(repository, '.env'), 'utf8'), /ONE_GO/)
    assert.equal(site.authorizedKeys(), keys)
  })

  describe('for a repository on this machine', () => {
    it('ends with the command for root, and goes on when it is called again', async () => {
      write('deploy/server.env', settings('local'))
      const { table } = assertExit(await setUpHere(), 1)
      assert.doesNotMatch(table, /deploy check/)
      assert.match(asRoot(table), new RegExp(`^(sudo )?sh ${local}/server/root\\.sh$`))
      await run(asRoot(table))
    })

    it('keeps what was set on the server, and takes what has changed in the file', async () => {
      assertExit(await setUpHere('set', 'SECRET=s3', 'STEP_TIMEOUT=9', 'RELEASES=4'), 0)
      const text = settings('local', 'BUILD=true\nRELEASES=5\n')
      write('deploy/server.env', text)
      const { stdout, table } = assertExit(await setUpHere(), 0)
      assert.equal(readFileSync(join(local, '.env'), 'utf8'), `${text}SECRET=s3\nSTEP_TIMEOUT=9\n`)
      assert.match(stdout, /^ {2}set on the server, and kept: SECRET, STEP_TIMEOUT$/m)
      assert.match(stdout, /^ {2}set on the server, but changed in the file, too, which counts: RELEASES$/m)
      assert.doesNotMatch(stdout, /s3/)
      assert.match(table, /^deploy check +ok +/m)
    })

    it('stops where the settings are wrong', async () => {
      write('deploy/server.env', settings('local', 'RELEASES=2\n'))
      const { stderr, table } = assertExit(await setUpHere(), 2)
      assert.match(stderr, /RELEASES is 2/)
      assert.match(table, /^hook +TO DO +see above$/m)
      assert.match(readFileSync(join(local, '.env'), 'utf8'), /RELEASES=5/)
    })

    it('says what complains where a deployment would fail', async () => {
      write('deploy/server.env', settings('local', 'BUILD=nowhere\n'))
      const { stdout, table } = assertExit(await setUpHere(), 1)
      assert.match(stdout, /^ {8}✗ BUILD: there is no nowhere on the PATH .*\n {10}To do: install it there/m)
      assert.match(table, /^deploy check +TO DO +1 of \d+ fail: see above$/m)
    })
  })
})
