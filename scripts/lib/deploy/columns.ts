import { eastAsianWidth } from 'get-east-asian-width'

/** How many columns a terminal takes for a text. */
export const columnsOf = (text: string) =>
  charactersOf(text).reduce((sum, character) => {
    if (/^[\p{M}\p{Cf}]+$/u.test(character)) return sum
    return sum + (/\p{Emoji_Presentation}|\ufe0f/u.test(character) ? 2 : eastAsianWidth(character.codePointAt(0) ?? 0))
  }, 0)

/** As a reader takes them: an emoji or an accent may be of several code points. */
const charactersOf = (text: string) => Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)

export const pad = (text: string, width: number) => text + ' '.repeat(Math.max(0, width - columnsOf(text)))

export function cut(text: string, width: number): string {
  if (columnsOf(text) <= width) return text
  let kept = ''
  for (const character of charactersOf(text)) {
    if (columnsOf(kept + character) >= width) break
    kept += character
  }
  return `${kept}…`
}

/**
 * Lines of whole words. A word that is longer than a line has one of its own, which the terminal breaks. Blanks stay.
 *
 * @param blank what is between two words
 */
export function wrap(text: string, width: number, blank = ' '): string[] {
  const lines: string[] = []
  for (const word of text.trim().split(blank)) {
    const line = lines.at(-1)
    if (line !== undefined && columnsOf(line) + columnsOf(blank) + columnsOf(word) <= width)
      lines[lines.length - 1] = line + blank + word
    else lines.push(word)
  }
  return lines
}
