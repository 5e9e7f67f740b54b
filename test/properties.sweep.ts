import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { mergeKnownHosts } from '../scripts/lib/setup/host-keys.ts'
import { Failure } from '../scripts/lib/shared/program.ts'
import { readEnvFile, readSettings } from '../scripts/lib/shared/settings.ts'
import { sshString } from '../scripts/lib/ssh/key-blob.ts'
import { formatKnownHost, isEntryFor, normalizeKnownHosts, parseKnownHosts } from '../scripts/lib/ssh/known-hosts.ts'
import { normalizePrivateKey } from '../scripts/lib/ssh/private-key.ts'
import { knownHostsName, parseRemote, portHint, type Remote } from '../scripts/lib/ssh/remote.ts'
import { newKeyPair } from './lib/sshd.ts'

const numRuns = 10_000

/** Arbitrary text, and text made of words that the tested parser knows. */
const textOf = (...words: string[]) =>
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc
      .array(fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...words) }, fc.string({ maxLength: 4 })), {
        maxLength: 14,
      })
      .map(parts => parts.join('')),
  )

/** How text is changed on its way into a CI's secrets: by any of these, one after another. */
const damages: readonly ((text: string) => string)[] = [
  text => text.replaceAll('\n', '\r\n'),
  text => `\ufeff${text}`,
  text => text.trimEnd(),
  text => `\n ${text} \n\n`,
  text => text.replace(/^/gm, '  \t'),
  text => text.replace(/$/gm, ' '),
  text => `"${text}"`,
  text => text.replace(/\r?\n/g, '\\n'),
  text => text.replace(/\r?\n/g, ' '),
  text => text.replace(/\r?\n/g, '\n\n'),
]
const mangling = fc
  .tuple(fc.array(fc.constantFrom(...damages), { maxLength: 4 }), fc.boolean())
  .map(([chosen, asBase64]) => (text: string) => {
    const mangled = chosen.reduce((changed, damage) => damage(changed), text)
    return asBase64 ? Buffer.from(mangled).toString('base64') : mangled
  })

/** The result, or all text of the Failure. Any other error fails the property. */
function attempt(action: () => string): { result?: string; shown: string } {
  try {
    return { result: action(), shown: '' }
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    return { shown: `${error}\n${inspect(error, { depth: 10 })}` }
  }
}

describe('parseRemote', () => {
  const anyUrl = textOf(
    ...[
      'ssh://',
      '://',
      'user',
      '@',
      '@[',
      '[',
      ']',
      'host',
      '::1',
      'fe80::1',
      ':',
      ':22',
      '/',
      '~',
      '-',
      '%2d',
      '%0a',
    ],
    ...['%', '::', 'ext::', ' ', '.', '\\', '$(id)', '`', "'", 'ü', 'a.git'],
  )

  test('throws no error but Failure, and accepts nothing that ssh or a shell could misread', () => {
    fc.assert(
      fc.property(anyUrl, url => {
        const remote = parseRemote(url)
        if (remote === undefined) return
        assert.equal(remote.url, url)
        for (const part of [remote.url, remote.user, remote.host, remote.path]) {
          assert.doesNotMatch(part ?? '', /\p{Cc}/u)
          assert.ok(!part?.startsWith('-'))
        }
        assert.notEqual(remote.path, '')
        assert.doesNotMatch(`${remote.user}${remote.host}`, /[\s'"`$;&<>|(){}\\/*?!,#]/)
        assert.ok(remote.port === undefined || (remote.port >= 1 && remote.port <= 65535))
        knownHostsName(remote)
        portHint(remote)
      }),
      { numRuns },
    )
  })

  test('reads back what is written as an ssh URL', () => {
    const remotes = anyUrl.map(parseRemote).filter((remote): remote is Remote => remote?.host !== undefined)
    fc.assert(
      fc.property(remotes, ({ user, host = '', port, path }) => {
        const name = isIPv6(host) ? `[${host}]` : host
        const place = `${user ? `${user}@` : ''}${name}${port ? `:${port}` : ''}`.replaceAll('%', '%25')
        const absolute = path.startsWith('/') ? path : `/${path}`
        const again = parseRemote(`ssh://${place}${absolute.replaceAll('%', '%25')}`)
        if (absolute[1] === '~' || absolute.includes('@[')) return // git reads more into these
        assert.deepEqual(
          { ...again, url: '' },
          { url: '', ...(user && { user }), host, ...(port && { port }), path: absolute },
        )
      }),
      { numRuns },
    )
  })
})

describe('normalizePrivateKey', () => {
  const keys: string[] = []
  let folder: string
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'properties-'))
    for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
      for (const format of ['OpenSSH', 'PEM', 'PKCS8'] as const) {
        for (const passphrase of ['', 'correct horse']) {
          if (type === 'ed25519' && format === 'PEM') continue
          keys.push((await newKeyPair(folder, type, { format, passphrase })).privateKey)
        }
      }
    }
  })
  after(() => rmSync(folder, { recursive: true }))

  const anyKey = fc.nat().map(n => keys[n % keys.length] as string)
  const isUsable = (key: string) => attempt(() => normalizePrivateKey(key)).result !== undefined

  /** Nothing of a key that is longer than a word may be seen. */
  function assertShowsNothing(shown: string, key: string) {
    const body = key.replace(/-----.*-----|^[\w-]+:.*$/gm, '').replace(/\s+/g, '')
    for (let at = 0; at + 12 <= body.length; at += 4) assert.ok(!shown.includes(body.slice(at, at + 12)))
  }

  test('accepts any text as a key or says what is wrong with it', () => {
    const words = ['-----', 'BEGIN', 'END', ' ', 'OPENSSH', 'RSA', 'EC', 'ENCRYPTED', 'PRIVATE KEY', 'PUBLIC KEY', '\n']
    const anyText = textOf(
      ...words,
      'AAAA',
      'b3BlbnNzaC1rZXktdjEAAAAA',
      'ssh-rsa',
      'PuTTY-User-Key-File-',
      '"',
      '\\n',
      '=',
      'Proc-Type:',
    )
    fc.assert(
      fc.property(anyText, text => {
        const { result, shown } = attempt(() => normalizePrivateKey(text))
        assert.ok(result !== undefined || shown.startsWith('SSH_DEPLOYMENT_KEY '))
      }),
      { numRuns },
    )
  })

  test('repairs a key however it was changed, and leaves its own result as it is', () => {
    fc.assert(
      fc.property(anyKey, mangling, (key, mangle) => {
        const { result, shown } = attempt(() => normalizePrivateKey(mangle(key)))
        if (isUsable(key)) {
          assert.equal(result, normalizePrivateKey(key))
          assert.equal(normalizePrivateKey(result ?? ''), result)
        } else {
          assert.match(shown, /has a passphrase/)
          assertShowsNothing(shown, key)
        }
      }),
      { numRuns },
    )
  })

  test('shows nothing of a key that has been cut or damaged', () => {
    const cut = fc.record({ from: fc.nat(), length: fc.nat({ max: 200 }), instead: fc.string({ maxLength: 5 }) })
    fc.assert(
      fc.property(anyKey, cut, mangling, (key, { from, length, instead }, mangle) => {
        const at = from % key.length
        const spoilt = mangle(key.slice(0, at) + instead + key.slice(at + length))
        const { shown } = attempt(() => normalizePrivateKey(spoilt))
        assertShowsNothing(shown, key)
        assertShowsNothing(shown, spoilt)
      }),
      { numRuns },
    )
  })
})

describe('known hosts', () => {
  const lines = Array.from({ length: 6 }, () => {
    const point = Buffer.from(
      generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x as string,
      'base64url',
    )
    return `ssh-ed25519 ${Buffer.concat([sshString('ssh-ed25519'), sshString(point)]).toString('base64')}`
  })
  lines.push(
    `ssh-rsa ${Buffer.concat(['ssh-rsa', '\x01\0\x01', '\0abc'].map(part => sshString(part))).toString('base64')}`,
  )
  const hosts = ['host', '[host]:2222', 'other', 'h*', '*,!host', '|1|c2FsdA==|aGFzaA==', '10.0.0.1,host', '::1']

  const entry = fc
    .tuple(
      fc.constantFrom('', '', '', '@revoked ', '@cert-authority '),
      fc.constantFrom(...hosts),
      fc.constantFrom(...lines),
    )
    .map(([marker, name, key]) => `${marker}${name} ${key}`)
  const strangeLine = textOf('#', ' ', 'ssh-rsa', 'AAAA', '@revoked', 'host', '\t', '|1|', '"', ...lines)
  const file = fc
    .array(fc.oneof({ weight: 3, arbitrary: entry }, strangeLine), { maxLength: 8 })
    .map(all => all.join('\n'))
  const remote = fc
    .constantFrom('user@host:/x', 'ssh://user@host:2222/x', 'user@[::1]:/x', 'user@elsewhere:/x')
    .map(url => parseRemote(url) as Remote)
  const offers = fc
    .array(fc.tuple(fc.constantFrom('host', '[host]:2222', '::1'), fc.constantFrom(...lines)), { maxLength: 4 })
    .map(all => all.flatMap(([name, key]) => parseKnownHosts(`${name} ${key}`)))

  test('normalizeKnownHosts gives lines for the server or says what is wrong', () => {
    fc.assert(
      fc.property(file, remote, mangling, (text, to, mangle) => {
        const { result, shown } = attempt(() => normalizeKnownHosts(mangle(text), to))
        if (result === undefined) return assert.match(shown, /^KNOWN_DEPLOYMENT_HOSTS /)
        const entries = parseKnownHosts(result)
        assert.ok(entries.some(each => isEntryFor(each, knownHostsName(to))))
        assert.equal(entries.map(formatKnownHost).join(''), result)
        assert.equal(normalizeKnownHosts(result, to), result)
      }),
      { numRuns },
    )
  })

  test('mergeKnownHosts only appends, once, and never a second key of a type for a host', () => {
    fc.assert(
      fc.property(file, offers, (existing, offered) => {
        const { appended, added, conflicts } = mergeKnownHosts(existing, offered)
        const merged = existing + appended
        const before = parseKnownHosts(existing)
        assert.deepEqual(parseKnownHosts(merged), [...before, ...added])

        const again = mergeKnownHosts(merged, offered)
        assert.equal(again.appended, '')
        assert.equal(again.conflicts.length, conflicts.length)

        for (const { hosts: name, type, blob } of added) {
          const others = before.filter(each => !each.marker && each.type === type && isEntryFor(each, name))
          assert.deepEqual(
            others.filter(each => each.blob !== blob),
            [],
          )
        }
        for (const { known, offered: key } of conflicts) {
          assert.equal(known.type, key.type)
          assert.ok(known.blob !== key.blob || known.marker === '@revoked')
        }
      }),
      { numRuns },
    )
  })
})

describe('settings', () => {
  const folder = mkdtempSync(join(tmpdir(), 'settings-'))
  const file = join(folder, 'env')
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('of any file are read or reported, all missing ones at once, and no value is shown', () => {
    const secret = fc.string({ unit: fc.constantFrom(...'abcXYZ0189+/='), minLength: 16, maxLength: 40 })
    const line = textOf('NEEDED', 'FREE', '=', '"', "'", '`', '#', '\n', 'export ', '\\', '$FREE', ' ')
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), secret, (lines, value) => {
        writeFileSync(file, [`SECRET_OF_TEST=${value}`, ...lines].join('\n'))
        const wrong = () => {
          throw new Error('is wrong')
        }
        const settings = {
          NEEDED: { means: 'something', required: true },
          SECRET_OF_TEST: { means: 'a secret', read: wrong },
        }
        const { shown } = attempt(() => String(readSettings(settings, readEnvFile(file)).NEEDED))
        assert.match(shown, /SECRET_OF_TEST is wrong|would end at the #/)
        assert.ok(!shown.includes(value), 'the value is shown')
      }),
      { numRuns },
    )
  })
})
