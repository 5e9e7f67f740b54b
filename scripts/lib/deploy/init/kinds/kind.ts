import type { Project } from '../look.ts'
import type { Place } from '../place.ts'

/** Ways in which an application is started, and told of a new release. */
export const startNames = ['systemd', 'uwsgi', 'gunicorn', 'php-fpm', 'pm2', 'nginx', 'none'] as const
export type StartName = (typeof startNames)[number]

/** A line of server.env, and the comment above it. */
export interface Line {
  readonly name: string
  readonly value: string
  readonly comment?: string
}

/** What one kind of application needs, whatever starts it. */
export interface Application {
  /** Of the hook, in their order in server.env. */
  readonly settings: readonly Line[]
  /** Debian's, on the server. */
  readonly packages: readonly string[]
  /** More for root to do, in sh. */
  readonly asRoot?: readonly string[]
  /** For deploy/server, by their names. */
  readonly files?: Readonly<Record<string, string>>
  readonly process: Process
  /** What is left to do in the project, for people. */
  readonly notes?: readonly string[]
  /** How a CI tests it. */
  readonly test: { readonly image: string; readonly commands: readonly string[] }
}

/** What a start needs to know. Paths are relative to the release. */
export interface Process {
  /** The Python module and its callable, `mysite.wsgi:application`. */
  readonly wsgi?: string
  /** A command line, whose first word is an absolute path or one in the release. */
  readonly command?: string
  /** Whether the command listens on the socket that systemd hands over (sd_listen_fds(3)). */
  readonly takesSocket?: boolean
  readonly environment?: Readonly<Record<string, string>>
  /** The script that pm2 starts. */
  readonly script?: string
  /** The folder that nginx serves. */
  readonly documents?: string
  /** Another process beside the web server, such as a queue's worker. */
  readonly worker?: string
}

export interface Kind {
  readonly name: string
  /** For the question. */
  readonly means: string
  /** The first is the guess. */
  readonly starts: readonly StartName[]
  /** Whether the project is one. */
  fits(project: Project): boolean
  /** Whether it comes along in projects of other kinds: a package.json for their style sheets. */
  readonly isBeside?: boolean
  /** Whether it listens where its own code says, if nothing tells it. */
  readonly hasOwnPort?: boolean
  /** Paths that outlive releases, beside those that .gitignore and the sources tell of. */
  shared?(project: Project): readonly string[]
  /** What it needs from its environment beside the settings, where that is not guessed from the code. */
  readonly variables?: readonly string[]
  application(project: Project, place: Place, start: StartName): Application
}

/** Settings with a value. */
export const lines = (...all: (Line | undefined | false | '')[]): Line[] => all.filter(line => !!line)
