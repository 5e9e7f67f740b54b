import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { mergeKnownHosts } from '../../scripts/lib/setup/host-keys.ts'
import { parseKnownHosts } from '../../scripts/lib/ssh/known-hosts.ts'
import { newKeyPair } from '../lib/sshd.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

const folder = mkdtempSync(join(tmpdir(), 'host-keys-'))
after(() => rmSync(folder, { recursive: true }))

const [ed25519, rsa, other] = await Promise.all(
  (['ed25519', 'rsa', 'ed25519'] as const).map(async type => {
    const { publicKey } = await newKeyPair(folder, type)
    return publicKey.split(' ').slice(0, 2).join(' ')
  }),
)

async function hash(text: string): Promise<string> {
  const file = join(folder, 'known_hosts')
  writeFileSync(file, text)
  await $`ssh-keygen -H -f ${file}`
  return readFileSync(file, 'utf8')
}
describe('mergeKnownHosts', () => {
  const offer = (hosts: string, key = '') => parseKnownHosts(`${hosts} ${key}`)

  test('appends new lines, and first a newline where the file lacks its last one', () => {
    assert.equal(mergeKnownHosts('', offer('host', ed25519)).appended, `host ${ed25519}\n`)
    assert.equal(mergeKnownHosts('a b', offer('host', ed25519)).appended, `\nhost ${ed25519}\n`)
    assert.equal(mergeKnownHosts('# a\n', offer('host', ed25519)).appended, `host ${ed25519}\n`)
  })

  test('appends nothing the second time, hashed or not', async () => {
    const offers = [...offer('[host]:2222', ed25519), ...offer('[host]:2222', rsa)]
    const { appended } = mergeKnownHosts('', offers)
    for (const known of [appended, await hash(appended), appended.replaceAll('\n', '\r\n'), appended.trimEnd()]) {
      assert.deepEqual(mergeKnownHosts(known, offers), { appended: '', added: [], conflicts: [] })
    }
  })

  test('adds a key once that is offered twice', () => {
    const offers = [...offer('host', ed25519), ...offer('host', ed25519)]
    assert.equal(mergeKnownHosts('', offers).appended, `host ${ed25519}\n`)
  })

  test('adds another type, another port and another host beside what is known', () => {
    const known = `host ${ed25519}\n`
    for (const offers of [offer('host', rsa), offer('[host]:2222', other), offer('elsewhere', other)]) {
      const { added, conflicts } = mergeKnownHosts(known, offers)
      assert.deepEqual({ added, conflicts }, { added: offers, conflicts: [] })
    }
  })

  test('reports a different key of a known type and adds nothing for it', async () => {
    for (const known of [`host ${other}\n`, await hash(`host ${other}\n`), `h*t ${other}`]) {
      const { appended, conflicts } = mergeKnownHosts(known, [...offer('host', ed25519), ...offer('host', rsa)])
      assert.equal(appended.trimStart(), `host ${rsa}\n`)
      assert.deepEqual(
        conflicts.map(({ known, offered }) => [known.blob, offered.blob]),
        [[other?.split(' ')[1], ed25519?.split(' ')[1]]],
      )
    }
  })

  test('sees no conflict where one of several known keys matches', () => {
    const known = `host ${other}\nhost ${ed25519}\n`
    assert.deepEqual(mergeKnownHosts(known, offer('host', ed25519)), { appended: '', added: [], conflicts: [] })
  })

  test('reports a revoked key, even if it is known', () => {
    for (const known of [`@revoked * ${ed25519}\n`, `host ${ed25519}\n@revoked * ${ed25519}\n`]) {
      const { appended, conflicts } = mergeKnownHosts(known, offer('host', ed25519))
      assert.equal(appended, '')
      assert.equal(conflicts.length, 1)
    }
  })

  test('does not take a certificate authority for a host key', () => {
    const { added, conflicts } = mergeKnownHosts(`@cert-authority host ${other}\n`, offer('host', ed25519))
    assert.deepEqual([added.length, conflicts.length], [1, 0])
  })
})
