import { posix } from 'node:path'
import { parse } from 'dotenv'
import { type CiName, ciNames, findCi } from './ci.ts'
import type { Kind, StartName } from './kinds/kind.ts'
import { findKinds, kindNamed, kinds } from './kinds/kinds.ts'
import { findHealthPath, findPort, findShared, type Project } from './look.ts'
import { type Place, readPlace } from './place.ts'
import { usualPort } from './plan.ts'

/** What was answered before, as the files say that init wrote then and somebody may have edited since. */
export interface Before {
  readonly server?: string | undefined
  readonly branch?: string | undefined
  readonly kind?: string | undefined
  readonly start?: string | undefined
  readonly ci?: string | undefined
  readonly health?: string | undefined
  readonly shared?: string | undefined
}

/** @param read the text of a file of the project, empty where there is none */
export function readBefore(read: (path: string) => string): Before {
  const { STAGING_REMOTE_REPO, BRANCH_NAME } = { ...parse(read('.env')), ...parse(read('deploy/deploy.env')) }
  const text = read('deploy/server.env')
  const { HEALTH_CHECK_URL, SHARED_PATHS, PATH_TO_GIT_WORK_TREE } = parse(text)
  const [, kind, start, ci] = /^# Written by deploy init --kind (\S+) --start (\S+) --ci (\S+)$/m.exec(text) ?? []
  return {
    server: STAGING_REMOTE_REPO,
    branch: BRANCH_NAME,
    kind,
    start,
    ci,
    health: HEALTH_CHECK_URL === '' ? 'none' : HEALTH_CHECK_URL,
    shared: SHARED_PATHS ?? (PATH_TO_GIT_WORK_TREE && ''),
  }
}

/**
 * What each question takes for an answer, and its guess. Options and prompts use the same.
 *
 * A reader throws an Error with what is wrong, as it is said behind the answer's name.
 */
export interface Questions {
  readonly server: { readonly guess: string | undefined; read(text: string): Place }
  readonly kind: { readonly guess: string | undefined; readonly choices: readonly Kind[]; read(text: string): Kind }
  start(kind: Kind): {
    readonly guess: StartName
    readonly choices: readonly StartName[]
    read(text: string): StartName
  }
  health(kind: Kind): { readonly guess: string; read(text: string): URL | undefined }
  shared(kind: Kind): { readonly guess: string; read(text: string): readonly string[] }
  readonly ci: { readonly guess: CiName; read(text: string): CiName }
}

export function questionsFor(project: Project, before: Before): Questions {
  const { fitting, isClear } = findKinds(project)
  const known = <T extends string>(all: readonly T[], text: string | undefined) => all.find(each => each === text)
  const choose = <T extends string>(all: readonly T[], text: string) => {
    const found = known(all, text.trim())
    if (found === undefined) throw new Error(`is none of ${all.join(', ')}`)
    return found
  }
  return {
    server: { guess: before.server, read: text => readPlace(text, project.name) },
    kind: {
      guess: kindNamed(before.kind ?? '')?.name ?? (isClear ? fitting[0]?.name : undefined),
      choices: [...fitting, ...kinds.filter(kind => !fitting.includes(kind))],
      read: text =>
        kindNamed(
          choose(
            kinds.map(kind => kind.name),
            text,
          ),
        ) as Kind,
    },
    start: kind => ({
      guess: known(kind.starts, before.start) ?? (kind.starts[0] as StartName),
      choices: kind.starts,
      read: text => choose(kind.starts, text),
    }),
    health: kind => {
      const port = (kind.hasOwnPort && findPort(project)) || usualPort
      return { guess: before.health ?? `http://127.0.0.1:${port}${findHealthPath(project)}`, read: readHealth }
    },
    shared: kind => ({
      guess: before.shared ?? findShared(project, kind.shared?.(project)).join(' '),
      read: readShared,
    }),
    ci: { guess: known(ciNames, before.ci) ?? findCi(project), read: text => choose(ciNames, text) },
  }
}

/** Leaving it out is a decision: the word for it has to be written. */
function readHealth(text: string): URL | undefined {
  const given = text.trim()
  if (given === 'none') return undefined
  if (given === '') throw new Error('is empty: write the address of a page, or none if nothing is to be asked')
  const url = URL.parse(given.startsWith('/') ? `http://127.0.0.1:${usualPort}${given}` : given)
  if (!url || !/^https?:$/.test(url.protocol) || /["'\\\s]/.test(given)) {
    throw new Error('is no address, such as http://127.0.0.1:8000/health, no path, such as /health, and not none')
  }
  if (url.username || url.password) throw new Error('has a password in it, and the file is committed')
  return url
}

function readShared(text: string): readonly string[] {
  const paths = [...new Set(text.split(/[\s,]+/).filter(Boolean))]
    .filter(path => path !== 'none')
    .map(path => posix.normalize(path).replace(/\/$/, ''))
  for (const path of paths) {
    if (!/^[\w.@+][\w./@+-]*$/.test(path) || /(^|\/)\.\.?(\/|$)|^\.git(\/|$)/.test(path)) {
      throw new Error(`names ${path}, which is no path inside of a release`)
    }
    const outer = paths.find(other => path.startsWith(`${other}/`))
    if (outer !== undefined) throw new Error(`names ${path}, which lies in ${outer}`)
  }
  return paths
}
