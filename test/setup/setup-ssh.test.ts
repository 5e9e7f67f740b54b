import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { fingerprint } from '../../scripts/lib/ssh/key-blob.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { modeOf, type Site, snapshot, startSite } from '../lib/setup-site.ts'

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
    assert.match(result.stdout, /^TRYING KEY ALONE .*\nHANDING OUT SECRETS/m)

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

  test('changes nothing when it runs again', async t => {
    const site = await startSite(t, { hostKeyTypes: ['ed25519', 'ecdsa', 'rsa'] })
    const all = Object.values(site.sshd.hostPublicKeys).map(key => fingerprint(key.split(' ')[1] ?? ''))
    assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT: all.join(', ') } }), 0)
    const before = [snapshot(site.sshFolder), site.authorizedKeys()]
    // It reaches the server as the CI does, whatever git is configured to do here.
    const elsewhere = {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'url.ssh://x@127.0.0.1:1/.insteadOf',
      GIT_CONFIG_VALUE_0: 'ssh://',
    }
    for (const HOST_FINGERPRINT of ['', all.join(' ')]) {
      const { table, ...result } = await site.setupSsh({ env: { HOST_FINGERPRINT, ...elsewhere } })
      assertExit(result, 0)
      assert.deepEqual([snapshot(site.sshFolder), site.authorizedKeys()], before)
      assert.doesNotMatch(table, / created /)
      assert.match(table, /^host keys +ok +3 of 3 for /m)
      assert.match(table, /^authorized_keys +ok +/m)
    }
  })

  test("does not need the operator's access where the key is authorized already", async t => {
    const site = await startSite(t)
    assertExit(await site.setupSsh(), 0)
    const withoutOperator = site.authorizedKeys().split('\n').slice(1).join('\n')
    writeFileSync(site.sshd.authorizedKeys, withoutOperator)
    const { stdout, stderr } = assertExit(await site.setupSsh(), 0)
    assert.equal(site.authorizedKeys(), withoutOperator)
    assert.doesNotMatch(stdout + stderr, /Permission denied/, 'and it does not even try')
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
    const STAGING_REMOTE_REPO = `${site.url}/later`
    const { table, stdout } = assertExit(await site.setupSsh({ env: { STAGING_REMOTE_REPO } }), 0)
    assert.doesNotMatch(stdout, /fatal:/)
    assert.match(table, /^repository +TO DO +setup-ssh --hook SERVER_ENV/m)
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

  test('refuses a path with characters that a shell would interpret, before it does anything', async t => {
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

  test('says what to do for a user without an entry in /etc/passwd', async t => {
    const asNobody = ['setpriv', '--reuid', '54321', '--clear-groups']
    if (!(await $`${asNobody} ${program('setup-ssh')} --version`).ok) return t.skip('needs root')
    const env = { PATH: process.env.PATH, STAGING_REMOTE_REPO: 'user@127.0.0.1:/x' }
    const { stderr } = assertExit(await $({ env, cwd: '/' })`${asNobody} ${program('setup-ssh')}`, 2)
    assert.match(stderr, /^ssh does not work for a user who is not in \/etc\/passwd\.\nTo do: .* echo "me:x:54321:/)
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

function readHost(site: Site): string {
  return /^Host (.*)$/m.exec(site.read('pushlive.conf'))?.[1] ?? assert.fail()
}
