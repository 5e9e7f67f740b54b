import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fingerprint } from '../../scripts/lib/ssh/key-blob.ts'
import { assertExit } from '../lib/exit.ts'
import { modeOf, snapshot, startSite } from '../lib/setup-site.ts'

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

  test('stops where neither HOST_FINGERPRINT nor a user at a terminal confirms them', async t => {
    const site = await startSite(t)
    const before = snapshot(site.sshFolder)
    const { stderr } = assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT: '' } }), 2)
    assert.match(stderr, /^The host keys of \[127\.0\.0\.1\]:\d+ have not been confirmed\./)
    assert.ok(stderr.includes(site.hostFingerprint))
    assert.match(stderr, /To do: set HOST_FINGERPRINT /)
    assert.deepEqual(snapshot(site.sshFolder), before)
  })

  test('stops where no key has the fingerprint, even if the keys are known', async t => {
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

  test('stops at a key that differs from the known one, and shows both, whatever HOST_FINGERPRINT is', async t => {
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

  test('adds no key of another type that is not confirmed, and goes on with the known ones', async t => {
    const site = await startSite(t)
    assertExit(await site.setupSsh(), 0)
    await site.sshd.restart({ hostKeyTypes: ['ed25519', 'rsa'] })
    const result = assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT: '' } }), 0)
    assert.match(result.table, /^host keys +ok +1 of 2 for \S+ in /m)
    assert.doesNotMatch(site.read('known_hosts'), /ssh-rsa/)
  })

  test('asks at a terminal, and takes yes or a line with the fingerprint', async t => {
    for (const answer of ['yes', 'fingerprint'] as const) {
      const site = await startSite(t)
      const typed = answer === 'yes' ? 'yes' : `256 ${site.hostFingerprint} root@host (ED25519)`
      const { stdout } = assertExit(await site.setupSshAtTerminal(`${typed}\n`, { env: { HOST_FINGERPRINT: '' } }), 0)
      assert.match(stdout, /Are these the keys of the right server/)
      assert.equal(site.read('known_hosts'), site.sshd.knownHosts)
    }
  })

  test('writes nothing when the answer is anything else', async t => {
    const site = await startSite(t)
    const before = snapshot(site.sshFolder)
    for (const typed of ['no\n', '\n', 'y\n', `SHA256:${'x'.repeat(43)}\n`, 'SHA256:x\n', '\x04']) {
      const { stdout } = assertExit(await site.setupSshAtTerminal(typed, { env: { HOST_FINGERPRINT: '' } }), 2)
      assert.match(stdout, /The host keys were not confirmed, so nothing was written\./)
    }
    assert.deepEqual(snapshot(site.sshFolder), before)
  })

  test('appends to known_hosts and keeps its lines, even if the last newline is missing', async t => {
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
