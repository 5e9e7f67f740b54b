import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { exitCode, Failure } from '../../scripts/lib/shared/program.ts'
import { sshString } from '../../scripts/lib/ssh/key-blob.ts'
import { normalizePrivateKey } from '../../scripts/lib/ssh/private-key.ts'
import { type KeyType, newKeyPair } from '../lib/sshd.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

const folder = mkdtempSync(join(tmpdir(), 'private-key-'))
after(() => rmSync(folder, { recursive: true }))

const keys = [
  { name: 'an ed25519 key', type: 'ed25519', format: 'OpenSSH' },
  { name: 'an ed25519 key in PKCS8', type: 'ed25519', format: 'PKCS8' },
  { name: 'an ecdsa key', type: 'ecdsa', format: 'OpenSSH' },
  { name: 'an ecdsa key in SEC1', type: 'ecdsa', format: 'PEM' },
  { name: 'an ecdsa key in PKCS8', type: 'ecdsa', format: 'PKCS8' },
  { name: 'an rsa key', type: 'rsa', format: 'OpenSSH' },
  { name: 'an rsa key in PKCS1', type: 'rsa', format: 'PEM' },
  { name: 'an rsa key in PKCS8', type: 'rsa', format: 'PKCS8' },
] as const

type Format = (typeof keys)[number]['format']
const pairs = new Map<string, ReturnType<typeof newKeyPair>>()
/** The same one for each test: an RSA key takes its time. */
function keyPair(type: KeyType, format: Format) {
  const made = pairs.get(type + format) ?? newKeyPair(folder, type, { format, bits: 1024 })
  pairs.set(type + format, made)
  return made
}

const everyLine = (text: string, change: (line: string) => string) => text.trimEnd().split('\n').map(change).join('\n')
const base64 = (text: string) => Buffer.from(text).toString('base64')

const manglings: Record<string, (key: string) => string> = {
  'as it is': key => key,
  'with CRLF': key => key.replaceAll('\n', '\r\n'),
  'with lone CR': key => key.replaceAll('\n', '\r'),
  'with a byte order mark': key => `\ufeff${key}`,
  'with a byte order mark and CRLF': key => `\ufeff${key.replaceAll('\n', '\r\n')}`,
  'without its last newline': key => key.trimEnd(),
  'with blank lines around it': key => `\n\n${key}\n\n`,
  'with a blank line after each': key => key.replaceAll('\n', '\n\n'),
  'with indentation': key => everyLine(key, line => `      ${line}`),
  'with tabs': key => everyLine(key, line => `\t${line}\t`),
  'with trailing blanks': key => everyLine(key, line => `${line}  `),
  'in double quotes': key => `"${key}"`,
  'in single quotes': key => `'${key.trimEnd()}'\n`,
  'with literal \\n': key => key.replaceAll('\n', '\\n'),
  'with literal \\r\\n in quotes': key => `"${key.replaceAll('\n', '\\r\\n')}"`,
  'with twice escaped \\n': key => key.replaceAll('\n', '\\\\n'),
  'as JSON': key => JSON.stringify(key),
  'with a backslash at the end of each line': key => everyLine(key, line => `${line}\\`),
  'with quotes around each line': key => everyLine(key, line => `"${line}",`),
  'all on one line': key => key.replaceAll('\n', ' '),
  'without any blank': key => key.replace(/\s+/g, ''),
  'wrapped at another width': key => key.replace(/.{40}/g, '$&\n'),
  'with zero-width spaces': key => `\u200b${key.replaceAll('\n', '\u200b\n')}`,
  'with header lines': key => key.replace('\n', '\nComment: "a: b"\n \tX-Header: 4,NONE\n\n'),
  'with text before and after it': key => `my key:\n${key}that was my key`,
  'as base64': base64,
  'as base64 in lines': key => base64(key).replace(/.{76}/g, '$&\n'),
  'as base64 without padding': key => base64(key).replaceAll('=', ''),
  'as base64 of base64': key => base64(base64(key)),
  'as base64 in quotes': key => `"${base64(key)}"`,
  'as base64 of CRLF and a byte order mark': key => base64(`\ufeff${key.replaceAll('\n', '\r\n')}`),
}

describe('normalizePrivateKey gives OpenSSH a key that it reads', () => {
  for (const { name, type, format } of keys) {
    test(name, async t => {
      const { privateKey, publicKey } = await keyPair(type, format)
      const normal = normalizePrivateKey(privateKey)
      const file = join(mkdtempSync(join(folder, 'normal-')), 'key')
      writeFileSync(file, normal, { mode: 0o600 })
      const { stdout } = await $`ssh-keygen -y -P '' -f ${file}`
      assert.equal(withoutComment(stdout), withoutComment(publicKey))
      assert.equal(normalizePrivateKey(normal), normal)
      for (const [how, mangle] of Object.entries(manglings)) {
        await t.test(how, () => assert.equal(normalizePrivateKey(mangle(privateKey)), normal))
      }
    })
  }

  test('without a change where nothing is wrong with it', async () => {
    for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
      const { privateKey } = await keyPair(type, 'OpenSSH')
      assert.equal(normalizePrivateKey(privateKey), privateKey)
    }
  })

  test('from openssl, with the curve in a block of its own', async () => {
    const { stdout } = await $`openssl ecparam -name prime256v1 -genkey`
    assert.match(stdout, /BEGIN EC PARAMETERS/)
    const file = join(folder, 'ecparam')
    writeFileSync(file, normalizePrivateKey(stdout), { mode: 0o600 })
    assert.match((await $`ssh-keygen -y -P '' -f ${file}`).stdout, /^ecdsa-sha2-nistp256 /)
  })

  test('of ed25519 in PKCS8 as the bytes that ssh-keygen writes, but for its random number', async () => {
    const { privateKey, publicKey } = await newKeyPair(folder, 'ed25519', { comment: '' })
    const body = (text: string) => Buffer.from(text.replace(/-----.*-----/g, ''), 'base64')
    const withoutRandomNumber = (text: string) => {
      const bytes = body(text)
      return bytes.fill(0, bytes.lastIndexOf('\0\0\0\x0bssh-ed25519') - 8, bytes.lastIndexOf('\0\0\0\x0bssh-ed25519'))
    }
    const bytes = body(privateKey)
    const point = body(publicKey.split(' ')[1] ?? '').subarray(-32)
    const seed = bytes.subarray(bytes.lastIndexOf(point) - 32, bytes.lastIndexOf(point))
    const jwk = { kty: 'OKP', crv: 'Ed25519', d: seed.toString('base64url'), x: point.toString('base64url') }
    const pkcs8 = createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }) as string
    assert.equal(
      withoutRandomNumber(normalizePrivateKey(pkcs8)).toString('hex'),
      withoutRandomNumber(privateKey).toString('hex'),
    )
  })

  test('of the other two curves', () => {
    for (const namedCurve of ['secp384r1', 'secp521r1']) {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve })
      assert.ok(normalizePrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string))
    }
  })
})

describe('normalizePrivateKey says which secret it is, what is wrong and what to do, and shows nothing of it, for', () => {
  const refuses = (text: string, expected: RegExp) => {
    assert.throws(
      () => normalizePrivateKey(text),
      error => {
        assert.ok(error instanceof Failure)
        assert.equal(error.exitCode, exitCode.usage)
        assert.match(String(error), /^SSH_DEPLOYMENT_KEY (is|has|belongs) .*\.\nTo do: .+$/)
        assert.match(error.message, expected)
        assert.equal(error.cause, undefined)
        for (const line of text.split(/\s+/).filter(word => word.length > 20 && !word.includes('-'))) {
          assert.ok(!String(error).includes(line))
        }
        return true
      },
    )
  }

  for (const [how, text] of Object.entries({
    nothing: '',
    blanks: ' \r\n\t',
    'empty quotes': '""',
    'a mark': '\ufeff',
  })) {
    test(`an empty secret: ${how}`, () => refuses(text, /is empty/))
  }

  for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
    test(`a public ${type} key`, async () => {
      const { publicKey, file } = await keyPair(type, 'OpenSSH')
      for (const mangle of ['as it is', 'as base64', 'in double quotes', 'with a byte order mark']) {
        refuses(manglings[mangle]?.(publicKey) as string, /is a public key/)
      }
      refuses((await $`ssh-keygen -e -f ${file}`).stdout, /is a public key/)
      refuses((await $`ssh-keygen -e -m PKCS8 -f ${file}`.nothrow()).stdout || publicKey, /is a public key/)
    })
  }

  for (const { name, type, format } of keys) {
    test(`a passphrase: ${name}`, async () => {
      const { privateKey } = await newKeyPair(folder, type, { format, passphrase: 'correct horse', bits: 1024 })
      for (const mangle of ['as it is', 'with CRLF', 'all on one line', 'with literal \\n', 'as base64']) {
        refuses(manglings[mangle]?.(privateKey) as string, /has a passphrase/)
      }
    })

    test(`a truncated key: ${name}`, async () => {
      const { privateKey } = await keyPair(type, format)
      const lines = privateKey.trimEnd().split('\n')
      refuses(lines.slice(0, -1).join('\n'), /is cut off: it has no END line/)
      refuses(lines.slice(0, 2).join('\n'), /is cut off: it has no END line/)
      refuses(lines[0] as string, /is cut off: it has no END line/)
      refuses([lines[0], lines.at(-1)].join('\n'), /is cut off: there is nothing between/)
      refuses([lines[0], ...lines.slice(2)].join('\n'), /cut off/)
      refuses([...lines.slice(0, -2), lines.at(-1)].join('\n'), /cut off/)
      refuses(lines.slice(1).join('\n'), /has no BEGIN line/)
      refuses(lines.slice(1, -1).join('\n'), /has no BEGIN line/)
      refuses(privateKey.replace(/\n(.{10})./, '\n$1*'), /is damaged or cut off/)
      refuses(privateKey.replace('\n', '\n*'), /is damaged or cut off/)
      refuses(privateKey.replace('\n-----END', '*\n-----END'), /is damaged or cut off/)
      if (/OPENSSH/.test(privateKey)) {
        const [first = '', ...rest] = privateKey.trimEnd().split('\n')
        const key = Buffer.from(rest.slice(0, -1).join(''), 'base64')
        const put = (bytes: Buffer) => `${first}\n${bytes.toString('base64')}\n${rest.at(-1)}\n`
        // The two check numbers lie right before the name of the key's kind, where that comes last.
        const magic = 'openssh-key-v1'.length
        const kind = key.lastIndexOf('ssh-')
        const other = Buffer.from(key)
        if (kind > magic) other[kind - 5] = (other[kind - 5] ?? 0) ^ 1
        if (kind > magic) refuses(put(other), /is damaged or cut off/)
        refuses(put(Buffer.concat([key, Buffer.from('more')])), /is damaged or cut off/)
      }
    })
  }

  test('a PuTTY file', () => {
    const text = [
      'PuTTY-User-Key-File-3: ssh-ed25519',
      'Encryption: none',
      'Comment: x',
      'Public-Lines: 2',
      'AAAAC3NzaC1lZDI1NTE5AAAAIDpmY2U0NDhkYzE2ZWYwM2M5YzRlMTQ4ZjE2ZGM1',
      'Private-Lines: 1',
      'AAAAIDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy',
      'Private-MAC: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
    ].join('\r\n')
    refuses(text, /is a PuTTY key/)
    refuses(base64(text), /is a PuTTY key/)
  })

  test('words about PuTTY', () => refuses('my PuTTY-User-Key-File-3: x', /has no BEGIN line/))
  test("a file's name in its place", () => refuses('~/.ssh/id_ed25519', /has no BEGIN line/))
  test('a password in its place', () => refuses('correct horse battery staple', /has no BEGIN line/))

  test('a key that was packed too often', async () => {
    const { privateKey } = await keyPair('ed25519', 'OpenSSH')
    refuses(base64(base64(base64(privateKey))), /has no BEGIN line/)
  })

  test('what looks like a public key, and only that', () => {
    for (const text of ['ssh-ed25519  AAAAx', '---- BEGIN  SSH2  PUBLIC  KEY ----']) refuses(text, /is a public key/)
    for (const text of ['key: ssh-rsa AAAAx', 'xssh-rsa AAAAx']) refuses(text, /has no BEGIN line/)
  })

  /** A key of no content, as OpenSSH writes it. */
  function writeKey(type: string, secretType = type, magic = 'openssh-key-v1'): string {
    const [none, one, zeros] = [sshString('none'), Buffer.from([0, 0, 0, 1]), Buffer.alloc(8)]
    const parts = [sshString(sshString(type)), sshString(Buffer.concat([zeros, sshString(secretType)]))]
    const key = Buffer.concat([Buffer.from(`${magic}\0`), none, none, sshString(''), one, ...parts]).toString('base64')
    return `-----BEGIN OPENSSH PRIVATE KEY-----\n${key}\n-----END OPENSSH PRIVATE KEY-----\n`
  }

  test('a key of a security key', () => {
    const text = writeKey('sk-ssh-ed25519@openssh.com')
    refuses(text, /^SSH_DEPLOYMENT_KEY belongs to a security key, which a CI does not have\.$/)
  })

  test('a key of another form, or of two kinds', () => {
    assert.doesNotThrow(() => normalizePrivateKey(writeKey('ssh-x')))
    refuses(writeKey('ssh-x', 'ssh-y'), /is damaged or cut off/)
    refuses(writeKey('ssh-x', 'ssh-x', 'openssh-key-v2'), /is damaged or cut off/)
  })

  test('a key that ssh cannot use', () => {
    const pem = { type: 'pkcs8', format: 'pem' } as const
    refuses(generateKeyPairSync('x25519').privateKey.export(pem) as string, /cannot use \(x25519\)/)
    refuses(
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey.export(pem) as string,
      /cannot use \(secp256k1\)/,
    )
  })
})

function withoutComment(publicKey: string): string {
  return publicKey.trim().split(' ').slice(0, 2).join(' ')
}
