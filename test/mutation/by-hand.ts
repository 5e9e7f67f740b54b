import { mutantsOfClient } from './by-hand-client.ts'
import { mutantsOfHookA } from './by-hand-hook-a.ts'
import { mutantsOfHookB } from './by-hand-hook-b.ts'
import type { MutantByHand } from './mutant.ts'

/** Promises that are broken on purpose, where changing everything in every way would take days: each would hurt. */
export const mutantsByHand: readonly MutantByHand[] = [...mutantsOfHookA, ...mutantsOfHookB, ...mutantsOfClient]
