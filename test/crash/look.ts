import assert from 'node:assert/strict'
import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { summarize } from '../../scripts/lib/deploy/history.ts'
import type { Ask } from '../../scripts/lib/protocol/asks.ts'
import { waitFor } from '../lib/events.ts'
import { processes } from '../lib/processes.ts'
import { contentOf } from '../torture/files.ts'
import { type Commit, type Said, type Server, upload } from './server.ts'

/** What is there beside a commit's files: a user's, and what steps leave. */
const notTracked = /^(\.git(\.new)?|installed|uploads(\/.*)?)$/

/** What is expected once the next push, or the same again, is through. */
export interface Expected {
  readonly ask: Ask
  /** What is asked for, and whether it goes live. */
  readonly asked: Commit
  readonly isLive: boolean
  readonly serves: Commit
  readonly revision: string
  /** What is done before it is asked for. */
  readonly first?: () => Promise<void>
  /** What may be left over. */
  readonly leaves?: RegExp
}

export interface Before {
  /** The records, the newest first. */
  readonly history: readonly string[]
  /** What lies on the server after a push when nothing was killed. */
  readonly paths: readonly string[]
}

/**
 * Verifies what holds at every instant, before anything is repaired.
 *
 * @param may the commits of which one serves
 */
export function verifyInstant(server: Server, may: readonly Commit[]): void {
  const revisions = may.map(({ revision }) => revision)
  assert.ok(revisions.includes(server.revision), `the database is at ${server.revision}`)
  verifyUpload(server)
  const isRelease = lstatSync(server.workTree).isSymbolicLink()
  const problems = may.map(commit => [
    ...differences(server, commit),
    ...(isRelease ? uninstalled(server, commit) : []),
  ])
  if (isRelease)
    assert.ok(
      problems.some(({ length }) => length === 0),
      `no whole release: ${problems.join('\nor ')}`,
    )
  const [first, ...others] = may
  for (const [path, content] of Object.entries(first?.files ?? {})) {
    if (others.some(({ files }) => files[path] !== content)) continue
    assert.equal(readFileSync(join(server.workTree, path), 'utf8'), content, `${path} is the same in all commits`)
  }
}

export const verifyUpload = ({ workTree }: Server) =>
  assert.equal(contentOf(join(workTree, upload)), 'mine', "a user's file is gone")

/** Verifies that nothing tells of the kill any more, but for what is recorded of it. */
export async function verifyRepaired(
  server: Server,
  { asked, isLive, serves, revision, leaves }: Expected,
  { verdict }: Said,
  before: Before,
): Promise<void> {
  assert.deepEqual([verdict?.commit, verdict?.live], [asked.id, isLive], 'the verdict')
  assert.deepEqual([...differences(server, serves), ...uninstalled(server, serves)], [], 'what serves')
  verifyUpload(server)
  assert.equal(server.loaded, serves.id, 'the application runs another commit')
  assert.equal(server.revision, revision, 'the database is elsewhere')

  const records = await server.records()
  const { live, failed } = summarize(records)
  assert.equal(live?.commit, serves.id, 'status names another commit')
  assert.equal(failed?.commit, isLive ? undefined : asked.id, 'status names another failure')
  assert.equal(await server.live(), serves.id, 'the ref `live`')
  const oldest = records
    .slice(Math.max(0, records.length - before.history.length))
    .map(({ commit, started }) => `${commit} ${started}`)
  assert.deepEqual(oldest, before.history, 'the history has lost a record')
  assert.ok(records.length <= before.history.length + 2, 'a deployment is recorded twice')
  records.reduceRight<string | undefined>((served, record) => {
    assert.equal(record.previous, served, `the history has a hole before ${record.commit}`)
    return record.live ? record.commit : served
  }, records.at(-1)?.previous)

  // What is being written is written anew when that release is used again, and in the next deployment.
  const hasDeployed = records.length > before.history.length
  const isUsedAgain = (path: string) =>
    /^pushlive\/releases\/N\/.*\.new$/.test(path) || (path === 'pushlive/journal.new' && !hasDeployed)
  // The number of the process that was writing it may be another one's by now.
  const isOfRunning = (path: string) => existsSync(`/proc/${/\.pushlive-(\d+)/.exec(path)?.[1]}`)
  const mayStay = (path: string) =>
    before.paths.includes(path) || isUsedAgain(path) || isOfRunning(path) || leaves?.test(path)
  const left = pathsOf(server).filter(path => !mayStay(path))
  assert.deepEqual(left, [], 'something is left over')
  await untilIdle(server)
}

export const untilIdle = ({ server }: Server) =>
  waitFor('no process is left', () => !processes().some(({ cwd }) => cwd.startsWith(server)))

/** How what is served differs from a commit. */
function* differences({ workTree }: Server, { id, files }: Commit) {
  const folder = realpathSync(workTree)
  for (const [path, content] of Object.entries(files)) {
    const found = contentOf(join(folder, path))
    if (found !== content) yield `${path} is ${JSON.stringify(found)}, not as in ${id}`
  }
  for (const path of filesBelow(folder)) {
    if (!(path in files) && !notTracked.test(path)) yield `${path} is there, which ${id} has not`
  }
}

function* uninstalled({ workTree }: Server, { id }: Commit) {
  const found = contentOf(join(workTree, 'installed'))
  if (found !== `${id}\n`) yield `the dependencies are those of ${found}, not of ${id}`
}

/**
 * What lies in the repository and beside the releases, but for objects and logs. A killed git may leave half an object:
 * git itself removes it after two weeks. Which of the releases' numbers are used is left open.
 */
export function pathsOf({ server, repository, workTree }: Server): string[] {
  const own = filesBelow(repository).filter(path => !/^(objects|pushlive\/log)\//.test(path))
  const releases = `${workTree}.releases`
  const beside = existsSync(releases) ? readdirSync(releases).map(name => `www.releases/${name}`) : []
  const all = [...own, ...beside, ...readdirSync(server)]
  return [...new Set(all.map(path => path.replace(/(releases)\/\d+/, '$1/N')))].sort()
}

/** Unlike Node's own recursion it follows no link. */
function filesBelow(folder: string, path = ''): string[] {
  return readdirSync(join(folder, path), { withFileTypes: true }).flatMap(entry => {
    const below = join(path, entry.name)
    return entry.isDirectory() ? filesBelow(folder, below) : [below]
  })
}
