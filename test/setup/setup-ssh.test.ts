import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { fingerprint } from '../../scripts/lib/ssh/key-blob.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { modeOf, type Site, snapshot, startSite } from '../lib/setup-site.ts'
import { newKeyPair } from '../lib/sshd.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

describe('setup-ssh', { concurrency: 4 }, () => {
  test('lets a key push to the repository, and to nothing else', async t => {
    const site = await startSite(t)
    const { table, ...result } = await site.setupSsh()
    assertExit(result, 0)
    assert.equal(result.stderr, '')
    assert.match(table, /^host keys +created +1 of 1 for \S+ in /m)
    assert.match(table, /^deploy key +created +/m)
    assert.match(table, /^ssh configuration +created +Host pushlive-127\.0\.0\.1-app /m)
    assert.match(table, /^authorized_keys +created +.* lets it push to this repository, and refuses a shell$/m)
    assert.match(table, /^secrets of the CI +TO DO +/m)
    assert.match(result.stdout, /^TRYING KEY ALONE .*\n +This key may only push to \/.*\/srv\/app\.git$/m)

    assert.equal(site.read('known_hosts'), site.sshd.knownHosts)
    const publicKey = site.read('pushlive-127.0.0.1-app.pub')
    assert.match(publicKey, /^ssh-ed25519 \S+ pushlive ssh:\/\/\S+\/srv\/app\.git \d{4}-\d\d-\d\d\n$/)
    assert.equal(modeOf(site.deployKey), 0o600)
    assertExit(await $`ssh-keygen -y -P '' -f ${site.deployKey}`, 0)
    assert.equal(modeOf(site.in('pushlive.conf')), 0o600)

    const environment = { ...process.env, GIT_SSH_COMMAND: `ssh -F ${site.in('pushlive.conf')}` }
    const clone = join(site.folder, 'clone')
    const $$ = $({ env: environment })
    await $$`git init --quiet ${clone}`
    await $$`git -C ${clone} -c user.name=x -c user.email=x commit --quiet --allow-empty -m first`
    assertExit(await $$`git -C ${clone} push ${`ssh://${site.alias}${site.repository}`} HEAD:refs/heads/main`, 0)

    await $`git init --quiet --bare ${join(site.sshd.folder, 'srv/other.git')}`
    const other = assertExit(await $$`git ls-remote ${`ssh://${site.alias}${site.sshd.folder}/srv/other.git`}`, 128)
    assert.match(other.stderr, /This key may only push to .*\/srv\/app\.git/)
    for (const command of [
      '',
      'id',
      `git-receive-pack '${site.repository}'; id`,
      `git-receive-pack '${site.repository}/../other.git'`,
      `git-receive-pack ${site.repository}`,
      `git-upload-archive '${site.repository}'`,
      '$(id)',
    ]) {
      const { stdout, stderr } = assertExit(await site.withDeployKey(...(command ? [command] : [])), 126, command)
      assert.equal(stdout, '')
      assert.match(stderr, /This key may only push to /)
    }
    const config = site.in('pushlive.conf')
    const target = join(site.folder, 'stolen')
    for (const attempt of [
      $`scp -F ${config} ${`${site.alias}:${site.sshd.authorizedKeys}`} ${target}`,
      $`scp -O -F ${config} ${`${site.alias}:${site.sshd.authorizedKeys}`} ${target}`,
      $`sftp -b /dev/null -F ${config} ${site.alias}`,
      $`ssh -F ${config} -W ${`127.0.0.1:${site.sshd.port}`} ${site.alias}`,
      $`ssh -F ${config} -o ExitOnForwardFailure=yes -R 0:127.0.0.1:${site.sshd.port} ${site.alias} id`,
    ]) {
      assertFails(await attempt)
    }
    assert.ok(!existsSync(target))
  })

  test('finds everything there when it runs again, and changes nothing', async t => {
    const site = await startSite(t, { hostKeyTypes: ['ed25519', 'ecdsa', 'rsa'] })
    const all = Object.values(site.sshd.hostPublicKeys).map(key => fingerprint(key.split(' ')[1] ?? ''))
    assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT: all.join(', ') } }), 0)
    const before = [snapshot(site.sshFolder), site.authorizedKeys()]
    for (const HOST_FINGERPRINT of ['', all.join(' ')]) {
      const { table, ...result } = await site.setupSsh({ env: { HOST_FINGERPRINT } })
      assertExit(result, 0)
      assert.deepEqual([snapshot(site.sshFolder), site.authorizedKeys()], before)
      assert.doesNotMatch(table, / created /)
      assert.match(table, /^host keys +ok +3 of 3 for /m)
      assert.match(table, /^authorized_keys +ok +/m)
    }
  })

  test('needs no access of the operator when the key is authorized already', async t => {
    const site = await startSite(t)
    assertExit(await site.setupSsh(), 0)
    const withoutOperator = site.authorizedKeys().split('\n').slice(1).join('\n')
    writeFileSync(site.sshd.authorizedKeys, withoutOperator)
    assertExit(await site.setupSsh(), 0)
    assert.equal(site.authorizedKeys(), withoutOperator)
  })

  test("leaves the operator's own access to the server as it was", async t => {
    const site = await startSite(t)
    assertExit(await site.setupSsh(), 0)
    const own =
      await $`ssh -F ${site.config} -o ${`UserKnownHostsFile=${site.in('known_hosts')}`} -p ${site.sshd.port} ${`${site.sshd.user}@127.0.0.1`} echo a shell`
    assert.equal(own.stdout, 'a shell\n', own.stderr)
  })

  test('says that a path on this machine needs no ssh', async t => {
    const site = await startSite(t)
    const before = snapshot(site.sshFolder)
    const { stdout } = assertExit(await site.setupSsh({ env: { STAGING_REMOTE_REPO: site.repository } }), 0)
    assert.match(stdout, /is a path on this machine: no ssh is needed\.\n$/)
    assert.deepEqual(snapshot(site.sshFolder), before)
  })

  test('says what to do about a repository that is not there yet', async t => {
    const site = await startSite(t)
    const { table } = assertExit(await site.setupSsh({ env: { STAGING_REMOTE_REPO: `${site.url}/later` } }), 0)
    assert.match(table, /^repository +TO DO +make install-hook/m)
  })

  test('points out a port that git takes for a folder', async t => {
    const site = await startSite(t)
    const { stdout } = assertExit(
      await site.setupSsh({ env: { STAGING_REMOTE_REPO: 'user@localhost.invalid:2222/x' } }),
      3,
    )
    assert.match(stdout, /2222 looks like a port, .*: write ssh:\/\/user@localhost\.invalid:2222\/x/)
  })

  test('names all wrong settings at once', async t => {
    const site = await startSite(t)
    const env = {
      STAGING_REMOTE_REPO: 'https://x/y',
      HOST_FINGERPRINT: 'MD5:00',
      SSH_KEY_TYPE: 'dsa',
      SSH_KEY_FILE: 'a"b',
    }
    const { stderr } = assertExit(await site.setupSsh({ env }), 2)
    for (const name of Object.keys(env)) assert.match(stderr, new RegExp(`^ +${name} `, 'm'))
    const { stderr: withoutUser } = await site.setupSsh({ env: { STAGING_REMOTE_REPO: 'host:/x.git' } })
    assert.match(withoutUser, /STAGING_REMOTE_REPO names no user/)
    const { stderr: withoutAnything } = await site.setupSsh({ env: { STAGING_REMOTE_REPO: '' } })
    assert.match(withoutAnything, /STAGING_REMOTE_REPO is missing/)
  })

  test('refuses a path that means more to a shell than it says, before it does anything', async t => {
    const site = await startSite(t)
    const before = snapshot(site.sshFolder)
    for (const path of ["/it's", '/$(id)', '/`id`', '/a"b', '/a\\b', '/a!']) {
      const { stderr } = assertExit(await site.setupSsh({ env: { STAGING_REMOTE_REPO: `user@127.0.0.1:${path}` } }), 2)
      assert.match(stderr, /cannot be used in authorized_keys/)
    }
    assert.deepEqual(snapshot(site.sshFolder), before)
  })

  test('takes a path with blanks, brackets, commas and stars as it is', async t => {
    const site = await startSite(t, { path: 'srv/my *app*, [new] & ü;.git' })
    assertExit(await site.setupSsh(), 0)
    await $`git init --quiet --bare ${join(site.sshd.folder, 'srv/my other, [new] & ü;.git')}`
    const sameToAGlob = `git-upload-pack '${site.repository.replaceAll('*', 'other')}'`
    assertExit(await $`ssh -F ${site.in('pushlive.conf')} ${readHost(site)} ${sameToAGlob}`, 126)
  })

  test('says what to do for a user whom ssh does not know', async t => {
    const asNobody = ['setpriv', '--reuid', '54321', '--clear-groups']
    if (!(await $`${asNobody} ${program('setup-ssh')} --version`).ok) return t.skip('needs root')
    const env = { PATH: process.env.PATH, STAGING_REMOTE_REPO: 'user@127.0.0.1:/x' }
    const { stderr } = assertExit(await $({ env, cwd: '/' })`${asNobody} ${program('setup-ssh')}`, 2)
    assert.match(stderr, /^ssh does not work for a user who is not in \/etc\/passwd\./)
  })

  test('knows its options', async t => {
    const site = await startSite(t)
    assert.match((await site.setupSsh({ args: ['--help'] })).stdout, /^Usage: setup-ssh /)
    assert.match((await site.setupSsh({ args: ['--version'] })).stdout, /^pushlive setup-ssh /)
    for (const args of [['--yes'], ['--github', 'no slash'], ['extra']]) {
      const { stderr } = assertExit(await site.setupSsh({ args }), 2)
      assert.match(stderr, /setup-ssh --help/)
    }
  })
})

describe('setup-ssh and the host keys', { concurrency: 4 }, () => {
  test('takes only the keys that have a fingerprint of HOST_FINGERPRINT', async t => {
    const site = await startSite(t, { hostKeyTypes: ['ed25519', 'ecdsa', 'rsa'] })
    const { ed25519 = '', rsa = '' } = site.sshd.hostPublicKeys
    const print = (key: string) => fingerprint(key.split(' ')[1] ?? '')
    const result = assertExit(
      await site.setupSsh({ env: { HOST_FINGERPRINT: `${print(ed25519)}, ${print(rsa)}=` } }),
      0,
    )
    const name = `[127.0.0.1]:${site.sshd.port}`
    const lines = site.read('known_hosts').trim().split('\n').sort()
    assert.deepEqual(lines, [`${name} ${ed25519}`, `${name} ${rsa}`])
    assert.match(result.table, /^host keys +created +2 of 3 for \S+ in /m)
    assert.match(result.stdout, /SHA256:\S+ {2}ECDSA\n/)
  })

  test('stops where neither HOST_FINGERPRINT nor anybody at a terminal vouches for them', async t => {
    const site = await startSite(t)
    const before = snapshot(site.sshFolder)
    const { stderr } = assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT: '' } }), 2)
    assert.match(stderr, /^The host keys of \[127\.0\.0\.1\]:\d+ have not been confirmed\./)
    assert.ok(stderr.includes(site.hostFingerprint))
    assert.match(stderr, /To do: set HOST_FINGERPRINT /)
    assert.deepEqual(snapshot(site.sshFolder), before)
  })

  test('stops where no key has the fingerprint, also where the keys are known', async t => {
    const site = await startSite(t)
    const HOST_FINGERPRINT = `SHA256:${'x'.repeat(43)}`
    for (const known of ['', site.sshd.knownHosts]) {
      writeFileSync(site.in('known_hosts'), known)
      const { stderr } = assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT } }), 3)
      assert.ok(stderr.includes(HOST_FINGERPRINT) && stderr.includes(site.hostFingerprint))
      assert.equal(site.read('known_hosts'), known)
      assert.ok(!existsSync(site.deployKey))
    }
  })

  test('stops at a key that is not the known one, with both fingerprints, and whatever HOST_FINGERPRINT says', async t => {
    const site = await startSite(t)
    assertExit(await site.setupSsh(), 0)
    await site.sshd.changeHostKeys()
    const before = snapshot(site.sshFolder)
    const offered = fingerprint(site.sshd.hostPublicKeys.ed25519?.split(' ')[1] ?? '')
    const { stderr } = assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT: offered } }), 3)
    assert.match(stderr, /^\[127\.0\.0\.1\]:\d+ shows another host key than the one that is known/)
    assert.match(stderr, new RegExp(`known +${site.hostFingerprint.replaceAll('+', '\\+')}`))
    assert.match(stderr, new RegExp(`offered +${offered.replaceAll('+', '\\+')}`))
    assert.deepEqual(snapshot(site.sshFolder), before)
  })

  test('goes by the known types where nobody vouches for a further one', async t => {
    const site = await startSite(t)
    assertExit(await site.setupSsh(), 0)
    await site.sshd.restart({ hostKeyTypes: ['ed25519', 'rsa'] })
    const result = assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT: '' } }), 0)
    assert.match(result.table, /^host keys +ok +1 of 2 for \S+ in /m)
    assert.doesNotMatch(site.read('known_hosts'), /ssh-rsa/)
  })

  test('asks at a terminal, and takes yes or the fingerprint', async t => {
    for (const answer of ['yes', 'fingerprint'] as const) {
      const site = await startSite(t)
      const typed = answer === 'yes' ? 'yes' : site.hostFingerprint
      const { stdout } = assertExit(await site.setupSshAtTerminal(`${typed}\n`, { env: { HOST_FINGERPRINT: '' } }), 0)
      assert.match(stdout, /Are these the keys of the right server/)
      assert.equal(site.read('known_hosts'), site.sshd.knownHosts)
    }
  })

  test('writes nothing when the answer is anything else', async t => {
    const site = await startSite(t)
    const before = snapshot(site.sshFolder)
    for (const typed of ['no\n', '\n', 'y\n', `SHA256:${'x'.repeat(43)}\n`, '\x04']) {
      const { stdout } = assertExit(await site.setupSshAtTerminal(typed, { env: { HOST_FINGERPRINT: '' } }), 2)
      assert.match(stdout, /The host keys were not confirmed, so nothing was written\./)
    }
    assert.deepEqual(snapshot(site.sshFolder), before)
  })

  test('appends to known_hosts and keeps what is there, also where its last newline is missing', async t => {
    const site = await startSite(t)
    const strange = '# mine\r\n|1|x|y ssh-rsa AAAA\nhost ssh-ed25519 AAAAC3'
    writeFileSync(site.in('known_hosts'), strange, { mode: 0o640 })
    assertExit(await site.setupSsh(), 0)
    assert.equal(site.read('known_hosts'), `${strange}\n${site.sshd.knownHosts}`)
    assert.equal(modeOf(site.in('known_hosts')), 0o640)
  })

  test('says what to check where no ssh server answers', async t => {
    const site = await startSite(t)
    await site.sshd.stop()
    const { stderr } = assertExit(await site.setupSsh(), 3)
    assert.match(stderr, /^No ssh server answers as \[127\.0\.0\.1\]:\d+\./)
  })
})

describe('setup-ssh and the deploy key', { concurrency: 4 }, () => {
  test('keeps a key that is there, and makes it private', async t => {
    const site = await startSite(t)
    const { file, privateKey, publicKey } = await newKeyPair(site.folder, 'ecdsa')
    chmodSync(file, 0o644)
    const { table, ...result } = await site.setupSsh({ env: { SSH_KEY_FILE: file } })
    assertExit(result, 0)
    assert.match(table, /^deploy key +ok +/m)
    assert.equal(readFileSync(file, 'utf8'), privateKey)
    assert.equal(readFileSync(`${file}.pub`, 'utf8').trim(), publicKey)
    assert.equal(modeOf(file), 0o600)
  })

  for (const [SSH_KEY_TYPE, found] of [
    ['', 'ssh-ed25519'],
    ['ed25519', 'ssh-ed25519'],
    ['ecdsa', 'ecdsa-sha2-nistp256'],
    ['rsa', 'ssh-rsa'],
  ] as const) {
    test(`creates one of ${SSH_KEY_TYPE || 'ed25519, where no type is set'}, which the server accepts`, async t => {
      const site = await startSite(t)
      assertExit(await site.setupSsh({ env: { SSH_KEY_TYPE, SSH_KEY_FILE: join(site.folder, 'my key') } }), 0)
      assert.match(readFileSync(join(site.folder, 'my key.pub'), 'utf8'), new RegExp(`^${found} `))
    })
  }

  test('brings back a missing .pub', async t => {
    const site = await startSite(t)
    const { file, publicKey } = await newKeyPair(site.folder)
    rmSync(`${file}.pub`)
    assertExit(await site.setupSsh({ env: { SSH_KEY_FILE: file } }), 0)
    assert.equal(readFileSync(`${file}.pub`, 'utf8').trim(), publicKey)
  })

  const refuses = async (site: Site, file: string, expected: RegExp) => {
    const contents = () =>
      [file, `${file}.pub`].map(name => (existsSync(name) ? readFileSync(name, 'utf8') : undefined))
    const before = [contents(), site.authorizedKeys()]
    const { stderr } = assertExit(await site.setupSsh({ env: { SSH_KEY_FILE: file } }), 2)
    assert.match(stderr, expected)
    assert.deepEqual([contents(), site.authorizedKeys()], before)
  }

  test('stops at a key that does not serve, and leaves it alone', async t => {
    const site = await startSite(t)
    const encrypted = await newKeyPair(site.folder, 'ed25519', { passphrase: 'correct horse' })
    await refuses(site, encrypted.file, /^\S+ has a passphrase/)

    const [one, two] = [await newKeyPair(site.folder), await newKeyPair(site.folder)]
    renameSync(`${two.file}.pub`, `${one.file}.pub`)
    await refuses(site, one.file, /\.pub does not belong to /)

    const orphan = await newKeyPair(site.folder)
    rmSync(orphan.file)
    await refuses(site, orphan.file, /There is \S+\.pub, but not the private key/)

    const empty = join(site.folder, 'empty')
    writeFileSync(empty, '')
    await refuses(site, empty, /^\S+ is empty/)

    await refuses(site, join(site.folder, 'no/such/folder/key'), /^\S+ cannot be made\./)
  })
})

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
    test(`keeps one with ${how} byte for byte, apart from one line`, async t => {
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

  test('removes the copy of it that a killed run has left', async t => {
    const site = await startSite(t)
    const killed = await $`echo $$`
    const left = `config.pushlive-${killed.stdout.trim()}`
    writeFileSync(site.in(left), site.configText, { mode: 0o600 })
    assertExit(await site.setupSsh(), 0)
    assert.equal(existsSync(site.in(left)), false)
    assert.ok(site.read('config').endsWith(site.configText))
  })

  test('makes one (600) where there is none', async t => {
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

  test('is content with an Include line of any form', async t => {
    const site = await startSite(t)
    const text = `# mine\n  include=${site.sshFolder}/*.conf\n${site.configText}`
    writeFileSync(site.config, text)
    assertExit(await site.setupSsh(), 0)
    assert.equal(readFileSync(site.config, 'utf8'), text)
  })

  test('adds one where another line would come first', async t => {
    const site = await startSite(t)
    const text = `Port 22\nInclude ${site.sshFolder}/*.conf\n${site.configText}`
    writeFileSync(site.config, text)
    assertExit(await site.setupSsh(), 0)
    assert.equal(readFileSync(site.config, 'utf8'), includeLine(site) + text)
  })

  test('leaves one that ssh does not accept as it is, and shows why', async t => {
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

  test('has an entry for each repository, and stops at a file that is not its own', async t => {
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

describe('setup-ssh and authorized_keys', { concurrency: 4 }, () => {
  test('adds its line behind one that lacks its newline, once', async t => {
    const site = await startSite(t)
    const before = site.authorizedKeys().trimEnd()
    writeFileSync(site.sshd.authorizedKeys, before, { mode: 0o666 })
    chmodSync(site.sshd.authorizedKeys, 0o666)
    const { stdout } = assertExit(await site.setupSsh(), 0)
    const added = site.authorizedKeys().slice(before.length)
    assert.match(added, /^\nrestrict,command="exec sh .* ssh-ed25519 \S+ pushlive .*\n$/)
    assert.ok(stdout.includes(added.trim()))
    assert.equal(modeOf(site.sshd.authorizedKeys), 0o600)
  })

  test('makes the file (600) and its folder (700) where there are none', async t => {
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

  test('is not misled by what a login shell prints', async t => {
    const site = await startSite(t)
    writeFileSync(join(site.sshd.home, '.bashrc'), 'test -n "$SSH_ORIGINAL_COMMAND" || echo Welcome\n')
    const result = assertExit(await site.setupSsh(), 0)
    assert.match(result.table, /^authorized_keys +created +/m)
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

  test('points out a key that may do more than push', async t => {
    const site = await startSite(t)
    const { file, publicKey } = await newKeyPair(site.folder)
    site.sshd.authorize(publicKey)
    const before = site.authorizedKeys()
    const { table } = assertExit(await site.setupSsh({ env: { SSH_KEY_FILE: file } }), 0)
    assert.match(table, /^authorized_keys +TO DO +.* gives the key a shell: put the line above in place of its own$/m)
    assert.equal(site.authorizedKeys(), before)
  })

  test('points out a key that is there for another repository, and does not touch its line', async t => {
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
      /^authorized_keys +TO DO +.* has another line for this key: put the one above in its place, or set SSH_KEY_FILE/m,
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

describe('setup-ssh and the secrets of the CI', { concurrency: 4 }, () => {
  /** Records what it is called with: gh itself would need GitHub. */
  function installGh(site: Site, exitCode = 0) {
    const folder = mkdtempSync(join(site.folder, 'bin-'))
    const lines = [
      '#!/bin/sh',
      `printf '%s\\n' "$*" >> '${folder}/arguments'`,
      `cat > '${folder}/stdin'-"$3"`,
      `test ${exitCode} = 0 || echo 'HTTP 403: no' >&2`,
      `exit ${exitCode}`,
    ]
    writeFileSync(join(folder, 'gh'), `${lines.join('\n')}\n`, { mode: 0o755 })
    return { folder, PATH: `${folder}${delimiter}${process.env.PATH}` }
  }

  test('prints what to store under which name, and never the key', async t => {
    const site = await startSite(t)
    const { stdout, stderr } = await site.setupSsh()
    assert.match(stdout, new RegExp(`^ {2}STAGING_REMOTE_REPO\\n {4}${site.url}\\n`, 'm'))
    assert.ok(stdout.includes(`  KNOWN_DEPLOYMENT_HOSTS\n    ${site.sshd.knownHosts}`))
    assert.ok(stdout.includes(`    gh secret set SSH_DEPLOYMENT_KEY -R OWNER/REPO < ${site.deployKey}\n`))
    for (const line of keyLines(readFileSync(site.deployKey, 'utf8'))) assert.ok(!(stdout + stderr).includes(line))
  })

  test('stores them through gh, whose arguments hold none of them', async t => {
    const site = await startSite(t)
    const { folder, PATH } = installGh(site)
    const { table, ...result } = await site.setupSsh({ env: { PATH }, args: ['--github', 'seita/flexmeasures'] })
    assertExit(result, 0)
    assert.match(table, /^secrets of the CI +created +seita\/flexmeasures$/m)
    const names = ['STAGING_REMOTE_REPO', 'KNOWN_DEPLOYMENT_HOSTS', 'SSH_DEPLOYMENT_KEY']
    const calls = readFileSync(join(folder, 'arguments'), 'utf8')
    const kinds = ['variable', 'variable', 'secret']
    assert.equal(calls, names.map((name, i) => `${kinds[i]} set ${name} -R seita/flexmeasures\n`).join(''))
    const stored = names.map(name => readFileSync(join(folder, `stdin-${name}`), 'utf8'))
    assert.deepEqual(stored, [site.url, site.sshd.knownHosts, readFileSync(site.deployKey, 'utf8')])
    for (const line of keyLines(stored[2] ?? '')) assert.ok(!result.stdout.includes(line))
  })

  test('says what is left to do where gh refuses or is missing', async t => {
    const site = await startSite(t)
    const refused = assertExit(
      await site.setupSsh({ env: { PATH: installGh(site, 1).PATH }, args: ['--github', 'a/b'] }),
      1,
    )
    assert.match(refused.stdout, /gh variable set STAGING_REMOTE_REPO: HTTP 403: no/)
    assert.match(refused.table, /^secrets of the CI +TO DO/m)

    const PATH = join(site.folder, 'bin without gh')
    mkdirSync(PATH)
    for (const name of ['bash', 'sh', 'git', 'ssh', 'ssh-keygen', 'ssh-keyscan']) {
      symlinkSync((await $`command -v ${name}`).stdout.trim(), join(PATH, name))
    }
    const missing = assertExit(await site.setupSsh({ env: { PATH }, args: ['--github', 'a/b'] }), 1)
    assert.equal(missing.stderr, '')
    assert.match(missing.stdout, /gh is not installed/)
  })

  test('writes them to private files', async t => {
    const site = await startSite(t)
    const folder = join(site.folder, 'new', 'secrets')
    for (let run = 0; run < 2; run++) {
      const { table, ...result } = await site.setupSsh({ args: ['--print-secrets', folder] })
      assertExit(result, 0)
      assert.match(table, /^secrets in files +created +.*: delete it once they are stored$/m)
      assert.equal(modeOf(folder), 0o700)
      assert.deepEqual(snapshot(folder), [
        ['KNOWN_DEPLOYMENT_HOSTS', 0o600, site.sshd.knownHosts],
        ['SSH_DEPLOYMENT_KEY', 0o600, readFileSync(site.deployKey, 'utf8')],
        ['STAGING_REMOTE_REPO', 0o600, site.url],
      ])
    }
  })

  test('writes them neither where others may look nor over other files', async t => {
    const site = await startSite(t)
    const open = join(site.folder, 'open')
    mkdirSync(open, { mode: 0o755 })
    const shared = assertExit(await site.setupSsh({ args: ['--print-secrets', open] }), 2)
    assert.match(shared.stderr, /Others may look into /)
    assert.deepEqual(readdirSync(open), [])

    const taken = join(site.folder, 'taken')
    mkdirSync(taken, { mode: 0o700 })
    writeFileSync(join(taken, 'STAGING_REMOTE_REPO'), 'mine')
    const { stderr } = assertExit(await site.setupSsh({ args: ['--print-secrets', taken] }), 2)
    assert.match(stderr, /is there already, with another content/)
    assert.equal(readFileSync(join(taken, 'STAGING_REMOTE_REPO'), 'utf8'), 'mine')
  })
})

function keyLines(privateKey: string): string[] {
  return privateKey.trim().split('\n').slice(1, -1)
}

function readHost(site: Site): string {
  return /^Host (.*)$/m.exec(site.read('pushlive.conf'))?.[1] ?? assert.fail()
}
