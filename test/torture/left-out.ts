/** PUSHLIVE_TORTURE_WITHOUT: the names, from history.ts, look.ts and promise.ts, of what the histories are without. */
export const leftOut: ReadonlySet<string> = new Set(process.env.PUSHLIVE_TORTURE_WITHOUT?.split(', '))
