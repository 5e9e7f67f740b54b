import type { Process } from '../kinds/kind.ts'
import type { Place } from '../place.ts'
import { gunicornConfiguration, restartGunicorn } from '../texts/gunicorn.ts'
import { fill } from './fill.ts'
import type { Listen, Started } from './start.ts'

/** For logins without root: the hook itself starts gunicorn, and a new master takes over from the old one. */
export function gunicorn(place: Place, { wsgi = 'wsgi:application' }: Process, listen: Listen): Started {
  const configuration = fill(gunicornConfiguration, place, listen)
  return {
    restart: `/bin/sh ${place.files}/restart-gunicorn.sh`,
    comment: 'A new gunicorn takes over from the old one, which serves until then.',
    packages: [],
    files: {
      'gunicorn.conf.py': configuration.replace('"wsgi:application"', () => `"${wsgi}"`),
      'restart-gunicorn.sh': fill(restartGunicorn, place, listen),
    },
    asRoot: [],
  }
}
