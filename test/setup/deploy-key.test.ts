import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { modeOf, type Site, startSite } from '../lib/setup-site.ts'
import { newKeyPair } from '../lib/sshd.ts'

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

  test('creates a missing .pub again', async t => {
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

  test('stops at a key that cannot be used, and does not change it', async t => {
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
