/** Markup of ours. All text from outside is escaped in it. */
export class Html {
  readonly markup: string
  constructor(markup: string) {
    this.markup = markup
  }
}

type Fragment = Html | string | number | undefined | false | readonly Fragment[]

/** A template of markup. Values are escaped, unless they are markup already; undefined and false are left out. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Fragment[]) =>
  new Html(strings.map((text, index) => text + render(parts[index])).join(''))

function render(part: Fragment): string {
  if (part === undefined || part === false) return ''
  if (part instanceof Html) return part.markup
  if (typeof part === 'string' || typeof part === 'number') return escapeHtml(String(part))
  return part.map(render).join('')
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, character => entities[character] ?? '')
