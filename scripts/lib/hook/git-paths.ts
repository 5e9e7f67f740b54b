/*
 * Paths as bytes: a character for each byte, because a file's name need not be UTF-8. Only so does a path that git names
 * lead to the file that git means.
 */

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
}

/** A path as git prints it with core.quotePath: what is not ASCII is escaped, so no part of it can be cut in two. */
export function unquotePath(printed: string): string {
  if (!printed.startsWith('"')) return printed
  return printed
    .slice(1, -1)
    .replace(/\\(?:([0-7]{3})|(.))/g, (_, octal?: string, letter = '') =>
      octal === undefined ? (escapes[letter] ?? letter) : String.fromCharCode(Number.parseInt(octal, 8)),
    )
}

/** The folders that a path lies in, the outermost first; of one that ends with a slash that folder, too. */
export function foldersAbove(path: string): string[] {
  const words = path.split('/')
  return words.slice(1).map((_, index) => words.slice(0, index + 1).join('/'))
}

export const toBytes = (path: string) => Buffer.from(path, 'latin1')
export const toText = (path: string) => toBytes(path).toString()
export const fromText = (text: string) => Buffer.from(text).toString('latin1')
