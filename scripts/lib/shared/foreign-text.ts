import { stripVTControlCharacters } from 'node:util'

/**
 * Text from outside, so that it cannot pass for our own: each line is indented, a carriage return begins a new line, and
 * what moves the cursor is removed.
 */
export function quote(text: string): string {
  return harmless(text.replace(/\r\n|[\r\v\f\u0085\u2028\u2029]/g, '\n'))
    .replace(/\n$/, '')
    .replace(/^(?=.)/gm, '    ')
}

/** Text that is shown as it comes, without what moves a terminal's cursor or commands the terminal. */
export const harmless = (text: string) =>
  stripVTControlCharacters(text).replace(/[^\P{Cc}\t\n]|[\u202a-\u202e\u2066-\u2069]/gu, '')

/** Text from outside on one line, for the middle of a sentence of ours. */
export const flatten = (text: string) => quote(text).replace(/\s+/g, ' ').trim()

/** One word for sh, in which no character has a meaning of its own. */
export const quoteForSh = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
