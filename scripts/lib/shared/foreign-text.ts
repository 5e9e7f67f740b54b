import { stripVTControlCharacters } from 'node:util'

/**
 * Somebody else's text, so that it cannot pass for our own words: each line indented, a carriage return starts a line
 * of its own, and what moves the cursor is gone.
 */
export function quote(text: string): string {
  return harmless(text.replace(/\r\n|[\r\v\f\u0085\u2028\u2029]/g, '\n'))
    .replace(/\n$/, '')
    .replace(/^(?=.)/gm, '    ')
}

/** What is shown as it comes, without what moves a terminal's cursor, or does more. */
export const harmless = (text: string) =>
  stripVTControlCharacters(text).replace(/[^\P{Cc}\t\n]|[\u202a-\u202e\u2066-\u2069]/gu, '')

/** A quotation on one line, for the middle of a sentence of ours. */
export const flatten = (text: string) => quote(text).replace(/\s+/g, ' ').trim()

/** For sh, as one word that means nothing but itself. */
export const quoteForSh = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
