import type { KeyObject } from 'node:crypto'
import { exitCode, Failure } from '../shared/program.ts'
import { SshReader, sshString } from './key-blob.ts'
import { decodeBase64, unmangle } from './pasted-text.ts'

/**
 * A private key as OpenSSH reads it, made of what arrives when people paste one into a CI's secrets: CRLF, byte order
 * mark, no last newline, indentation, quotes, literal `\n`, all on one line, base64 of the file. OpenSSH itself says
 * `error in libcrypto` to most of these.
 *
 * No message holds a part of the text. That goes for `cause` too.
 *
 * @param name what the messages call the key
 * @throws Failure (usage) for what cannot be a key that works without a passphrase
 */
export function normalizePrivateKey(text: string, name = 'SSH_DEPLOYMENT_KEY'): string {
  let pasted = unmangle(text)
  for (let depth = 0; depth < 2 && !pasted.includes('PRIVATE'); depth++) {
    pasted = unmangle(decodeBase64(pasted) ?? pasted)
  }
  const problem = (what: string, fix: string) => new Failure(exitCode.usage, `${name} ${what}`, { fix })
  const wholeFile = `give ${name} the whole text of the private key's file, from its BEGIN line to its END line`

  if (pasted === '') throw problem('is empty.', wholeFile)
  if (/^PuTTY-User-Key-File/m.test(pasted)) {
    throw problem('is a PuTTY key, which OpenSSH does not read.', 'in PuTTYgen: Conversions, Export OpenSSH key')
  }
  const marks = findMarks(pasted)
  if (marks.kind === undefined) {
    if (isPublicKey(pasted)) {
      throw problem('is a public key.', 'take the private one: the file of the same name without .pub')
    }
    throw problem('is not a private key: it has no BEGIN line.', wholeFile)
  }
  if (marks.kind === 'ENCRYPTED' || /Proc-Type:.*ENCRYPTED/.test(marks.body)) throw hasPassphrase()
  if (!marks.hasEnd) throw problem('is cut off: it has no END line.', wholeFile)

  // Header lines belong to the base64 below them, and no key that works without a passphrase needs them.
  const base64 = marks.body.replace(/^[\t ]*[A-Za-z-]+:.*/gm, '').replace(/[\s"'`\\,]/g, '')
  const bytes = Buffer.from(base64, 'base64')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw base64 === '' ? problem('is cut off: there is nothing between BEGIN and END.', wholeFile) : damaged()
  }
  return marks.kind === 'OPENSSH' ? openSsh(bytes) : pem(bytes, marks.kind)

  function openSsh(bytes: Buffer): string {
    try {
      const key = readOpenSsh(bytes)
      if (key.isEncrypted) throw hasPassphrase()
      if (key.type.startsWith('sk-')) {
        throw problem('belongs to a security key, which a CI does not have.', 'make a key of its own: setup-ssh')
      }
    } catch (error) {
      if (error instanceof RangeError) throw damaged()
      throw error
    }
    return wrap('OPENSSH PRIVATE KEY', bytes, 70)
  }

  function pem(bytes: Buffer, kind: string): string {
    const text = wrap(`${kind} PRIVATE KEY`.trimStart(), bytes, 64)
    let key: KeyObject
    try {
      key = process.getBuiltinModule('node:crypto').createPrivateKey(text)
    } catch {
      throw damaged()
    }
    const type = key.asymmetricKeyType
    if (type === 'ed25519') return wrap('OPENSSH PRIVATE KEY', openSshEd25519(key), 70)
    const curve = key.asymmetricKeyDetails?.namedCurve
    if (type === 'rsa' || (type === 'ec' && /^(prime256v1|secp384r1|secp521r1)$/.test(curve ?? ''))) return text
    throw problem(`is a key that ssh cannot use (${curve ?? type}).`, 'make one for ssh: setup-ssh')
  }

  function damaged() {
    return problem('is damaged or cut off: its lines do not make a key.', wholeFile)
  }

  function hasPassphrase() {
    return problem(
      'has a passphrase, and a CI cannot type one.',
      "make a key without one (setup-ssh), or remove it from a copy: ssh-keygen -p -N '' -f COPY",
    )
  }
}

/** What the BEGIN line names (`''` for PKCS8), and what is between it and the END line. */
function findMarks(text: string): { kind?: string; body: string; hasEnd: boolean } {
  const mark = (word: string) => new RegExp(`-*\\s*${word}\\s*(OPENSSH|RSA|EC|DSA|ENCRYPTED|)\\s*PRIVATE\\s*KEY[\\s-]*`)
  const begin = mark('BEGIN').exec(text)
  if (begin === null) return { body: '', hasEnd: false }
  const body = text.slice(begin.index + begin[0].length)
  const end = mark('END').exec(body)
  return { kind: begin[1] as string, body: body.slice(0, end?.index), hasEnd: end !== null }
}

function isPublicKey(text: string): boolean {
  return /^\s*(ssh-|ecdsa-sha2-|sk-)\S+\s+AAAA|\bBEGIN\s+(\S+\s+)*PUBLIC\s+KEY/.test(text)
}

function wrap(label: string, bytes: Buffer, width: number): string {
  const body = bytes.toString('base64').replace(new RegExp(`.{${width}}(?=.)`, 'g'), '$&\n')
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`
}

const magic = 'openssh-key-v1\0'

/** OpenSSH's PROTOCOL.key. @throws RangeError for what is not whole */
function readOpenSsh(bytes: Buffer): { isEncrypted: boolean; type: string } {
  if (bytes.subarray(0, magic.length).toString('latin1') !== magic) throw new RangeError('no magic')
  const reader = new SshReader(bytes, magic.length)
  const cipher = reader.string().toString('latin1')
  reader.string() // the name of the key derivation function
  reader.string() // and its options
  if (reader.number() !== 1) throw new RangeError('not one key')
  const type = new SshReader(reader.string()).string().toString('latin1')
  const secret = reader.string()
  if (cipher !== 'none') return { isEncrypted: true, type }
  const check = new SshReader(secret)
  const [first, second] = [check.number(), check.number()]
  const isSound = first === second && check.string().toString('latin1') === type
  if (!isSound || reader.rest().length > 0) throw new RangeError('damaged')
  return { isEncrypted: false, type }
}

/** OpenSSH reads an ed25519 key from PKCS8, which openssl writes, from version 9.6 on only. */
function openSshEd25519(key: KeyObject): Buffer {
  const { d = '', x = '' } = key.export({ format: 'jwk' })
  const seed = Buffer.from(d, 'base64url')
  const point = Buffer.from(x, 'base64url')
  const type = sshString('ssh-ed25519')
  // The two numbers need only be equal. Padding counts 1, 2, 3 ... up to a multiple of eight.
  const secret = Buffer.concat([
    Buffer.alloc(8),
    type,
    sshString(point),
    sshString(Buffer.concat([seed, point])),
    sshString(''),
  ])
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, -secret.length & 7)
  return Buffer.concat([
    Buffer.from(magic),
    sshString('none'),
    sshString('none'),
    sshString(''),
    Buffer.from([0, 0, 0, 1]),
    sshString(Buffer.concat([type, sshString(point)])),
    sshString(Buffer.concat([secret, padding])),
  ])
}
