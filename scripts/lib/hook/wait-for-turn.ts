import { join } from 'node:path'
import { type Ask, isRollback } from '../protocol/asks.ts'
import type { Context } from './context.ts'
import { Journal } from './journal.ts'
import type { Relay } from './relay.ts'
import { lockedFolder, readHookSettings } from './settings.ts'
import { takeTurn } from './turn.ts'

/** What a push asks for. */
export interface Asked {
  readonly ask: Ask
  /** The object that the ask's ref points at, which may name its origin. */
  readonly object: string | undefined
  readonly branch: string
  readonly gitDir: string
  readonly relay: Relay
}

/**
 * Waits until no other deployment runs, and looks at what is there then. The turn lasts until it is disposed of.
 *
 * @throws Failure where a setting is wrong, or a folder cannot be locked
 */
export async function waitForTurn({ gitDir, ask, branch, relay, object }: Asked): Promise<Context & Disposable> {
  const settings = readHookSettings(gitDir)
  const ownFolder = join(gitDir, 'pushlive')
  const journal = new Journal(join(ownFolder, 'journal'))
  const arrival = journal.arrival()
  const loading = import('./repository.ts').then(({ Repository }) => new Repository(gitDir))
  const tipAtArrival = isRollback(ask.verb) ? await (await loading).findCommit(`refs/heads/${branch}`) : undefined
  const takingTurn = takeTurn([ownFolder, lockedFolder(settings)], ask, journal, relay)
  // flock runs while zx is loaded.
  const [endTurn, repository] = await Promise.all([takingTurn, loading])
  try {
    const { Releases } = await import('./releases.ts')
    const releases = new Releases(settings, gitDir)
    repository.cleanUp(branch)
    const refs = await repository.refs(branch)
    await repository.removeAsks(refs.asks)
    const last = journal.read()
    const found = {
      ask,
      object,
      branch,
      settings,
      journal,
      arrival,
      tipAtArrival,
      last,
      refs,
      repository,
      releases,
      relay,
    }
    return { ...found, [Symbol.dispose]: endTurn }
  } catch (error) {
    endTurn()
    throw error
  }
}
