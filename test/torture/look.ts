import { join } from 'node:path'
import { type Commit, contains, shared } from './commits.ts'
import { contentOf, describeFile, filesIn } from './files.ts'

/** What the application said when it loaded. */
interface Load {
  readonly version: string | null
  readonly installed: string | null
}

export interface Look {
  readonly loads: readonly Load[]
  /** The commit that the application answers with. */
  readonly served: Commit | undefined
  /** The differences between this commit and what is there or installed. */
  readonly problems: readonly string[]
}

interface Looked {
  readonly folder: string
  readonly disks: { readonly repository: string; readonly workTree: string }
  readonly workTree: string
  readonly port: string
  readonly releases: boolean
  readonly commits: readonly Commit[]
  /** What people have put into the work tree, by its path. */
  readonly untracked: ReadonlyMap<string, string>
}

/** Compares what is there with what the commits say. */
export function newLooks({ folder, disks, workTree, port, releases, commits, untracked }: Looked) {
  async function look(): Promise<Look> {
    const loads = (await (await fetch(`http://127.0.0.1:${port}/`)).json()) as Load[]
    const last = loads.at(-1)
    const served = commits.find(({ files }) => last && files.get('version.txt')?.content === last.version)
    if (served === undefined) return { loads, served, problems: last ? [`it has loaded ${last.version}`] : [] }
    const wanted = served.files.get('deps.txt')?.content
    const problems = [...differences(served)]
    if (last?.installed !== wanted) problems.push(`runs with ${last?.installed} and not ${wanted}`)
    const installed = contentOf(join(workTree, '.installed'))
    if (installed !== wanted) problems.push(`installed is ${installed} and not ${wanted}`)
    // A newer commit's migration counts, too: a rollback leaves the database as it is.
    const database = contentOf(join(folder, 'database'))
    const isRun = (commit: Commit) => database?.includes(commit.files.get('migration.txt')?.content ?? '')
    if (!commits.some(commit => contains(commit, served) && isRun(commit))) problems.push('its migration was not run')
    return { loads, served, problems }
  }

  /** How the work tree differs from a commit. */
  function* differences({ files }: Commit) {
    for (const [path, { mode, content }] of files) {
      const found = describeFile(join(workTree, path))
      if (found !== `${mode} ${content}`)
        yield `${path} is ${JSON.stringify(found)}, not ${mode} ${JSON.stringify(content)}`
    }
    for (const path of new Set(commits.flatMap(each => [...each.files.keys()]))) {
      const isOthers = [...files.keys(), ...untracked.keys()].some(each => each === path || each.startsWith(`${path}/`))
      if (!isOthers && describeFile(join(workTree, path)) !== undefined) yield `${path} is still there`
    }
  }

  /** The untracked files that are not there any more. */
  const lost = () => [...untracked].filter(([path, content]) => contentOf(join(workTree, path)) !== content)

  /** Whether any file on the server has this content. */
  const isKept = (content: string) =>
    Object.values(disks).some(disk => filesIn(disk).some(file => contentOf(file) === content))

  /** The untracked files that collide with a commit's files; and with releases the shared one. */
  const collisions = ({ files }: Commit) =>
    [...untracked.keys(), ...(releases ? [shared.untracked] : [])].filter(
      mine =>
        mine === '' ||
        [...files.keys()].some(path => mine === path || mine.startsWith(`${path}/`) || path.startsWith(`${mine}/`)),
    )

  return { look, differences, lost, isKept, collisions }
}
