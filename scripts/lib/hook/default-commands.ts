import type { Context } from './context.ts'
import { toText, withoutSlash } from './git-paths.ts'
import { findMissingTargets, makefileNames, type Sources } from './make-targets.ts'
import type { HookSettings } from './settings.ts'

type Place = Pick<Context, 'settings' | 'releases' | 'repository'>
type Unset = HookSettings['unset'][number]

/** What each command is for, in words for people. */
const purpose: Record<Unset, string> = {
  INSTALL_DEPS: 'the command that installs what the application needs',
  UPGRADE_DB: 'the command that upgrades its database',
}

/**
 * Looks which of the commands that nobody has set would find no target in a commit's Makefile.
 *
 * @returns what is missing and what to do, for people; undefined where nothing is, or where that cannot be told
 */
export async function findUnset(names: readonly Unset[], commit: string, context: Place) {
  const { settings, repository } = context
  const lacking = (sources: Sources) => names.filter(name => findMissingTargets(settings[name], sources).length > 0)
  // To list what is there beside the commit takes longer, and most need not.
  if (lacking(await repository.sources(commit)).length === 0) return undefined
  const sources = await findSources(commit, context)
  const found = lacking(sources)
  if (found.length === 0) return undefined
  const targets = found.flatMap(name => findMissingTargets(settings[name], sources))
  const lack = targets.includes('Makefile')
    ? `${commit} has no Makefile`
    : `the Makefile of ${commit} has no target ${targets.join(' and no ')}`
  return {
    what: `${found.join(' and ')} ${found.length > 1 ? 'are' : 'is'} not set, and ${lack}.`,
    fix: `set ${found.map(name => `${name} to ${purpose[name]}`).join(', and ')}, or to nothing`,
  }
}

/** What the steps would find of a commit. What they find beside its own files counts, too. */
export async function findSources(commit: string, { settings, releases, repository }: Place): Promise<Sources> {
  // With these make may read other files: as if there were one that cannot be read.
  if ('MAKEFILES' in process.env || 'MAKEFLAGS' in process.env) return { makefile: undefined, names: makefileNames }
  const { SHARED_PATHS, KEEP_PATHS } = settings
  const { names, makefile } = await repository.sources(commit)
  const served = releases.isInPlace ? releases.serving()?.workTree : undefined
  const untracked = served && !served.isEmpty() ? await served.untracked(commit) : []
  return { makefile, names: [...names, ...SHARED_PATHS, ...KEEP_PATHS, ...untracked.map(withoutSlash).map(toText)] }
}
