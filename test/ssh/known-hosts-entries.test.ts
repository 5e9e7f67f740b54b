import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { describe, it, test } from 'node:test'
import type { Failure } from '../../scripts/lib/shared/program.ts'
import { blobOf, fingerprint, sshString } from '../../scripts/lib/ssh/key-blob.ts'
import { formatKnownHost, isEntryFor, normalizeKnownHosts, parseKnownHosts } from '../../scripts/lib/ssh/known-hosts.ts'
import { parseRemote } from '../../scripts/lib/ssh/remote.ts'

/** A key that says of itself that it is of this type. */
const newBlob = (type: string, fill = 1) =>
  Buffer.concat([sshString(type), sshString(Buffer.alloc(32, fill))]).toString('base64')
const keyOf = (type: string, fill?: number) => `${type} ${newBlob(type, fill)}`
const [ed25519, other, rsa] = [keyOf('ssh-ed25519'), keyOf('ssh-ed25519', 2), keyOf('ssh-rsa')]

describe('The entries of a known_hosts file', () => {
  for (const type of [
    'ssh-ed25519',
    'ssh-rsa',
    'ssh-dss',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp521',
    'sk-ssh-ed25519@openssh.com',
    'sk-ecdsa-sha2-nistp256@openssh.com',
  ]) {
    it(`have keys of ${type}`, () =>
      assert.deepEqual(parseKnownHosts(`host ${keyOf(type)}`), [{ hosts: 'host', type, blob: newBlob(type) }]))
  }

  it('are read from lines that end in any way, with blanks around them and comments behind', () => {
    const entry = { hosts: '[a]:22,b', type: 'ssh-rsa', blob: newBlob('ssh-rsa') }
    const text = `[a]:22,b ${rsa}\r\n \t[a]:22,b \t${rsa.replace(' ', ' \t ')} root@a\n[a]:22,b ${rsa}`
    assert.deepEqual(parseKnownHosts(text), [entry, entry, entry])
  })

  it('keep their marker', () => {
    const [, blob = ''] = ed25519.split(' ')
    assert.deepEqual(parseKnownHosts(`@revoked  * ${ed25519}`), [
      { marker: '@revoked', hosts: '*', type: 'ssh-ed25519', blob },
    ])
  })

  it('are passed over where they are none', () => {
    const [, blob = ''] = ed25519.split(' ')
    for (const line of [
      '',
      'host',
      `# host ${ed25519}`,
      `#host ${ed25519}`,
      ed25519,
      `@revoked ${ed25519}`,
      'host ssh-ed25519',
      'host ssh-ed25519 AAAA',
      `host ssh-rsa ${blob}`,
      `host ssh-ed25519 ${blob.slice(0, -4)}`,
      `host ssh-ed25519 ${blob}!`,
      `host ssh-ed448 ${blob}`,
    ]) {
      assert.deepEqual(parseKnownHosts(line), [], line)
    }
  })

  it('are written as they were read', () => {
    for (const line of [`host ${ed25519}\n`, `@cert-authority *.example ${rsa}\n`])
      assert.deepEqual(parseKnownHosts(line).map(formatKnownHost), [line])
  })
})

describe('The line of a public key', () => {
  it('has the key in its second column', () => {
    const [, blob] = rsa.split(' ')
    for (const line of [rsa, `${rsa} root@a b`, rsa.replace(' ', ' \t ')]) assert.equal(blobOf(line), blob)
    assert.equal(blobOf('ssh-rsa'), undefined)
  })

  it('has a fingerprint without padding', () => {
    const [, blob = ''] = rsa.split(' ')
    const hash = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64')
    assert.equal(`${fingerprint(blob)}=`, `SHA256:${hash}`)
  })
})

describe('An entry is for a name', () => {
  const isFor = (hosts: string, name: string) => isEntryFor({ hosts, type: '', blob: '' }, name)
  for (const [hosts, name, expected] of [
    ['host', 'host', true],
    ['HOST', 'host', true],
    ['host', 'Host', true],
    ['hos', 'host', false],
    ['hostt', 'host', false],
    ['', 'host', false],
    ['a,host', 'host', true],
    ['a,b', 'host', false],
    ['?ost', 'host', true],
    ['host?', 'host', false],
    ['*', 'host', true],
    ['h*', 'host', true],
    ['*host', 'host', true],
    ['host**', 'host', true],
    ['host*x', 'host', false],
    ['*ab', 'aab', true],
    ['*ab', 'abb', false],
    ['*a*b', 'xaxxb', true],
    ['*a?c*', 'aabac', false],
    ['*a?c*', 'aabacc', true],
    ['!host', 'host', false],
    ['!host', 'other', false],
    ['*,!host', 'host', false],
    ['*,!host', 'other', true],
    ['!a*,*', 'other', true],
    ['[host]:2222', '[host]:2222', true],
    ['[*]:2222', '[host]:2222', true],
    ['host', '[host]:2222', false],
  ] as const) {
    it(`${JSON.stringify(hosts)}: ${name} ${expected ? 'is' : 'is not'}`, () =>
      assert.equal(isFor(hosts, name), expected))
  }

  it('where its name is hashed', () => {
    const salt = Buffer.from('twenty bytes of salt')
    const hash = createHmac('sha1', salt).update('host').digest('base64')
    const hashed = `|1|${salt.toString('base64')}|${hash}`
    assert.ok(isFor(hashed, 'host'))
    for (const [hosts, name] of [
      [hashed, 'other'],
      [`x${hashed}`, 'host'],
      [`${hashed}|x`, 'host'],
      [`${hashed},host`, 'other'],
    ] as const)
      assert.ok(!isFor(hosts, name), hosts)
  })
})

describe('What was pasted is made an entry', () => {
  const remote = parseRemote('ssh://user@host.example:2222/x') ?? assert.fail()
  const name = '[host.example]:2222'
  const entry = `${name} ${ed25519}\n`
  const both = `${entry}${name} ${rsa}\n`
  for (const [what, pasted, expected] of [
    ['without its host', ed25519, entry],
    ['without its host, with a comment', `${ed25519} root@host ${rsa} root@host`, both],
    ['with a user', `user@host.example:2222 ${ed25519}`, entry],
    ['with the port of others', `host.example:2222 ${ed25519}`, entry],
    ['with a comma behind a name', `,host.example:2222, ${ed25519}`, entry],
    ['with names of others', `a,host.example:2222 ${ed25519}`, `a,${entry}`],
    ['with a quoted key', `'${name}' "${ed25519}"`, entry],
    ['with what ssh-keyscan says', `# host.example:2222 SSH-2.0-OpenSSH_9.8 ${entry.trim()} # x`, entry],
    ['with what ssh-keyscan says twice', `# a SSH-2.0-x ${entry.trim()} # b SSH-2.0-x ${name} ${rsa}`, both],
    ['with blanks in what ssh-keyscan says', `#  a \t SSH-2.0-x ${entry}`, entry],
    ['with a comment right behind', `${name} ${ed25519}#x`, entry],
    ['with another behind it', `${entry.trim()} elsewhere ${other}`, `${entry}elsewhere ${other}\n`],
    ['with a user of another', `${entry}  ada@elsewhere ${other}`, `${entry}elsewhere ${other}\n`],
    ['beside a hashed one', `|1|eA==|eA+/ ${other}\n${entry}`, `|1|eA==|eA+/ ${other}\n${entry}`],
    ['with a comment', `${name} ${ed25519} # ${name} ${other}`, entry],
    ['with a marker', `@cert-authority *.example:2222 ${ed25519}`, `@cert-authority [*.example]:2222 ${ed25519}\n`],
    ['with a marker and no host', `@cert-authority ${ed25519}`, `@cert-authority ${entry}`],
    ['with a marker that is none', `@what ${ed25519} ${entry}`, entry],
    ['with brackets and no port', `[a] ${other}\n${entry}`, `a ${other}\n${entry}`],
    ['with port 22', `[a]:22 ${other}\n${entry}`, `a ${other}\n${entry}`],
    ['beside a damaged one', `${name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA ${entry}`, entry],
    ['as base64', base64(entry), entry],
    ['as base64 of base64', base64(base64(entry)), entry],
    ['of the bare host', `host.example ${ed25519}\nelsewhere ${other}`, `${entry}elsewhere ${other}\n`],
  ] as const) {
    it(what, () => assert.equal(normalizeKnownHosts(pasted, remote), expected))
  }

  for (const [what, pasted, message] of [
    ['nothing', ' "" ', /^KNOWN_DEPLOYMENT_HOSTS is empty\.$/],
    ['an OpenSSH key', '-----BEGIN OPENSSH PRIVATE KEY-----\nx', /^KNOWN_DEPLOYMENT_HOSTS is a private key; it should/],
    ['a key of another form', '-----BEGIN PRIVATE KEY-----', / is a private key; /],
    ["PuTTY's key", 'PuTTY-User-Key-File-3: ssh-ed25519', / is a private key; /],
    ['words', 'host.example', /^KNOWN_DEPLOYMENT_HOSTS has no line with a whole host key\.$/],
    ['others', `a ${ed25519}\na ${rsa}\nb ${other}`, / has no line for \[host\.example\]:2222, only for a, b\.$/],
    ['what is no port', `host.example:2222x ${ed25519}`, /, only for host\.example:2222x\.$/],
    ['a hashed name', `|1|eA==|eA== ${ed25519}`, /, only for a hashed name\.$/],
    ['a revoked key', `@revoked ${name} ${ed25519}`, / has no line for \[host\.example\]:2222, only for \[host\.exam/],
    ['base64 of base64 of base64', base64(base64(base64(entry))), / has no line with a whole host key\.$/],
  ] as const) {
    test(`but ${what} is refused`, () =>
      assert.throws(
        () => normalizeKnownHosts(pasted, remote),
        error => {
          const { message: said, exitCode, fix } = error as Failure
          assert.match(said, message)
          assert.equal(exitCode, 2)
          assert.match(fix ?? '', /^run setup-ssh, which prints the lines for \[host\.example\]:2222, or take them/)
          return true
        },
      ))
  }
})

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
