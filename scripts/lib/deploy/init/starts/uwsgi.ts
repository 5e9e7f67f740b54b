import type { Process } from '../kinds/kind.ts'
import type { Place } from '../place.ts'
import type { Listen, Started } from './start.ts'
import { byRoot, enable, unit } from './systemd.ts'

/** Debian's uWSGI, which keeps its socket over a reload. */
export function uwsgi(place: Place, { wsgi = 'wsgi:application', worker }: Process, listen: Listen): Started {
  const { name, workTree, files } = place
  const service = unit(place, {
    type: 'notify',
    command: `/usr/bin/uwsgi --ini ${files}/uwsgi.ini`,
    reload: '/bin/kill -HUP $MAINPID',
  })
  const workerUnit = worker && {
    [`${name}-worker.service`]: unit(place, {
      type: 'simple',
      description: `worker of ${name}`,
      command: worker,
      more: `# The worker finishes its job before it stops. SIGTERM goes to the worker, not to the process that does the job.
KillMode=mixed
TimeoutStopSec=600`,
    }),
  }
  const units = { [`${name}.service`]: service, ...workerUnit }
  const names = Object.keys(units).map(unit => unit.replace('.service', ''))
  const { restart, sudo } = byRoot(place, `/usr/bin/systemctl --no-block reload-or-restart ${names.join(' ')}`)
  const isFile = /^\w+:application$/.test(wsgi)
  return {
    restart,
    comment: `uWSGI enters the release that the link leads to, and keeps its socket: requests wait.${worker ? ' The worker restarts once its\njob is finished.' : ''}`,
    packages: ['uwsgi-core', 'uwsgi-plugin-python3'],
    files: {
      ...units,
      'uwsgi.ini': `\
; uWSGI for ${name}, as ${name}.service starts it.
[uwsgi]
; Debian: apt-get install uwsgi-core uwsgi-plugin-python3
plugin = python3
http-socket = ${listen.host}:${listen.port}
; The link: each reload enters the release that it leads to by then.
chdir = ${workTree}
${isFile ? `wsgi-file = ${wsgi.replace(':application', '.py')}` : `module = ${wsgi}`}
; Relative, and no pythonpath: what is found through the link would be another release's in the middle of a switch.
virtualenv = .venv

; Threads of the application's own, such as Sentry's.
enable-threads = true
; Each worker loads the application itself, after the reload; requests wait meanwhile.
lazy-apps = true
; A worker that is still loading does not hear that it has to reload, and would serve the old code for 60 seconds more.
; Requests that take longer than this are cut at a reload.
worker-reload-mercy = 8

master = true
processes = 2
; uWSGI's own meaning of SIGTERM is "reload", which is not what systemd has in mind.
die-on-term = true
`,
    },
    asRoot: enable(Object.keys(units)),
    ...(sudo && { sudo }),
  }
}
