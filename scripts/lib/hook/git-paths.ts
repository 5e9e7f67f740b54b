import { lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/*
 * A file's name need not be UTF-8: a path that git or the file system names leads to the same file again only as the bytes
 * that it was. git prints and reads it quoted (core.quotePath), so that nothing decodes it on the way.
 */

declare const bytes: unique symbol

/**
 * A path as bytes: a string with a character for each of them. To the compiler it is a symbol, which it lets into no call
 * of the file system, no message and no template. `inside` is the way to the file, and `toText` to the reader.
 */
export type GitPath = symbol & { readonly [bytes]: true }

const wrap = (path: string) => path as unknown as GitPath
const unwrap = (path: GitPath) => path as unknown as string
const toBytes = (path: GitPath) => Buffer.from(unwrap(path), 'latin1')

export const toText = (path: GitPath) => toBytes(path).toString()
export const fromText = (text: string) => wrap(Buffer.from(text).toString('latin1'))

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
export function unquotePath(printed: string): GitPath {
  if (!printed.startsWith('"')) return wrap(printed)
  const path = printed
    .slice(1, -1)
    .replace(/\\(?:([0-7]{3})|(.))/g, (_, octal?: string, letter = '') =>
      octal === undefined ? (escapes[letter] ?? letter) : String.fromCharCode(Number.parseInt(octal, 8)),
    )
  return wrap(path)
}

/** A path for a command of git's that reads one in each line. */
export const quotePath = (path: GitPath) =>
  `"${unwrap(path).replace(/[^\w./-]/g, byte => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`)}"`

/** Paths that git prints with core.quotePath, one in each line. */
export const readPaths = (printed = '') => printed.split('\n').filter(Boolean).map(unquotePath)

/** Where a path lies in a folder, for the file system. */
export const inside = (folder: string | Buffer, path: GitPath | Buffer) =>
  Buffer.concat([Buffer.from(folder), Buffer.from('/'), Buffer.isBuffer(path) ? path : toBytes(path)])

/** The folder that a path of the file system lies in. */
export const parentOf = (path: Buffer) => path.subarray(0, path.lastIndexOf('/'))

export const namesIn = (folder: string | Buffer) => readdirSync(folder, { encoding: 'latin1' }).map(wrap)

/** Only Node's native one keeps the bytes. */
export const realPath = (path: string | Buffer) => wrap(realpathSync.native(path, { encoding: 'latin1' }))

/** Where a link says that it leads, whether anything is there or not. */
export const targetOf = (link: string) =>
  toBytes(wrap(resolve(unwrap(fromText(dirname(link))), readlinkSync(link, { encoding: 'latin1' }))))

/** The path of a name in a folder. */
export const below = (folder: GitPath, name: GitPath) => wrap(`${unwrap(folder)}/${unwrap(name)}`)

/** The files at or below a path in a folder. No link is followed. */
export function filesAt(folder: string, path: GitPath): GitPath[] {
  const here = inside(folder, path)
  if (!lstatSync(here, { throwIfNoEntry: false })?.isDirectory()) return [path]
  return namesIn(here).flatMap(name => filesAt(folder, below(path, name)))
}

/** Where a path lies in a folder; undefined if it does not. */
export function pathWithin(folder: GitPath, path: GitPath): GitPath | undefined {
  const start = `${unwrap(folder)}/`
  return unwrap(path).startsWith(start) ? wrap(unwrap(path).slice(start.length)) : undefined
}

/** git ends the path of a folder with a slash. */
export const isFolderPath = (path: GitPath) => unwrap(path).endsWith('/')
export const withSlash = (path: GitPath) => wrap(`${unwrap(path)}/`)
export const withoutSlash = (path: GitPath) => wrap(unwrap(path).replace(/\/$/, ''))

/** The outermost folder that a path lies in, or the path itself, as git lists it. */
export function topOf(path: GitPath): GitPath {
  const [folder] = foldersAbove(path)
  return folder ? withSlash(folder) : path
}

/** The folders that a path lies in, the outermost first; of one that ends with a slash that folder, too. */
export function foldersAbove<Path extends GitPath | string>(path: Path): Path[] {
  const words = String(path).split('/')
  return words.slice(1).map((_, index) => words.slice(0, index + 1).join('/') as Path)
}

/** A tree may name paths outside of the folder, or git's own. */
export const canBeWritten = (path: GitPath) => !/(^|\/)(|\.|\.\.|\.git)(\/|$)/i.test(unwrap(path))
