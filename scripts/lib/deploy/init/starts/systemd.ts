import type { Process } from '../kinds/kind.ts'
import type { Place } from '../place.ts'
import { listen as listenText } from '../texts/listen.ts'
import type { Listen, Started } from './start.ts'

/** A unit of the application's own, with a socket unit where the program takes a socket. */
export function systemd(place: Place, process: Process, listen: Listen): Started {
  const { name, workTree, files } = place
  const isPython = process.wsgi !== undefined
  const isNode = process.command?.startsWith('/usr/bin/node ') ?? false
  const takesSocket = isPython || process.takesSocket === true
  const command = isPython
    ? `${workTree}/.venv/bin/gunicorn --workers 2 ${process.wsgi}`
    : commandLine(process.command ?? '/bin/false', workTree, isNode ? `--require ${files}/listen.cjs ` : '')
  const service = unit(place, {
    type: isPython ? 'notify' : 'exec',
    command,
    ...(takesSocket && { socket: `${name}.socket` }),
    environment: isPython ? {} : { ...process.environment, PORT: String(listen.port) },
    unset: isPython ? 'With PWD gunicorn would take the link, not the release, as its current directory.' : '',
  })
  const units = { [`${name}.service`]: service, ...(takesSocket && { [`${name}.socket`]: socket(place, listen) }) }
  const { restart, sudo } = byRoot(place, `/usr/bin/systemctl restart ${name}`)
  return {
    restart,
    comment: takesSocket
      ? 'Starts the release that the link leads to. The socket stays open meanwhile: requests wait.'
      : 'Starts the release that the link leads to. Requests that come meanwhile are refused, unless the program takes its\nsocket from systemd (sd_listen_fds).',
    packages: [],
    files: { ...units, ...(isNode && { 'listen.cjs': listenText }) },
    asRoot: enable(Object.keys(units)),
    ...(sudo && { sudo }),
  }
}

interface Unit {
  readonly type: 'notify' | 'exec' | 'simple'
  readonly command: string
  readonly socket?: string
  readonly reload?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Why it must not know PWD. */
  readonly unset?: string
  readonly description?: string
  readonly more?: string
}

/** A service that starts again whenever it ends, with what `setup-ssh set` has put into `.env`. */
export function unit({ user, name, repository, workTree }: Place, unit: Unit): string {
  const { type, command, socket, reload, environment = {}, unset, description = name, more } = unit
  const lines = [
    '[Unit]',
    `Description=${description}`,
    ...(socket ? [`Requires=${socket}`] : []),
    'After=network.target postgresql.service mariadb.service redis-server.service',
    '# It waits for the first deployment, which starts it.',
    `ConditionPathExists=${workTree}`,
    '# However often a broken release has failed, the one before it can be started again.',
    'StartLimitIntervalSec=0',
    '',
    '[Service]',
    `Type=${type}`,
    `User=${user}`,
    `WorkingDirectory=${workTree}`,
    "# The hook's settings and the application's: setup-ssh set NAME=value.",
    `EnvironmentFile=${repository}/.env`,
    ...Object.entries(environment).map(([name, value]) => `Environment=${name}=${value}`),
    ...(unset ? [`# ${unset}`, 'UnsetEnvironment=PWD'] : []),
    `ExecStart=${command}`,
    ...(reload ? [`ExecReload=${reload}`] : []),
    'Restart=always',
    'RestartSec=2',
    ...(more ? [more] : []),
    '',
    '[Install]',
    'WantedBy=multi-user.target',
  ]
  return `${lines.join('\n')}\n`
}

const socket = ({ name, workTree }: Place, { host, port }: Listen) => `\
# The socket stays open while ${name}.service restarts: requests that come meanwhile wait.
[Unit]
# It waits for the first deployment, as the service does.
ConditionPathExists=${workTree}

[Socket]
ListenStream=${host.includes(':') ? `[${host}]` : host}:${port}

[Install]
WantedBy=sockets.target
`

/** What root does with units. */
export const enable = (units: readonly string[]): string[] => [
  `install -m 644 ${units.join(' ')} /etc/systemd/system/`,
  'systemctl daemon-reload',
  `systemctl enable --quiet ${units.join(' ')}`,
]

/** A command that needs root, as the hook runs it, and what sudoers has to allow. */
export function byRoot({ user }: Place, command: string): { restart: string; sudo?: string } {
  return user === 'root' ? { restart: command } : { restart: `sudo -n ${command}`, sudo: command }
}

/** A command line for ExecStart=, whose first word has to be an absolute path, or a shell's where it needs one. */
function commandLine(command: string, workTree: string, options: string): string {
  const isPlain = /^[\w./@:=,+ -]+$/.test(command)
  const [program = '', ...rest] = command.split(' ')
  if (isPlain && program.startsWith('/')) return [program, options + rest.join(' ')].join(' ').trim()
  if (isPlain && program.includes('/')) return [`${workTree}/${program}`, ...rest].join(' ')
  // systemd's own characters, and those of its quotes.
  const escaped = command.replace(/[\\"]/g, '\\$&').replace(/[%$]/g, '$&$&')
  return `/bin/sh -c "exec ${escaped}"`
}
