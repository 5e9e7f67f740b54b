import type { Process } from '../kinds/kind.ts'
import type { Place } from '../place.ts'
import { pool, site } from '../texts/php-fpm.ts'
import { fill } from './fill.ts'
import { enableSite, forOthers, hide, letThrough } from './nginx.ts'
import type { Listen, Started } from './start.ts'
import { byRoot } from './systemd.ts'

/** Debian's php-fpm with a pool of the application's own, behind nginx. */
export function phpFpm(place: Place, { documents = '' }: Process, listen: Listen): Started {
  const { name, workTree } = place
  const { restart, sudo } = byRoot(place, `/usr/bin/systemctl reload-or-restart ${name}-fpm`)
  const root = documents ? `${workTree}/${documents}` : workTree
  const listens = `    listen ${listen.host}:${listen.port};\n`
  return {
    restart,
    comment: 'The reload empties opcache, and waits for the requests that run; those that come meanwhile wait, too.',
    packages: ['nginx', 'php-fpm'],
    files: {
      'nginx.conf': fill(site, place, listen)
        .replace(`root ${workTree}/public;`, () => `root ${root};`)
        .replace(listens, () => `${listens}${forOthers}\n`)
        .replace(/}\n$/, () => `\n${hide(documents)}}\n`),
      'pool.conf': fill(pool, place, listen).replace(/;\n; {3}PATH_TO_GIT[\s\S]*?(?=\[global\])/, ''),
    },
    asRoot: [
      ...letThrough(workTree),
      '# The unit of the newest PHP that is installed, under a name that does not change with its version.',
      'php=$(find /etc/php -mindepth 2 -maxdepth 2 -name fpm | sort -V | tail -n 1 | cut -d / -f 4)',
      `ln -sf "/lib/systemd/system/php$php-fpm.service" /etc/systemd/system/${name}-fpm.service`,
      `install -m 644 pool.conf "/etc/php/$php/fpm/pool.d/${name}.conf"`,
      'systemctl daemon-reload',
      'systemctl enable --quiet "php$php-fpm"',
      'systemctl reload-or-restart "php$php-fpm"',
      ...enableSite(name),
    ],
    ...(sudo && { sudo }),
  }
}
