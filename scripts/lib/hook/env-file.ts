import dotenv from 'dotenv'
import { cutFix, type EnvFile, readEnvLines } from '../shared/settings.ts'
import { settingNames } from './settings.ts'

/** What the hook's `.env` sets, and each of its lines that says something else than it seems to, with what to do. */
export interface HookEnvFile {
  readonly values: Readonly<Record<string, string>>
  readonly problems: readonly string[]
}

/**
 * Reads the hook's settings, from `.env` in the current directory or from another file. No value is shown: it may be
 * secret.
 *
 * @throws Failure (usage) where the file is there and cannot be read
 */
export const readHookEnvFile = (file?: string): HookEnvFile => lookAtEnvLines(readEnvLines(file))

/** The same where the file is read already, or not written yet. */
export function lookAtEnvLines({ text, values, cut }: EnvFile): HookEnvFile {
  const problems = cut.map(name => `${name} would end at the #. To do: ${cutFix}.`)
  const idle = findIdleLines(text, values)
  if (idle.length > 0) {
    problems.push(
      `${idle.join(', ')} of the settings sets nothing: a setting is NAME=VALUE. To do: write it so, or # before it.`,
    )
  }
  problems.push(...findOddQuotes(text, values))
  for (const [name, value] of Object.entries(values)) {
    // What decoding has left of it would name another file, or be another password.
    if (value.includes('\ufffd')) problems.push(`${name} is not UTF-8. To do: save the settings as UTF-8.`)
    const meant = findMeant(name)
    if (meant === undefined || meant in values) continue
    problems.push(
      `${name} is no setting of pushlive. To do: rename it to ${meant}; if you mean both, set ${meant}, too.`,
    )
  }
  return { values, problems }
}

/** Lines without which the file says the same. */
function findIdleLines(text: string, values: Readonly<Record<string, string>>): string[] {
  const lines = text.replace(/\r\n?/g, '\n').split('\n')
  const isSame = (other: Readonly<Record<string, string>>) => {
    const names = Object.keys(other)
    return names.length === Object.keys(values).length && names.every(name => other[name] === values[name])
  }
  return lines.flatMap((line, index) => {
    if (/^\uFEFF?\s*(#|$)/.test(line) || nameIn(line) !== '') return []
    if (!isSame(dotenv.parse(lines.toSpliced(index, 1).join('\n')))) return []
    const first = /^\s*(?:export\s+)?([A-Za-z_]+)/.exec(line)?.[1] ?? ''
    return `line ${index + 1}${settingNames.has(first) ? ` (${first})` : ''}`
  })
}

/** Values whose quotes dotenv reads in another way than bash. No quote can be escaped, but there are three kinds. */
function findOddQuotes(text: string, values: Readonly<Record<string, string>>): string[] {
  const others = 'To do: put the value between quotes of another kind: \' " or `.'
  const quoted = /^\s*(?:export\s+)?([\w.-]+)\s*=[^\S\n]*(["'`])((?:\\\2|(?!\2)[\s\S])*)\2(.*)$/gm
  const inQuotes = [...text.matchAll(quoted)].flatMap(([, name = '', quote = '', inside = '', rest = '']) => {
    if (!settingNames.has(name)) return []
    if (inside.includes(`\\${quote}`) || rest.startsWith('\\')) {
      return `${name} has quotes in quotes, and keeps the backslash before them. ${others}`
    }
    const isCut = values[name]?.startsWith(quote) && rest.split('#').slice(1).join('#').includes(quote)
    return isCut ? `${name} has quotes in quotes, and would end at the #. ${others}` : []
  })
  const open = Object.entries(values).flatMap(([name, value]) => {
    const swallowed = value
      .split('\n')
      .slice(1)
      .map(nameIn)
      .find(each => settingNames.has(each))
    if (swallowed) return `${name} ends only behind ${swallowed}. To do: close its quote.`
    const quote = settingNames.has(name) ? /^['"`]/.exec(value)?.[0] : undefined
    const isOpen = quote !== undefined && value.split(quote).length % 2 === 0
    return isOpen ? `${name} begins with a quote that is not closed. To do: close it, or write none.` : []
  })
  return [...inQuotes, ...open]
}

/** The name that a line sets. */
const nameIn = (line: string) => /^\s*(?:export\s+)?([\w.-]+)(?:\s*=|:\s)/.exec(line)?.[1] ?? ''

/** The setting of ours that a name looks like, but for an underscore, a letter's case, or one letter. */
function findMeant(name: string): string | undefined {
  if (settingNames.has(name)) return undefined
  const found = variants(name)
  return [...settingNames].find(each => variants(each).some(variant => found.includes(variant)))
}

/** A name's letters, and these without any one of them: names that differ by a letter, or by two that changed places, share one. */
function variants(name: string): string[] {
  const letters = name.toUpperCase().replace(/[^A-Z]/g, '')
  return [letters, ...[...letters].map((_, index) => letters.slice(0, index) + letters.slice(index + 1))]
}
