import { type CiName, ciFiles } from './ci.ts'
import type { Kind, Line, StartName } from './kinds/kind.ts'
import type { Project } from './look.ts'
import type { Place } from './place.ts'
import type { Started } from './starts/start.ts'
import { starts } from './starts/starts.ts'

/** What there is to know. Each was asked, given or guessed, and is right by itself. */
export interface Answers {
  readonly place: Place
  readonly kind: Kind
  readonly start: StartName
  /** Undefined where nothing is to be asked. */
  readonly health: URL | undefined
  readonly shared: readonly string[]
  readonly ci: CiName
  readonly branch: string
}

export interface Plan {
  /** Texts, by their paths in the project. */
  readonly files: Readonly<Record<string, string>>
  readonly notes: readonly string[]
}

/** Where an application listens if the health check asks elsewhere. */
export const usualPort = 8000

/** All that init writes. It looks at nothing else than the project and the answers, so that it is the same each time. */
export function makePlan(project: Project, { place, kind, start, health, shared, ci, branch }: Answers): Plan {
  const isHere = health !== undefined && /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(health.hostname)
  const listen = isHere
    ? {
        host: health.hostname === 'localhost' ? '127.0.0.1' : health.hostname.replace(/[[\]]/g, ''),
        port: Number(health.port || 80),
      }
    : { host: '127.0.0.1', port: usualPort }
  const application = kind.application(project, place, start)
  const started = starts[start].start(place, application.process, listen)
  const cis = ciFiles(ci, project, branch, application.test)
  const own = {
    ...application.files,
    ...started.files,
    ...(started.sudo && { sudoers: sudoers(place, started.sudo) }),
  }
  const asRoot = [...(application.asRoot ?? []), ...linkEnvironment(place, shared), ...started.asRoot]
  const settings: Line[] = [
    { name: 'BRANCH_NAME', value: branch },
    {
      name: 'PATH_TO_GIT_WORK_TREE',
      value: place.workTree,
      comment: `The link to the live release. Three releases are kept in ${place.workTree}.releases.`,
    },
    { name: 'RELEASES', value: '3' },
    ...(shared.length > 0
      ? [
          {
            name: 'SHARED_PATHS',
            value: shared.join(' '),
            comment: `What outlives a release, in ${place.workTree}.releases/shared.`,
          },
        ]
      : []),
    ...application.settings,
    { name: 'RESTART', value: started.restart ?? '', comment: started.comment },
    {
      name: 'HEALTH_CHECK_URL',
      value: health?.href ?? '',
      comment: health
        ? 'A deployment is live if this answers 2xx. The application has to answer to this host name, too.'
        : 'Nothing is asked: a deployment is IS IN PLACE, and nobody knows whether the application answers.',
    },
  ]
  const options = `--kind ${kind.name} --start ${start} --ci ${ci}`
  return {
    files: {
      'deploy/deploy.env': `\
# Where deploy pushes to, and what. This file is committed, and has no secret.
STAGING_REMOTE_REPO=${place.url}
BRANCH_NAME=${quoteValue(branch)}
`,
      'deploy/server.env': `\
# Written by deploy init ${options}
# The hook's settings, which setup-ssh copies to ${place.repository}/.env.
# Secrets are not here, but set there: setup-ssh set NAME=value.
${settings.map(formatLine).join('')}`,
      ...Object.fromEntries(Object.entries(own).map(([name, text]) => [`deploy/server/${name}`, text])),
      'deploy/server/root.sh': rootScript(place, application.packages, started, asRoot),
      ...cis.files,
    },
    notes: [...(application.notes ?? []), ...cis.notes],
  }
}

/** A line, its comment, and a blank line before what has one. */
const formatLine = ({ name, value, comment }: Line) =>
  `${comment ? `\n${comment.replace(/^/gm, '# ')}\n` : ''}${name}=${quoteValue(value)}\n`

/** As dotenv, bash and systemd read the same. */
function quoteValue(value: string): string {
  if (/^[\w./:@%+,=-]*$/.test(value)) return value
  const quote = ['"', "'"].find(quote => !value.includes(quote))
  if (quote === undefined) throw new Error(`${value} has quotes of both kinds`)
  // In these systemd and bash read $, ` and \ as they are.
  return !/[$`\\]/.test(value) || value.includes("'") ? quote + value + quote : `'${value}'`
}

const sudoers = ({ user, name }: Place, command: string) => `\
# /etc/sudoers.d/${name}: the hook runs as ${user}. It may run this as root, and nothing else.
${user} ALL=(root) NOPASSWD: ${command}
`

/** What frameworks read from a file has its place where setup-ssh sets it. */
const linkEnvironment = ({ user, repository, workTree }: Place, shared: readonly string[]) =>
  shared.includes('.env')
    ? [
        '# The application reads .env: it is the one that setup-ssh set NAME=value changes.',
        `runuser -u ${user} -- sh -c 'mkdir -p ${workTree}.releases/shared && cd ${workTree}.releases/shared && { [ -e .env ] || [ -L .env ] || ln -s ${repository}/.env .env; }'`,
      ]
    : []

function rootScript(
  { user, name }: Place,
  packages: readonly string[],
  started: Started,
  commands: readonly string[],
): string {
  const needed = ['git', ...(user === 'root' ? [] : ['sudo']), ...packages, ...started.packages]
  const all = [...new Set(needed)].join(' ')
  return `\
#!/bin/sh
# What ${name} needs root for: packages, and the files beside this one. Read it, then run it: sudo sh root.sh. It can
# run any number of times.
set -eu
cd "$(dirname "$0")"

export DEBIAN_FRONTEND=noninteractive
packages="${all}"
install="apt-get install -q --yes --no-install-recommends --no-upgrade"
$install $packages || { apt-get update -q && $install $packages; }

${started.sudo ? `visudo -cqf sudoers\ninstall -m 440 sudoers /etc/sudoers.d/${name}\n` : ''}${commands.map(command => `${command}\n`).join('')}`
}
