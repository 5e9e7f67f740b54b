import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { quote, $ as zx } from 'zx/core'
import { feed } from '../../scripts/lib/setup/shell.ts'
import { assertExit } from '../lib/exit.ts'
import { newOperator } from '../lib/operator.ts'
import { program } from '../lib/programs.ts'
import { modeOf } from '../lib/setup-site.ts'
import { startSshd } from '../lib/sshd.ts'

describe("setup-ssh changes the hook's settings on the server", async () => {
  const sshd = await startSshd({ after })
  const place = await newOperator(sshd, { after })
  const env = join(place.repository, '.env')
  const text = () => readFileSync(env, 'utf8')
  const here = { STAGING_REMOTE_REPO: place.repository }
  const inHome = { STAGING_REMOTE_REPO: `${sshd.user}@127.0.0.1:~/home.git` }
  const settings = `${place.minimal}\n# The key of the shop.\nSHOP_KEY=old # from the shop\nNOTIFY="echo secret"\nPEM="a\nb"\nLAST=1`

  before(async () => {
    writeFileSync(join(place.operator, 'server.env'), settings)
    assertExit(await place.setupSsh(['--hook', 'server.env']), 0)
  })

  it("shows the values of pushlive's own settings, and of those that are named", async () => {
    const all = assertExit(await place.setupSsh(['get']), 0).stdout
    assert.match(all, new RegExp(`^PATH_TO_GIT_WORK_TREE=${place.workTree}$`, 'm'))
    assert.match(all, /^PEM \(hidden: name it to see it\)$/m)
    assert.doesNotMatch(all, /secret|^a$/m)
    assert.equal(assertExit(await place.setupSsh(['get', 'PEM'], here), 0).stdout, 'a\nb\n')
    assert.equal(assertExit(await place.setupSsh(['get', 'LAST', 'RESTART'], here), 0).stdout, 'LAST=1\nRESTART=\n')
    const missing = assertExit(await place.setupSsh(['get', 'NOWHERE', 'LAST'], here), 1)
    assert.match(missing.stderr, /^Not set in .*\.env: NOWHERE\.$/m)
  })

  it('checks as an installation does, before it changes anything', async () => {
    const before = place.contents()
    const onTheServer = [
      [['set', 'RELASES=3', 'ACCEPT=all'], /ACCEPT is neither forward nor any/, /rename it to RELEASES/],
      [['unset', 'PATH_TO_GIT_WORK_TREE'], /PATH_TO_GIT_WORK_TREE is missing/],
      [['set', 'A=secret\\', `B=secret'"`, 'C=secret\x01'], /A, B, C cannot be written/],
    ] as const
    const atOnce = [
      [['set', 'A B=1'], /A B is no name of a variable/],
      [['set', 'A', 'B=1'], /A has no value: write A=VALUE/],
      [['set'], /setup-ssh set takes a name/],
      [['get', 'A=secret'], /setup-ssh get takes names/],
      [['set', 'A=secret\nB=2'], /A has a line break in it/],
      [['set', 'A=secret', '--hook', 'server.env'], /Unexpected argument: set Unexpected argument: A=\.\.\.$/m],
    ] as const
    for (const [args, ...messages] of [...onTheServer, ...atOnce]) {
      const { output } = assertExit(await place.setupSsh(args, here), 2)
      for (const message of messages) assert.match(output, message)
      assert.doesNotMatch(output, /secret/)
    }
    assert.deepEqual(place.contents(), before)
  })

  it('changes nothing where the settings are so already', async () => {
    const before = place.contents()
    const unset = assertExit(await place.setupSsh(['unset', 'B'], here), 0)
    assert.match(unset.output, /KEEPING[\s\S]*B: is not set already/)
    assert.match(assertExit(await place.setupSsh(['set', 'RESTART='], here), 0).output, /RESTART: is so already/)
    assert.deepEqual(place.contents(), before)
  })

  it('sets what the next deployment finds, keeps all other lines, and shows no value', async () => {
    const command = 'printf "%s\\n" "$SHOP_KEY"'
    const words = ["SHOP_KEY=it's; $(new) # key", 'COLOUR=light red', `UPGRADE_DB=${command}`]
    const { output } = assertExit(await place.setupSsh(['set', ...words]), 0)
    const changed = settings
      .replace('UPGRADE_DB=', `UPGRADE_DB='${command}'`)
      .replace('SHOP_KEY=old # from the shop', `# from the shop\nSHOP_KEY="it's; $(new) # key"`)
    assert.equal(text(), `${changed}\nCOLOUR='light red'\n`)
    assert.equal(readFileSync(`${env}.before`, 'utf8'), settings)
    assert.deepEqual([env, `${env}.before`].map(modeOf), [0o600, 0o600])
    assert.match(output, /^CHANGING THE SETTINGS \(.*\.env\) \.\.\.\n {2}set: SHOP_KEY, COLOUR, UPGRADE_DB$/m)
    assert.doesNotMatch(output, /new|red/)
    const pushed = await place.push('HEAD:refs/heads/main')
    assert.match(pushed.output, /it's; \$\(new\) # key +\n[\s\S]*is live/)

    assertExit(await place.setupSsh(['unset', 'SHOP_KEY', 'COLOUR', 'LAST'], here), 0)
    assert.match(text(), /\n# The key of the shop\.\n# from the shop\nNOTIFY=.*\nPEM="a\nb"\n$/)
  })

  it('reads one value from standard input, and at a terminal does not show it', async () => {
    assertExit(await place.setupSsh(['set', 'TOKEN'], { ...here, input: 'piped secret\n' }), 0)
    const empty = assertExit(await place.setupSsh(['set', 'TOKEN'], here), 2)
    assert.match(empty.output, /standard input has no value for TOKEN/)
    assert.match(text(), /^TOKEN='piped secret'$/m)
    const command = [...program('setup-ssh'), 'set', 'TOKEN'].map(quote).join(' ')
    const $$ = zx({ quiet: true, nothrow: true, env: { ...process.env, ...here }, cwd: place.operator })
    const { exitCode, stdout } = await feed(
      $$`script --quiet --return --command ${command} /dev/null`,
      'typed secret\n',
    )
    assertExit({ exitCode, output: stdout }, 0)
    // What is typed before the program asks, the terminal itself shows.
    assert.match(stdout, /^TOKEN: \r\nCHANGING/m)
    assert.match(text(), /^TOKEN='typed secret'$/m)
  })

  it('lets in what the new settings let in', async () => {
    assertExit(await place.setupSsh(['set', 'BRANCH_NAME=production', 'ACCEPT=any'], here), 0)
    await place.commit()
    assert.match((await place.push('HEAD:refs/heads/main')).output, /Only production can be pushed here/)
    assert.ok((await place.push('HEAD:refs/heads/production')).isAccepted)
    assert.equal((await place.serverGit`git config receive.denyNonFastForwards`).stdout, 'false\n')
  })

  it('works in the home folder, and where the login shell prints something', async t => {
    writeFileSync(join(sshd.home, '.bashrc'), 'echo Welcome\n')
    t.after(() => writeFileSync(join(sshd.home, '.bashrc'), ''))
    writeFileSync(join(place.operator, 'home.env'), place.minimal.replace('/www', '/home'))
    assertExit(await place.setupSsh(['--hook', 'home.env'], inHome), 0)
    assertExit(await place.setupSsh(['set', 'WHERE=home'], inHome), 0)
    assert.equal(assertExit(await place.setupSsh(['get', 'WHERE'], inHome), 0).stdout, 'home\n')
    assert.match(readFileSync(join(sshd.home, 'home.git/.env'), 'utf8'), /^WHERE=home$/m)
  })

  it('says what to do where it cannot log in', async t => {
    writeFileSync(join(place.sshFolder, 'known_hosts'), '')
    t.after(() => writeFileSync(join(place.sshFolder, 'known_hosts'), sshd.knownHosts))
    const { output } = assertExit(await place.setupSsh(['set', 'A=1']), 3)
    assert.match(output, /Host key verification failed[\s\S]*The server cannot be reached/)
  })

  it('says what to do where the hook is older, another one, or none', async () => {
    const before = text()
    const received = join(place.folder, 'received')
    const hooks = {
      // What 0.2.0 does with arguments that it does not know.
      'an older hook': `#!/bin/sh\n# pushlive post-receive\ncase "$*" in *--help*) echo Usage; exit ;; esac\nexit 2\n`,
      'no hook of pushlive': `#!/bin/sh\ncat > '${received}'\n`,
    }
    for (const [what, script] of Object.entries(hooks)) {
      rmSync(place.hook)
      writeFileSync(place.hook, script, { mode: 0o755 })
      const { output } = assertExit(await place.setupSsh(['set', 'A=1'], here), 2)
      assert.match(output, new RegExp(`^/.* has ${what}.*\\.\\nTo do: run setup-ssh first`))
    }
    const STAGING_REMOTE_REPO = `${place.repository}.nowhere`
    const none = assertExit(await place.setupSsh(['get'], { STAGING_REMOTE_REPO }), 2)
    assert.match(none.output, /has no hook of pushlive/)
    assert.ok(!existsSync(received))
    assert.equal(text(), before)
  })
})
