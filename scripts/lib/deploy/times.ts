const [minute, hour, day] = [60, 3600, 86_400]

/**
 * For people, in the units that matter. Not by Intl.DurationFormat: it neither rounds nor carries, and Node 20 and 22, on
 * which deploy.cjs runs, lack it.
 */
export function formatDuration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return 'an unknown time'
  // Rounded before it is divided, so that no 60 s are left.
  const tenths = Math.round(milliseconds / 100)
  const seconds = Math.round(milliseconds / 1000)
  if (tenths < 10 * minute) return `${(tenths / 10).toFixed(1)} s`
  if (seconds < 2 * hour) return `${Math.floor(seconds / minute)} min ${seconds % minute} s`
  if (seconds < 2 * day) return `${Math.round(seconds / hour)} h`
  return `${Math.round(seconds / day)} days`
}

/** In the largest unit that there is at least one of. @param milliseconds since then */
export function formatAge(milliseconds: number): string {
  const seconds = milliseconds / 1000
  if (!Number.isFinite(seconds)) return 'at an unknown time'
  const units = [
    [day, 'd'],
    [hour, 'h'],
    [minute, 'min'],
  ] as const
  const [length, unit] = units.find(([length]) => seconds >= length) ?? [1, 's']
  return `${Math.max(0, Math.floor(seconds / length))} ${unit} ago`
}

/** ISO 8601. A record is what someone pushed, and may have no time: undefined then. @param time milliseconds since 1970 */
export const formatInstant = (time: number) =>
  Number.isNaN(new Date(time).getTime()) ? undefined : new Date(time).toISOString()

/** To the minute, in UTC. */
export const formatMinute = (time: number) => formatInstant(time)?.slice(0, 16).replace('T', ' ') ?? 'unknown'
