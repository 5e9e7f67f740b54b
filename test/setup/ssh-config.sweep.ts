import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { modeOf, type Site, startSite } from '../lib/setup-site.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

describe('setup-ssh and the ssh configuration', { concurrency: 4 }, () => {
  const includeLine = (site: Site) => `Include "${site.in('pushlive.conf')}"\n`

  for (const [how, text] of Object.entries({
    'comments behind values': 'Host a b # both\n  Port 22 # the usual one\n',
    'CRLF and tabs': 'Host a\r\n\tHostName\t=\tb\r\n\r\n',
    'no last newline': 'ServerAliveInterval 15',
    'odd quotes and blanks': 'Host "a"   b\n   IdentityFile   "~/my  keys/\\"x\\""\n',
    'Match, Include and duplicates':
      'Include nothing-there/*\nMatch host a\n  User x\nHost a\nHost a\n  User y\nHost *\n  User z\n',
    'other encodings': Buffer.from([0x23, 0xff, 0xe4, 0x0a]).toString('latin1'),
    nothing: '',
  })) {
    test(`keeps a file with ${how} byte for byte, apart from one line`, async t => {
      const site = await startSite(t)
      const bytes = Buffer.concat([Buffer.from(text, 'latin1'), Buffer.from(`\n${site.configText}`)])
      writeFileSync(site.config, bytes)
      chmodSync(site.config, 0o640)
      for (let run = 0; run < 2; run++) {
        assertExit(await site.setupSsh(), 0)
        assert.deepEqual(readFileSync(site.config), Buffer.concat([Buffer.from(includeLine(site)), bytes]))
        assert.equal(modeOf(site.config), 0o640)
      }
      const { stdout } = await $`ssh -G -F ${site.config} ${site.alias}`
      assert.match(stdout, new RegExp(`^identityfile ${site.deployKey}$`, 'm'))
    })
  }

  test('removes the copy that a killed run has left', async t => {
    const site = await startSite(t)
    const killed = await $`echo $$`
    const left = `config.pushlive-${killed.stdout.trim()}`
    writeFileSync(site.in(left), site.configText, { mode: 0o600 })
    assertExit(await site.setupSsh(), 0)
    assert.equal(existsSync(site.in(left)), false)
    assert.ok(site.read('config').endsWith(site.configText))
  })

  test('creates the file (600) where there is none', async t => {
    const site = await startSite(t)
    rmSync(site.config)
    await site.setupSsh()
    assert.equal(readFileSync(site.config, 'utf8'), includeLine(site))
    assert.equal(modeOf(site.config), 0o600)
  })

  test('writes through a symbolic link', async t => {
    const site = await startSite(t)
    const dotfile = join(site.folder, 'dotfiles config')
    renameSync(site.config, dotfile)
    symlinkSync(dotfile, site.config)
    assertExit(await site.setupSsh(), 0)
    assert.ok(lstatSync(site.config).isSymbolicLink())
    assert.equal(realpathSync(site.config), dotfile)
    assert.equal(readFileSync(dotfile, 'utf8'), includeLine(site) + site.configText)

    rmSync(dotfile)
    const { stderr } = assertExit(await site.setupSsh(), 2)
    assert.match(stderr, /is a symbolic link to a file that is not there/)
  })

  test('accepts an existing Include line in any form', async t => {
    const site = await startSite(t)
    const text = `# mine\n  include=${site.sshFolder}/*.conf\n${site.configText}`
    writeFileSync(site.config, text)
    assertExit(await site.setupSsh(), 0)
    assert.equal(readFileSync(site.config, 'utf8'), text)
  })

  test('adds an Include line where the existing one is not the first line', async t => {
    const site = await startSite(t)
    const text = `Port 22\nInclude ${site.sshFolder}/*.conf\n${site.configText}`
    writeFileSync(site.config, text)
    assertExit(await site.setupSsh(), 0)
    assert.equal(readFileSync(site.config, 'utf8'), includeLine(site) + text)
  })

  test('leaves a file that ssh does not accept as it is, and shows the reason', async t => {
    const site = await startSite(t)
    writeFileSync(site.config, 'Hst a\n')
    const { stderr } = assertExit(await site.setupSsh(), 2)
    assert.match(stderr, /^ssh does not accept .*config .*\n +\S+config: line 2: Bad configuration option: hst/)
    assert.equal(readFileSync(site.config, 'utf8'), 'Hst a\n')
    assert.deepEqual(
      readdirSync(site.sshFolder).filter(name => name.startsWith('config')),
      ['config'],
    )
  })

  test('writes an entry for each repository, and stops at a file that it did not write', async t => {
    const site = await startSite(t)
    const second = join(site.sshd.folder, 'srv/second.git')
    await $`git init --quiet --bare ${second}`
    assertExit(await site.setupSsh(), 0)
    assertExit(await site.setupSsh({ env: { STAGING_REMOTE_REPO: site.url.replace('app.git', 'second.git') } }), 0)
    const entries = site.read('pushlive.conf')
    assert.deepEqual(
      [...entries.matchAll(/^Host (.*)$/gm)].map(([, host]) => host),
      ['pushlive-127.0.0.1-app', 'pushlive-127.0.0.1-second'],
    )
    assertExit(await site.setupSsh(), 0)
    assert.equal(site.read('pushlive.conf'), entries)
    assert.equal(site.authorizedKeys().trim().split('\n').length, 3)

    for (const strange of ['Host x\n', `${entries}Host x # y\n`]) {
      writeFileSync(site.in('pushlive.conf'), strange)
      const { stderr } = assertExit(await site.setupSsh(), 2)
      assert.match(stderr, /pushlive\.conf is not as setup-ssh left it/)
      assert.equal(site.read('pushlive.conf'), strange)
    }
  })
})
