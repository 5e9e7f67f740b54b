/** What make would find in a commit. */
export interface Sources {
  /** Files and folders at the top. */
  readonly names: readonly string[]
  /** What make would read; undefined where there is none, or where that is no plain file. */
  readonly makefile: string | undefined
}

/** Makefiles in make's order of search. */
export const makefileNames = ['GNUmakefile', 'makefile', 'Makefile'] as const

/**
 * What a command asks make for that it would not find. Nothing is run: a Makefile may start programs as soon as make reads
 * it. So whatever cannot be told from its text counts as there.
 */
export function findMissingTargets(command: string, { names, makefile }: Sources): string[] {
  const targets = readTargets(command)
  if (targets === undefined) return []
  if (makefile === undefined) {
    return names.some(name => /makefile|configure|cmake|autogen|bootstrap|meson/i.test(name)) ? [] : ['Makefile']
  }
  // make takes a file that is there for made, and by its own rules makes one of another whose name only ends differently.
  const isMade = (target: string) => names.some(name => name === target || name.startsWith(`${target}.`))
  return targets.filter(target => !isMade(target) && !mayHaveRule(makefile, target))
}

/**
 * The targets of all calls of make in a command, as far as its words stand for themselves in any shell; undefined where
 * there is no such call.
 */
function readTargets(command: string): string[] | undefined {
  const calls: string[][] = []
  for (const part of command.split(/&&|;|\n/)) {
    // It may go on in another folder, or only in some cases.
    if (/[(){}]|\b(cd|pushd|if|for|while|until|case|exit)\b/.test(part)) break
    const [program, ...words] = part.trim().split(/\s+/)
    const plain = /^(-[skB]|-j\d*|--silent|--quiet|--no-print-directory|\w+=[\w.:/-]*)$/
    const targets = words.filter(word => !plain.test(word))
    if (program === 'make' && targets.every(word => /^\w[\w.-]*$/.test(word))) calls.push(targets)
  }
  return calls.length > 0 ? calls.flat() : undefined
}

/** Whether a Makefile has a rule for a target, or has what may bring one. */
function mayHaveRule(makefile: string, target: string): boolean {
  const lines = makefile.replace(/\\\r?\n/g, ' ').split(/\r?\n/)
  return lines
    .filter(line => !line.startsWith('\t'))
    .map(line => line.replace(/#.*/, ''))
    .some(line => {
      if (/^\s*-?(s?include|load)\b|^\s*\$|\beval\b|^\.RECIPEPREFIX|^\.DEFAULT\s*:/.test(line)) return true
      const [, targets = '', needed = ''] = /^([^:=]+?)\s*&?::?(?![:=])(.*)$/.exec(line) ?? []
      const words = (targets.trim() === '.PHONY' ? needed : targets).split(/\s+/)
      return words.some(word => word === target || word.includes('$') || isPatternOf(word, target))
    })
}

function isPatternOf(word: string, target: string): boolean {
  const [start = '', end] = word.split('%')
  return end !== undefined && target.startsWith(start) && target.endsWith(end)
}
