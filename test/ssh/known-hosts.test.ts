import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { exitCode, Failure } from '../../scripts/lib/shared/program.ts'
import { fingerprint } from '../../scripts/lib/ssh/key-blob.ts'
import { isEntryFor, normalizeKnownHosts, parseKnownHosts } from '../../scripts/lib/ssh/known-hosts.ts'
import { parseRemote } from '../../scripts/lib/ssh/remote.ts'
import { assertExit } from '../lib/exit.ts'
import { newKeyPair, startSshd } from '../lib/sshd.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

const folder = mkdtempSync(join(tmpdir(), 'known-hosts-'))
after(() => rmSync(folder, { recursive: true }))

const [ed25519, rsa, other] = await Promise.all(
  (['ed25519', 'rsa', 'ed25519'] as const).map(async type => {
    const { publicKey } = await newKeyPair(folder, type)
    return publicKey.split(' ').slice(0, 2).join(' ')
  }),
)

const remoteOf = (url: string) => parseRemote(url) ?? assert.fail(url)
const base64 = (text: string) => Buffer.from(text).toString('base64')

let files = 0
function write(text: string): string {
  const file = join(folder, `known_hosts${files++}`)
  writeFileSync(file, text)
  return file
}

/** The keys that ssh finds for a name, `type blob` each. */
async function findKeys(text: string, name: string): Promise<string[]> {
  const { stdout } = await $`ssh-keygen -F ${name} -f ${write(text)}`
  const lines = stdout.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return lines.map(line => line.split(' ').slice(1, 3).join(' '))
}

async function hash(text: string): Promise<string> {
  const file = write(text)
  await $`ssh-keygen -H -f ${file}`
  return readFileSync(file, 'utf8')
}

describe('normalizeKnownHosts gives ssh lines where it finds the server', () => {
  for (const [url, name] of [
    ['user@host.example:/x.git', 'host.example'],
    ['ssh://user@host.example:2222/x.git', '[host.example]:2222'],
    ['user@[::1]:/x.git', '::1'],
    ['ssh://user@[::1]:2222/x.git', '[::1]:2222'],
  ] as const) {
    const clean = `${name} ${ed25519}\n${name} ${rsa}\n`
    const wrongName = name.replace(/^\[([^\]:]+)\]:/, '$1:')
    for (const [how, text] of Object.entries({
      'as they are': clean,
      'with CRLF': clean.replaceAll('\n', '\r\n'),
      'with lone CR': clean.replaceAll('\n', '\r'),
      'with a byte order mark': `\ufeff${clean}`,
      'without the last newline': clean.trimEnd(),
      'with blank lines and indentation': clean.replace(/^/gm, '\n   '),
      'in quotes': `"${clean}"`,
      'in quotes, each line': clean.trim().replace(/^.*$/gm, '"$&"'),
      'with literal \\n': clean.replaceAll('\n', '\\n'),
      'all on one line': clean.replaceAll('\n', ' '),
      'with more than one blank between': clean.replaceAll(' ', ' \t '),
      'as base64': base64(clean),
      'as base64 of CRLF and a mark, in lines': base64(`\ufeff${clean.replaceAll('\n', '\r\n')}`).replace(
        /.{76}/g,
        '$&\n',
      ),
      'with comments': `# ${name}:22 SSH-2.0-OpenSSH_9.8\n# ${name} ${other}\n${clean.replaceAll('\n', ' root@host\n')}`,
      'with the comments of ssh-keyscan, on one line': `# h:22 SSH-2.0-OpenSSH_9.8p1 Debian-2\n${clean}`
        .replace(`${name} ${rsa}`, `# h:22 SSH-2.0-x\n$&`)
        .replaceAll('\n', ' '),
      'with a comment behind, on one line': `${clean}# ${name} ${other}\n`.replaceAll('\n', ' '),
      'with a garbage line': `no host keys here\n${clean}AAAA\n`,
      'with a damaged line': `${name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\n${clean}`,
      'without the host column': `${ed25519}\n${rsa}\n`,
      'without the host column, with comments': `${ed25519} root@server\n${rsa} root@server\n`,
      'without the host column, on one line': `${ed25519} root@server ${rsa} root@server`,
      'with user@ before the host': clean
        .replace(/^/gm, 'user@')
        .trim()
        .replace(/^user@$/m, ''),
      'with host:port': `${wrongName} ${ed25519}\n${wrongName} ${rsa}`,
      'with another host beside it': `elsewhere ${other}\n${clean}`,
      'among other names': `elsewhere,${name},10.0.0.1 ${ed25519}\nelsewhere,${name} ${rsa}`,
    })) {
      test(`${how}: ${name}`, async () => {
        const normal = normalizeKnownHosts(text, remoteOf(url))
        assert.deepEqual(await findKeys(normal, name), [ed25519, rsa])
        assert.equal(normalizeKnownHosts(normal, remoteOf(url)), normal)
      })
    }

    test(`hashed: ${name}`, async () => {
      const hashed = await hash(clean)
      assert.ok(!hashed.includes(name))
      assert.equal(normalizeKnownHosts(hashed.replaceAll('\n', '\r\n'), remoteOf(url)), hashed)
      assert.deepEqual(await findKeys(hashed, name), [ed25519, rsa])
    })
  }

  test('for port 22 written out', async () => {
    for (const written of ['[host]:22', 'host:22', 'HOST:22']) {
      const normal = normalizeKnownHosts(`${written} ${ed25519}`, remoteOf('user@host:/x'))
      assert.deepEqual(await findKeys(normal, 'host'), [ed25519])
    }
  })

  test('for a bare host, hashed or not, where the server has another port, as ssh does', async () => {
    const url = 'ssh://user@host:2222/x'
    for (const text of [`host ${ed25519}\n`, await hash(`host ${ed25519}\n`), `other,h*t ${ed25519}`]) {
      assert.equal(normalizeKnownHosts(text, remoteOf(url)), `[host]:2222 ${ed25519}\n`)
    }
    const both = `host ${other}\n[host]:2222 ${ed25519}\n`
    assert.equal(normalizeKnownHosts(both, remoteOf(url)), both)
  })

  test('with certificate authorities and revoked keys', async () => {
    const text = `@cert-authority *.example ${ed25519}\n@revoked * ${other}\n`
    assert.equal(normalizeKnownHosts(text, remoteOf('user@host.example:/x')), text)
  })
})

describe('normalizeKnownHosts says what is wrong and what to do for', () => {
  const remote = remoteOf('ssh://user@host.example:2222/x.git')
  const refuses = (text: string, expected: RegExp) =>
    assert.throws(
      () => normalizeKnownHosts(text, remote),
      error => {
        assert.ok(error instanceof Failure)
        assert.equal(error.exitCode, exitCode.usage)
        assert.match(String(error), /^KNOWN_DEPLOYMENT_HOSTS .*\.\nTo do: run setup-ssh, .*\[host\.example\]:2222/)
        assert.match(error.message, expected)
        return true
      },
    )

  test('nothing', () => {
    for (const text of ['', ' \r\n', '""', '\ufeff']) refuses(text, /is empty/)
  })

  test('another host only: it names both', async () => {
    refuses(`elsewhere.example ${ed25519}`, /no line for \[host\.example\]:2222, only for elsewhere\.example\.$/)
    refuses(
      `[host.example]:22 ${ed25519}\nhost.example:2223 ${rsa}`.replace('[host.example]:22 ', 'a,b '),
      /only for a,b, \[host\.example\]:2223\./,
    )
    refuses(base64(`elsewhere.example ${ed25519}`), /only for elsewhere\.example\./)
    refuses(await hash(`elsewhere.example ${ed25519}\n`), /only for a hashed name\./)
    refuses(`*,!host.example,![host.example]:2222 ${ed25519}`, /only for /)
  })

  test('revoked keys only', () => refuses(`@revoked [host.example]:2222 ${ed25519}`, /has no line for/))

  test('what holds no host key', () => {
    for (const text of [
      'host.example',
      'SHA256:x',
      `host.example ${ed25519?.slice(0, 40)}`,
      `# host.example ${ed25519}`,
    ]) {
      refuses(text, /has no line with a whole host key\.$/)
    }
  })

  test('a private key in its place, of which it shows nothing', async () => {
    const { privateKey } = await newKeyPair(folder)
    for (const text of [privateKey, base64(privateKey), privateKey.replaceAll('\n', '\\n')]) {
      assert.throws(
        () => normalizeKnownHosts(text, remote),
        error => {
          assert.match(String(error), /KNOWN_DEPLOYMENT_HOSTS is a private key/)
          for (const line of privateKey.split('\n').slice(1, -2)) assert.ok(!String(error).includes(line))
          return true
        },
      )
    }
  })
})

describe('isEntryFor agrees with ssh-keygen -F', () => {
  for (const hosts of [
    'host',
    'HOST',
    'a,host',
    'h*',
    '*',
    '?ost',
    'hos',
    'host?',
    '*,!host',
    '!host',
    '!a,*',
    '[host]:2222',
    '[*]:2222',
    '[host]:*',
    '*s*s*t*',
  ]) {
    test(hosts, async () => {
      const text = `${hosts} ${ed25519}\n`
      const [entry] = parseKnownHosts(text)
      for (const name of ['host', '[host]:2222', 'other']) {
        const found = await findKeys(text, name)
        assert.equal(entry !== undefined && isEntryFor(entry, name), found.length === 1, name)
      }
    })
  }
})

test('fingerprint is what ssh-keygen -l shows', async () => {
  const { stdout } = await $`ssh-keygen -l -f ${write(`${rsa}\n`)}`
  assert.equal(fingerprint(rsa?.split(' ')[1] ?? ''), stdout.split(' ')[1])
})

test('a real server is found by ssh under every form of its lines, and under no other', async t => {
  const sshd = await startSshd(t)
  const { file, publicKey } = await newKeyPair(sshd.folder)
  sshd.authorize(publicKey)
  const config = sshd.clientConfig(file)
  const knownHostsFile = join(config, '../known_hosts')
  const remote = remoteOf(`ssh://${sshd.user}@${sshd.host}:${sshd.port}/x.git`)
  const connect = async (knownHosts: string) => {
    writeFileSync(knownHostsFile, knownHosts)
    return $`ssh -F ${config} ${sshd.host} true`
  }

  const key = sshd.hostPublicKeys.ed25519 as string
  const clean = sshd.knownHosts
  for (const text of [
    clean,
    base64(clean),
    key,
    `${sshd.host}:${sshd.port} ${key}`,
    `${sshd.host} ${key}`,
    await hash(clean),
  ]) {
    assertExit(await connect(normalizeKnownHosts(text, remote)), 0)
  }
  const { stderr } = assertExit(await connect(normalizeKnownHosts(other as string, remote)), 255)
  assert.match(stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED/)
})
