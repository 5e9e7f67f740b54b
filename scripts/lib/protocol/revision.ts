import { createHash } from 'node:crypto'
import { flatten } from '../shared/foreign-text.ts'

/** In bytes: one environment variable holds no more than 128 KiB on Linux. */
const longest = 120_000
const shownLines = 3

/**
 * What tells about the code, and changes where the database does not: what Alembic's `current` appends to a revision, what
 * Django's `showmigrations` prints of migrations that are not applied, and its mark of those that are.
 */
const aboutCode = /(?<=^\S+)( \((head|effective head|branchpoint|mergepoint)\))+$|^\[ \] .*|^\[X\] +/

/**
 * Where a database is, from all that DB_REVISION prints: the lines without white space around them, sorted, because the
 * order of several heads is not defined, and without what tells about the code. Nothing printed is a revision, too. What is too long is only told by its digest.
 */
export function parseRevision(printed: string): string {
  const lines = printed.replaceAll('\0', '').split('\n')
  const revision = lines.map(line => line.trim().replace(aboutCode, '')).filter(Boolean)
  const text = revision.sort().join('\n')
  return Buffer.byteLength(text) > longest ? digest(text) : text
}

const digest = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

/** Whether it only tells whether two revisions are the same: nothing can be taken back to it. */
export const isDigest = (revision: string) => /^sha256:[0-9a-f]{64}$/.test(revision)

/** Where a database is and where the code needs it; of long revisions only what they differ in. */
export function compareRevisions(found: string, wanted: string): string {
  const is = found.split('\n')
  const needs = wanted.split('\n')
  if (Math.max(is.length, needs.length) <= shownLines) {
    return `at ${describeRevision(found)}, the code needs ${describeRevision(wanted)}`
  }
  const lacks = needs.filter(line => !is.includes(line)).join('\n')
  const more = is.filter(line => !needs.includes(line)).join('\n')
  const parts = [lacks && `it lacks ${describeRevision(lacks)}`, more && `it has ${describeRevision(more)}`]
  return parts.filter(Boolean).join(', and ')
}

/** For the middle of a sentence. */
export function describeRevision(revision: string): string {
  if (revision === '') return 'no revision'
  const lines = revision.split('\n').map(flatten)
  const more = lines.length - shownLines
  return lines.slice(0, shownLines).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
