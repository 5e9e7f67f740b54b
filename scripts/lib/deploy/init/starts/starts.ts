import type { StartName } from '../kinds/kind.ts'
import { gunicorn } from './gunicorn.ts'
import { nginx } from './nginx.ts'
import { phpFpm } from './php-fpm.ts'
import { pm2 } from './pm2.ts'
import type { Start } from './start.ts'
import { systemd } from './systemd.ts'
import { uwsgi } from './uwsgi.ts'

export const starts: Readonly<Record<StartName, { readonly means: string; readonly start: Start }>> = {
  systemd: { means: 'a systemd unit', start: systemd },
  uwsgi: { means: 'uWSGI, by a systemd unit', start: uwsgi },
  gunicorn: { means: 'gunicorn without systemd', start: gunicorn },
  'php-fpm': { means: 'php-fpm behind nginx', start: phpFpm },
  pm2: { means: 'pm2', start: pm2 },
  nginx: { means: 'nginx serves the files', start: nginx },
  none: {
    means: 'nothing, or what is there already',
    start: () => ({
      restart: '',
      comment: 'Nothing is restarted. If something has to be, name its command here.',
      packages: [],
      files: {},
      asRoot: [],
    }),
  },
}
