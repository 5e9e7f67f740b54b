/** What the hook does not keep yet, by its names in history.ts, look.ts and promise.ts: the histories are without it. */
const awaited: readonly string[] = ['the server does not follow', 'is not checked']

const { PUSHLIVE_TORTURE_WITHOUT } = process.env
export const leftOut: ReadonlySet<string> = new Set(PUSHLIVE_TORTURE_WITHOUT?.split(', ') ?? awaited)
