import { flatten } from '../shared/foreign-text.ts'

/** Who started a deployment, and the address of the run, as the CI says. The hook cannot check either. */
export interface Origin {
  readonly by?: string | undefined
  /** An http address. */
  readonly run?: string | undefined
}

/** What an ask's object holds, in place of the empty tree. */
export const formatOrigin = (origin: Origin) => JSON.stringify(origin)

/** Bytes. No name and no address of a run is longer. */
export const longestOrigin = 2048

/** Empty for a text that is no origin. */
export function parseOrigin(text: string): Origin {
  try {
    return readOrigin(JSON.parse(text))
  } catch {
    return {}
  }
}

/** What of it is right. */
export const readOrigin = ({ by, run }: { readonly by?: unknown; readonly run?: unknown }): Origin => ({
  by: typeof by === 'string' ? flatten(by) : undefined,
  run: typeof run === 'string' && /^https?:\/\/[\x21-\x7e]+$/.test(run) ? run : undefined,
})
