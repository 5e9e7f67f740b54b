/** What `post-receive settings` does; setup-ssh asks for it by the same words. */
export const settingsVerbs = ['set', 'unset', 'get'] as const

export type SettingsVerb = (typeof settingsVerbs)[number]

export const isSettingsVerb = (word: string | undefined): word is SettingsVerb =>
  settingsVerbs.some(verb => verb === word)

/**
 * Its input: a line each, NAME=VALUE for `set`, NAME for the others. Not its arguments, which every user of the machine
 * can read.
 */
export const formatSettingsInput = (words: readonly string[]) => words.map(word => `${word}\n`).join('')

export const parseSettingsInput = (text: string): readonly string[] => text.split('\n').filter(Boolean)

/** What a shell, systemd and dotenv take for the name of a variable. */
export const isVariableName = (name: string) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
