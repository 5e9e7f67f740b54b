/** A string of ssh's wire format (RFC 4251, section 5): its length in four bytes, then itself. */
export function sshString(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Takes strings and numbers of ssh's wire format from the front of a blob. @throws RangeError where it is cut off */
export class SshReader {
  #offset: number
  readonly #bytes: Buffer

  constructor(bytes: Buffer, offset = 0) {
    this.#bytes = bytes
    this.#offset = offset
  }

  number(): number {
    const number = this.#bytes.readUInt32BE(this.#offset)
    this.#offset += 4
    return number
  }

  string(): Buffer {
    const length = this.number()
    const end = this.#offset + length
    if (end > this.#bytes.length) throw new RangeError('cut off')
    const string = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return string
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#offset)
  }
}

/** `ssh-ed25519`, `ssh-rsa` ...: what a public key says of itself; undefined for what is not a whole public key. */
export function keyTypeOf(blob: string): string | undefined {
  try {
    const reader = new SshReader(Buffer.from(blob, 'base64'))
    const type = reader.string().toString('latin1')
    while (reader.rest().length > 0) reader.string()
    return type
  } catch {
    return undefined
  }
}

/** The key itself in a public key's line, without type and comment. */
export function blobOf(publicKey: string): string | undefined {
  return publicKey.split(/\s+/)[1]
}

/** As `ssh-keygen -l` shows it. */
export function fingerprint(blob: string): string {
  const { createHash } = process.getBuiltinModule('node:crypto')
  const hash = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64')
  return `SHA256:${hash.replace('=', '')}`
}
