import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { readFingerprints } from '../../scripts/lib/setup/host-keys.ts'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { startSite } from '../lib/setup-site.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

/** What may be in a file's place. */
const inPlaceOfAFile = {
  folder: [(path: string) => mkdirSync(path), /is a folder, not a file\.$/m],
  device: [(path: string) => symlinkSync('/dev/null', path), /is a device or a pipe, not a file\.$/m],
  link: [(path: string) => symlinkSync('nowhere/x', path), /is a symbolic link to a file that is not there\.$/m],
} as const

describe('setup-ssh says what to do', async () => {
  const site = await startSite({ after })
  const newFolder = () => mkdtempSync(join(site.folder, 'case-'))

  for (const [what, [make, says], names] of [
    ['a folder', inPlaceOfAFile.folder, ['known_hosts', 'config', 'pushlive.conf', 'key', 'key.pub', 'server.env']],
    ['a device', inPlaceOfAFile.device, ['known_hosts']],
    ['a dangling link', inPlaceOfAFile.link, ['known_hosts', 'key']],
  ] as const) {
    it(`where a file of its is ${what}`, async () => {
      for (const name of names) {
        const folder = newFolder()
        make(join(folder, name))
        const args = ['--ssh-dir', folder, ...(name === 'server.env' ? ['--hook', join(folder, name)] : [])]
        const { stderr } = assertExit(await site.setupSsh({ env: { SSH_KEY_FILE: join(folder, 'key') }, args }), 2)
        assert.match(stderr, says)
        assert.ok(stderr.startsWith(join(folder, name)), stderr)
      }
    })
  }

  it('where --print-secrets names a file', async () => {
    const file = join(newFolder(), 'file')
    writeFileSync(file, '')
    const { stdout, stderr } = assertExit(await site.setupSsh({ args: ['--print-secrets', file] }), 2)
    assert.equal(stdout, '')
    assert.match(
      stderr,
      /^\S+ is no folder, so no secret was written there\.\nTo do: name a folder that is not there yet$/m,
    )
  })

  it('where a program is missing', async () => {
    const bin = newFolder()
    await $`cd ${bin} && ln -s $(command -v bash sh ssh ssh-keygen) .`
    const { stderr } = assertExit(await site.setupSsh({ env: { PATH: bin } }), 2)
    assert.match(stderr, /^Not found on PATH: ssh-keyscan\.\nTo do: install .*openssh-client/)
    const nothing = assertExit(await site.setupSsh({ env: { PATH: newFolder() } }), 2)
    assert.match(nothing.stderr, /^Not found on PATH: bash, ssh, ssh-keygen, ssh-keyscan\./)
  })

  it('where the current directory was removed', async () => {
    const folder = newFolder()
    const env = { PATH: process.env.PATH, STAGING_REMOTE_REPO: site.url }
    const gone = $({ env, cwd: folder })
    for (const args of [[], ['--hook', 'server.env']]) {
      mkdirSync(folder, { recursive: true })
      const { stderr } = assertExit(await gone`rmdir ${folder} && exec ${program('setup-ssh')} ${args}`, 2)
      assert.match(stderr, /^The current directory is not there any more\.\nTo do: change to a directory/m)
    }
  })

  it('where HOST_FINGERPRINT is an MD5 one, or cut off', async () => {
    for (const [HOST_FINGERPRINT, says] of [
      ['MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48', /HOST_FINGERPRINT has an MD5 fingerprint/],
      ['2048 16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48 host (RSA)', /HOST_FINGERPRINT has an MD5 fingerprint/],
      [site.hostFingerprint.slice(0, -1), /HOST_FINGERPRINT has a fingerprint that is cut off or misspelt \(SHA256:/],
      ['none', /HOST_FINGERPRINT has no SHA256 fingerprint/],
    ] as const) {
      const { stderr } = assertExit(await site.setupSsh({ env: { HOST_FINGERPRINT } }), 2)
      assert.match(stderr, says)
    }
  })
})

describe('HOST_FINGERPRINT', () => {
  const [one, two] = [`SHA256:${'x'.repeat(43)}`, `SHA256:${'+/4'.repeat(14)}A`]
  for (const [what, text] of Object.entries({
    'with blanks between them': `${one} ${two}`,
    'with commas between them': `${one},${two}=`,
    'as ssh-keygen -l prints them': `256 ${one} root@host (ED25519)\n3072 ${two} no comment (RSA)\n`,
    'in quotes': `"256 ${one} root@host (ED25519)" '${two}'`,
  })) {
    it(`takes several fingerprints ${what}`, () => assert.deepEqual(readFingerprints(text), [one, two]))
  }
})
