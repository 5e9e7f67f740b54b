import type { Process } from '../kinds/kind.ts'
import type { Place } from '../place.ts'
import { ecosystem, start } from '../texts/pm2.ts'
import { fill } from './fill.ts'
import type { Listen, Started } from './start.ts'

/** pm2 in cluster mode, which starts new workers before it ends the old ones. */
export function pm2(place: Place, { script = 'server.js', environment }: Process, listen: Listen): Started {
  const { user, files } = place
  const env = Object.entries({ ...environment, PORT: listen.port }).map(([name, value]) => `${name}: '${value}'`)
  const home = user === 'root' ? '/root' : `/home/${user}`
  return {
    // pm2's own process stays in the folder where it was started.
    restart: `cd ${files} && pm2 startOrReload ecosystem.config.cjs --update-env && pm2 save`,
    comment: 'New workers start, and each old one ends as soon as a new one listens.',
    packages: [],
    files: {
      'ecosystem.config.cjs': fill(ecosystem, place, listen).replace(
        "exec_mode: 'cluster',",
        found => `env: { ${env.join(', ')} },\n      ${found}`,
      ),
      'start.cjs': fill(start, place, listen).replace('/server.js', () => `/${script}`),
    },
    asRoot: [
      'command -v pm2 >/dev/null || npm install --global --no-audit --no-fund pm2',
      '# It is started again after a reboot.',
      `pm2 startup systemd -u ${user} --hp ${home} >/dev/null`,
    ],
  }
}
