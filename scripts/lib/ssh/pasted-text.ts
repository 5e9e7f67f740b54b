/**
 * What a secret's text was before it went through editors, clipboards, YAML and JSON: without a byte order mark, with
 * plain line ends, without the quotes around it.
 */
export function unmangle(text: string): string {
  return text
    .replace(/\p{Cf}/gu, '') // the byte order mark is one of these, and so is a zero-width space
    .replace(/\\+r\\+n|\\+[rn]|\r\n?/g, '\n')
    .trim()
    .replace(/^(["'`])(.*)\1$/s, '$2')
    .trim()
}

/** The text behind base64, as `base64 < file` or `openssl base64` make it; undefined where there is none. */
export function decodeBase64(text: string): string | undefined {
  const packed = text.replace(/\s/g, '')
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(packed)) return undefined
  const decoded = Buffer.from(packed, 'base64').toString('utf8')
  return /[^\P{Cc}\s]|\ufffd/u.test(decoded) ? undefined : decoded
}
