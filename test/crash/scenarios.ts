import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Ask } from '../../scripts/lib/protocol/asks.ts'
import { type Expected, upload } from './look.ts'
import type { Commit, Files, Server } from './server.ts'

/** A deployment that is killed, and what is asked for after that. */
export interface Prepared {
  readonly ask: Ask
  /** One of these serves at each instant, and the database is at the revision of one. */
  readonly may: readonly Commit[]
  readonly next: Readonly<Record<string, Expected>>
}

type Scenario = (server: Server) => Promise<Prepared>

const releases = { RELEASES: '3', SHARED_PATHS: 'uploads' }

const filesOf = (page: string, revisions: number, changes: Files): Files => ({
  '.gitignore': 'installed\nuploads\n',
  'always/the-same.txt': 'x',
  'page.txt': page,
  migrations: Array.from({ length: revisions + 1 }, (_, number) => `r${number}\n`).join(''),
  recipe: '',
  ...changes,
})

/** Two commits are live, one after the other. A path is a file here and a folder there. */
async function prepare(server: Server, settings: Readonly<Record<string, string>>) {
  await server.setUp(settings)
  const first = await server.commit(filesOf('first', 1, { 'only-in-first': 'x' }))
  const second = await server.commit(filesOf('second', 2, { 'turn/inside': 'x', 'turn/more': 'x' }))
  for (const { id } of [first, second]) await deploy(server, id)
  return { first, second }
}

async function deploy(server: Server, commit: string) {
  const { verdict, output } = await server.push({ verb: 'deploy', commit })
  if (!verdict?.live) throw new Error(output)
  // Where it is shared, the link leads there.
  mkdirSync(join(server.workTree, 'uploads'), { recursive: true })
  writeFileSync(join(server.workTree, upload), 'mine')
}

const goesLive = (commit: Commit): Expected => ({
  asked: commit,
  isLive: true,
  serves: commit,
  revision: commit.revision,
})

/** A third commit is deployed. What is asked for after that: the same again, and another commit. */
const deployment =
  (settings: Readonly<Record<string, string>>, recipe = '', changed?: Readonly<Record<string, string>>): Scenario =>
  async server => {
    const { second } = await prepare(server, settings)
    if (changed) server.configure(changed)
    const third = await server.commit(filesOf('third', 3, { turn: 'x', 'only-in-third': 'x', recipe }))
    const fourth = await server.commit(filesOf('fourth', 4, { 'turn/inside': 'x' }))
    const again = recipe ? { ...goesLive(third), isLive: false, serves: second } : goesLive(third)
    const next = { 'the same again': again, 'the next push': goesLive(fourth) }
    return { ask: { verb: 'deploy', commit: third.id }, may: [second, third], next }
  }

/** The first commit comes back. What is asked for after that: the second one again, and another commit. */
const rollback =
  (settings: Readonly<Record<string, string>>, verb: 'rollback' | 'downgrade'): Scenario =>
  async server => {
    const { first, second } = await prepare(server, settings)
    const third = await server.commit(filesOf('third', 3, { turn: 'x' }))
    const next = { 'the same again': goesLive(second), 'the next push': goesLive(third) }
    return { ask: { verb, commit: undefined }, may: [second, first], next }
  }

export const scenarios: Readonly<Record<string, Scenario>> = {
  'deployment-in-place': deployment({}),
  'deployment-with-releases': deployment(releases),
  'failure-in-place': deployment({}, 'restart fails'),
  'failure-with-releases': deployment(releases, 'restart fails'),
  'rollback-in-place': rollback({}, 'rollback'),
  'rollback-with-releases': rollback(releases, 'rollback'),
  'rollback-with-database-in-place': rollback({}, 'downgrade'),
  'rollback-with-database-with-releases': rollback(releases, 'downgrade'),
  'first-switch': deployment({}, '', releases),
}
