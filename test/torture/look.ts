import { readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Commit, migrationsOf, shared } from './commits.ts'
import { contentOf, describeFile, filesIn } from './files.ts'
import { leftOut } from './left-out.ts'

/** What the application has loaded when it was started. */
interface Load {
  readonly version: string | null
  readonly installed: string | null
  readonly dotenv: string | null
}

interface Answer {
  readonly pid: number
  readonly loaded: Load
  /** What it reads when it is asked. */
  readonly now: {
    readonly version: string | null
    readonly dotenv: string | null
    readonly uploads: Readonly<Record<string, string>>
    readonly tables: Readonly<Record<string, string>>
  }
}

export interface Look {
  readonly loads: readonly Load[]
  /** The commit that the application answers with. */
  readonly served: Commit | undefined
  /**
   * The differences between this commit and what is there, what is installed, and what the application answers: each in
   * words that are the same for the same kind, and its details after a colon.
   */
  readonly problems: readonly string[]
  /** The row in the table of each migration. */
  readonly tables: Readonly<Record<string, string>>
  /** The served commit's migrations that the database lacks. */
  readonly unmigrated: readonly string[]
}

/** What the application writes. */
export const contentOfUpload = (name: string) => `uploaded /${name}\n`

interface Looked {
  readonly disks: { readonly repository: string; readonly workTree: string }
  readonly workTree: string
  readonly ports: { readonly application: string; readonly manager: string }
  readonly releases: boolean
  readonly ifChanged: boolean
  readonly commits: readonly Commit[]
  /** What people have put into the work tree, by its path. */
  readonly untracked: ReadonlyMap<string, string>
  readonly uploads: ReadonlySet<string>
  dotenv(): string | undefined
}

/** Compares what is there, and what the application answers, with what the commits say. */
export function newLooks(server: Looked) {
  const { disks, workTree, ports, releases, ifChanged, commits, untracked, uploads, dotenv } = server
  const get = async (port: string) => (await fetch(`http://127.0.0.1:${port}/`)).json()

  async function look(): Promise<Look> {
    const loads = (await get(ports.manager)) as Load[]
    const answer = (await get(ports.application)) as Answer
    const { tables } = answer.now
    const last = loads.at(-1)
    const served = commits.find(({ files }) => last && files.get('version.txt')?.content === last.version)
    const unmigrated = migrationsOf(served).filter(name => !(name in tables))
    const problems = served ? [...differences(served), ...disagreements(answer, served)] : []
    if (last && served === undefined) problems.push(`it runs no commit: ${last.version}`)
    return { loads, served, problems, tables, unmigrated }
  }

  /** How what the application answers about itself and its data differs from what is deployed. */
  function* disagreements({ pid, loaded, now }: Answer, served: Commit) {
    const cwd = `/proc/${pid}/cwd`
    // Not by the path: that of a file system which was unmounted meanwhile is lost.
    const [runsFrom, leadsTo] = [cwd, workTree].map(path => statSync(path, { throwIfNoEntry: false }))
    if (runsFrom?.ino !== leadsTo?.ino || runsFrom?.dev !== leadsTo?.dev)
      yield `the server runs from another folder: ${readlinkSync(cwd)}, not ${realPathOf(workTree)}`
    if (now.version !== loaded.version)
      yield `its folder was changed: it holds ${now.version}, it runs ${loaded.version}`
    const wanted = served.files.get('deps.txt')?.content
    if (loaded.installed !== wanted) yield `it runs with other dependencies: ${loaded.installed}, not ${wanted}`
    const installed = contentOf(join(workTree, '.installed'))
    if (installed !== wanted) yield `other dependencies are installed: ${installed}, not ${wanted}`
    for (const name of uploads) {
      if (now.uploads[name] !== contentOfUpload(name)) yield `it has lost an upload: ${name}`
    }
    if (dotenv() !== undefined && now.dotenv !== dotenv()) yield `it has another .env: ${now.dotenv}, not ${dotenv()}`
  }

  /** How the work tree differs from a commit. */
  function* differences({ files }: Commit) {
    for (const [path, { mode, content }] of files) {
      const found = describeFile(join(workTree, path))
      const left = path === 'lock.txt' ? lockLeftBy(files) : undefined
      // What was installed before need not be installed again.
      const isRight = found === `${mode} ${left ?? content}` || (ifChanged && found === `${mode} ${content}`)
      if (!isRight)
        yield `another file lies there: ${path} is ${JSON.stringify(found)}, not ${mode} ${JSON.stringify(content)}`
    }
    for (const path of new Set(commits.flatMap(each => [...each.files.keys()]))) {
      const isOthers = [...files.keys(), ...untracked.keys()].some(each => each === path || each.startsWith(`${path}/`))
      if (!isOthers && describeFile(join(workTree, path)) !== undefined) yield `a file is still there: ${path}`
    }
    const built = files.get('deps.txt')?.content.replace(/\D/g, '')
    if (!releases || leftOut.has('a build of another commit')) return
    for (const name of namesIn(join(workTree, 'build')))
      if (name !== built) yield `a build of another commit is there: build/${name}`
  }

  /** A tracked file, as the commit's install leaves it. */
  const lockLeftBy = (files: Commit['files']) =>
    files.get('recipe')?.content.includes('habit=rewrites') ? `of ${files.get('deps.txt')?.content}` : undefined

  /** The untracked files that are not there any more. */
  const lost = () => [...untracked].filter(([path, content]) => contentOf(join(workTree, path)) !== content)

  /** The contents of all files on the server. */
  const contents = () => new Set(Object.values(disks).flatMap(disk => filesIn(disk).map(contentOf)))

  /** The untracked files that collide with a commit's files; and with releases the shared one. */
  const collisions = ({ files }: Commit) =>
    [...untracked.keys(), ...(releases ? [shared.untracked] : [])].filter(
      mine =>
        mine === '' ||
        [...files.keys()].some(path => mine === path || mine.startsWith(`${path}/`) || path.startsWith(`${mine}/`)),
    )

  /** Whether a release has a migration's script, and so knows the way back. */
  const hasMigration = (name: string) =>
    namesIn(`${workTree}.releases`).some(
      release => describeFile(join(`${workTree}.releases`, release, 'migrations', name)) !== undefined,
    )

  return { look, differences, lost, contents, collisions, hasMigration }
}

const namesIn = (folder: string) => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const realPathOf = (path: string) => {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
