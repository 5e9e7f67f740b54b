import { flatten } from '../shared/foreign-text.ts'

/** Who has started a deployment, and where that can be looked at: what the CI says, which nobody vouches for. */
export interface Origin {
  readonly by?: string | undefined
  /** An http address. */
  readonly run?: string | undefined
}

/** What an ask's object holds, in place of the empty tree. */
export const formatOrigin = (origin: Origin) => JSON.stringify(origin)

/** Longer ones are nobody's name, and no address of a run. */
export const longestOrigin = 2048

/** Nothing for whatever is no origin. */
export function parseOrigin(text: string): Origin {
  try {
    const { by, run }: Origin = JSON.parse(text)
    return {
      by: typeof by === 'string' ? flatten(by) : undefined,
      run: typeof run === 'string' && /^https?:\/\/[\x21-\x7e]+$/.test(run) ? run : undefined,
    }
  } catch {
    return {}
  }
}
