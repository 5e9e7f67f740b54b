import assert from 'node:assert/strict'
import { appendFileSync, chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { modeOf, startSite } from '../lib/setup-site.ts'
import { newKeyPair } from '../lib/sshd.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

describe('setup-ssh and authorized_keys', { concurrency: 4 }, () => {
  test('adds its line once, even after a line without a newline', async t => {
    const site = await startSite(t)
    const before = site.authorizedKeys().trimEnd()
    writeFileSync(site.sshd.authorizedKeys, before, { mode: 0o666 })
    chmodSync(site.sshd.authorizedKeys, 0o666)
    const { stdout } = assertExit(await site.setupSsh(), 0)
    const added = site.authorizedKeys().slice(before.length)
    assert.match(added, /^\nrestrict,command="exec sh .* ssh-ed25519 \S+ pushlive .*\n$/)
    assert.doesNotMatch(stdout, /restrict,/, 'it is shown only where somebody has to add it')
    assert.equal(modeOf(site.sshd.authorizedKeys), 0o600)
  })

  test('creates the file (600) and its folder (700) where there are none', async t => {
    const site = await startSite(t)
    const home = join(site.sshd.folder, 'new home')
    mkdirSync(home)
    const keys = join(site.sshd.folder, 'operator_keys')
    renameSync(site.sshd.authorizedKeys, keys)
    await site.sshd.restart({
      setEnv: { HOME: home },
      config: [`AuthorizedKeysFile "${keys}" "${home}/.ssh/authorized_keys"`],
    })
    assertExit(await site.setupSsh(), 0)
    assert.equal(modeOf(join(home, '.ssh')), 0o700)
    assert.equal(modeOf(join(home, '.ssh/authorized_keys')), 0o600)
  })

  test('says so where the operator may not write there', async t => {
    const site = await startSite(t)
    const home = join(site.sshd.folder, 'new home')
    mkdirSync(home)
    writeFileSync(join(home, '.ssh'), 'no folder')
    await site.sshd.restart({ setEnv: { HOME: home } })
    const { stdout, table } = assertExit(await site.setupSsh(), 3)
    assert.match(stdout, /mkdir: .*\.ssh/)
    assert.match(table, /^authorized_keys +TO DO +the line could not be written to \S+'s authorized_keys: see above$/m)
  })

  test('works where the login shell prints something', async t => {
    const site = await startSite(t)
    writeFileSync(join(site.sshd.home, '.bashrc'), 'test -n "$SSH_ORIGINAL_COMMAND" || echo Welcome\n')
    const result = assertExit(await site.setupSsh(), 0)
    assert.match(result.table, /^authorized_keys +created +/m)

    writeFileSync(join(site.sshd.home, '.bashrc'), 'echo Welcome\n')
    const { stdout } = assertExit(await site.setupSsh(), 3)
    assert.match(stdout, /^ {4}The answer to git-receive-pack: Welcome$/m)
  })

  test('says what is left to do where the operator cannot log in', async t => {
    const site = await startSite(t)
    writeFileSync(site.sshd.authorizedKeys, '')
    const { stdout, table } = assertExit(await site.setupSsh(), 3)
    assert.match(stdout, /Permission denied/)
    assert.match(stdout, /^ {2}restrict,command="exec sh .* ssh-ed25519 /m)
    assert.match(table, /^authorized_keys +TO DO +you cannot log in as .*: have the line above added there$/m)

    const line = /^ {2}(restrict,command=.*)$/m.exec(stdout)?.[1]
    appendFileSync(site.sshd.authorizedKeys, `${line}\n`)
    assertExit(await site.setupSsh(), 0)
  })

  describe('exits with 1, changes nothing, and names the line to change, where the key may do more than push:', () => {
    const own = /put the line above in place of line 3 of ~\/\.ssh\/authorized_keys there; then run setup-ssh again$/m
    for (const [what, restrictions, says] of [
      ['a shell', () => '', /gives the key a shell: /],
      ['forwarding', (line: string) => line.replace(/^restrict,/, ''), /lets the key forward connections: /],
    ] as const) {
      test(what, async t => {
        const site = await startSite(t)
        const { file, publicKey } = await newKeyPair(site.folder)
        const env = { SSH_KEY_FILE: file }
        assertExit(await site.setupSsh({ env }), 0)
        const [operator = '', line = ''] = site.authorizedKeys().split('\n')
        const options = restrictions(line.slice(0, line.indexOf(publicKey)))
        writeFileSync(site.sshd.authorizedKeys, `# mine\n${operator}\n${options}${publicKey}\n`)
        const before = site.authorizedKeys()
        const args = ['--github', 'a/b']
        const { table, stdout } = assertExit(await site.setupSsh({ env, args }), 1)
        assert.match(table, says)
        assert.match(table, own)
        assert.match(table, /^secrets of the CI +TO DO +only once authorized_keys is right: /m)
        assert.ok(stdout.includes(`\n  ${line}\n`))
        assert.equal(site.authorizedKeys(), before)

        // The first line that has the key counts.
        writeFileSync(site.sshd.authorizedKeys, `${before}${line}\n`)
        const { table: doubled } = assertExit(await site.setupSsh({ env }), 1)
        assert.match(doubled, /: delete line 3 of ~\/\.ssh\/authorized_keys there; then run setup-ssh again$/m)
        assert.equal(site.authorizedKeys(), `${before}${line}\n`)
      })
    }

    test('by another file', async t => {
      const site = await startSite(t)
      const { file, publicKey } = await newKeyPair(site.folder)
      const other = join(site.sshd.folder, 'other_keys')
      writeFileSync(other, `${publicKey}\n`)
      await site.sshd.restart({ config: [`AuthorizedKeysFile "${other}" "${site.sshd.authorizedKeys}"`] })
      const { table } = assertExit(await site.setupSsh({ env: { SSH_KEY_FILE: file } }), 1)
      assert.match(table, /gives the key a shell: take the key out of the other files that AuthorizedKeysFile /)
    })
  })

  test('says so where the key may only read', async t => {
    const site = await startSite(t)
    const { file, publicKey } = await newKeyPair(site.folder)
    site.sshd.authorize(publicKey, `restrict,command="git-upload-pack '${site.repository}'"`)
    const { table } = assertExit(await site.setupSsh({ env: { SSH_KEY_FILE: file } }), 3)
    assert.match(
      table,
      /^authorized_keys +TO DO +.* has the key with other restrictions: put the line above in place of line 2 /m,
    )
  })

  test('points out a key that belongs to another repository, and does not change its line', async t => {
    const site = await startSite(t)
    assertExit(await site.setupSsh(), 0)
    const before = site.authorizedKeys()
    const second = join(site.sshd.folder, 'srv/second.git')
    await $`git init --quiet --bare ${second}`
    const { table } = assertExit(
      await site.setupSsh({
        env: { STAGING_REMOTE_REPO: site.url.replace('app.git', 'second.git'), SSH_KEY_FILE: site.deployKey },
      }),
      3,
    )
    assert.match(
      table,
      /^authorized_keys +TO DO +.* has the key with other restrictions: put the line above in place of line 2 of .*, or set SSH_KEY_FILE/m,
    )
    assert.equal(site.authorizedKeys(), before)
  })

  test('does not take a commented line for an authorized key', async t => {
    const site = await startSite(t)
    const { file, publicKey } = await newKeyPair(site.folder)
    appendFileSync(site.sshd.authorizedKeys, `# ${publicKey}\n`)
    assertExit(await site.setupSsh({ env: { SSH_KEY_FILE: file } }), 0)
  })
})
