import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { updateHook } from '../../scripts/lib/hook/install/hook-files.ts'
import { contentOf } from '../torture/files.ts'
import { type Expected, untilIdle, verifyInstant, verifyUpload } from './look.ts'
import type { Commit, Files, Server, Tracing } from './server.ts'

export interface Prepared {
  /** What is killed. */
  readonly act: (tracing: Tracing) => Promise<{ readonly output: string }>
  /** Verifies what holds at every instant, before anything is repaired. */
  readonly verifyInstant: () => void
  /** What is asked for after that. */
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
  server.writeSettings(settings)
  server.makeData()
  await server.setUp()
  const first = await server.commit(filesOf('first', 1, { 'only-in-first': 'x' }))
  const second = await server.commit(filesOf('second', 2, { 'turn/inside': 'x', 'turn/more': 'x' }))
  for (const { id } of [first, second]) await deploy(server, id)
  return { first, second }
}

async function deploy(server: Server, commit: string) {
  const { verdict, output } = await server.push({ verb: 'deploy', commit })
  if (!verdict?.live) throw new Error(output)
}

const goesLive = (commit: Commit): Expected => ({
  ask: { verb: 'deploy', commit: commit.id },
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
    // The state of the folder in place is removed when there is one again.
    const leaves = changed && { leaves: /^pushlive\/work-tree\// }
    const next = { 'the same again': { ...again, ...leaves }, 'the next push': { ...goesLive(fourth), ...leaves } }
    return {
      act: tracing => server.push({ verb: 'deploy', commit: third.id }, tracing),
      verifyInstant: () => verifyInstant(server, [second, third]),
      next,
    }
  }

/** The first commit comes back. What is asked for after that: it again, the second one, and another commit. */
const rollback =
  (settings: Readonly<Record<string, string>>, verb: 'rollback' | 'downgrade'): Scenario =>
  async server => {
    const { first, second } = await prepare(server, settings)
    const third = await server.commit(filesOf('third', 3, { turn: 'x' }))
    const { revision } = verb === 'downgrade' ? first : second
    const next = {
      'the same again': { ...goesLive(first), ask: { verb, commit: first.id }, revision },
      'what was live before': goesLive(second),
      'the next push': goesLive(third),
    }
    return {
      act: tracing => server.push({ verb, commit: undefined }, tracing),
      verifyInstant: () => verifyInstant(server, [second, first]),
      next,
    }
  }

const hooksOf = ({ repository }: Server) => ({
  hook: join(repository, 'hooks/post-receive'),
  update: join(repository, 'hooks/update'),
  env: join(repository, '.env'),
})

async function install(server: Server) {
  // Unlike a push, it does not wait for what a killed one has left.
  await untilIdle(server)
  const { exitCode, output } = await server.install()
  assert.equal(exitCode, 0, output)
}

/** Verifies that each file is the old one or the new one, and whole. */
function verifyEither(file: string, old: string, isNew: (content: string) => boolean) {
  const content = contentOf(file) ?? ''
  assert.ok(content === old || isNew(content), `${file} is neither the old one nor the new one: ${content}`)
}
const isHook = (content: string) => /^#!\/bin\/sh\n# pushlive .*"\$@"\n$/s.test(content)
const isUpdateHook = (content: string) => content === updateHook('main')

/** The hook is installed where there is nothing. */
const installation: Scenario = async server => {
  server.writeSettings({})
  server.makeData()
  const first = await server.commit(filesOf('first', 1, {}))
  const again = { ...goesLive(first), first: () => install(server) }
  return { act: server.install, verifyInstant: () => verifyUpload(server), next: { 'the next push': again } }
}

/** The hook and its settings are replaced. */
const update: Scenario = async server => {
  server.writeSettings({})
  server.makeData()
  await install(server)
  const first = await server.commit(filesOf('first', 1, {}))
  await deploy(server, first.id)
  const second = await server.commit(filesOf('second', 2, {}))
  const { hook, update, env } = hooksOf(server)
  for (const file of [hook, update]) appendFileSync(file, '# older\n')
  const old = [hook, update, env].map(file => readFileSync(file, 'utf8')) as [string, string, string]
  server.writeSettings({ STEP_TIMEOUT: '60' })
  const again = async () => {
    await install(server)
    assert.deepEqual([contentOf(`${env}.before`), isHook(contentOf(hook) ?? '')], [old[2], true])
  }
  return {
    act: server.install,
    verifyInstant() {
      verifyInstant(server, [first])
      verifyEither(hook, old[0], isHook)
      verifyEither(update, old[1], isUpdateHook)
      verifyEither(env, old[2], content => content.endsWith("STEP_TIMEOUT='60'\n"))
    },
    next: {
      'the next push': { ...goesLive(second), leaves: /\.pushlive-\d+(\.lock)?$/ },
      'the same again, and a push': { ...goesLive(second), first: again },
    },
  }
}

/** The hook takes the place of a bash hook, and of another update hook. */
const overAnother: Scenario = async server => {
  server.writeSettings({})
  server.makeData()
  await server.makeBare()
  const { hook, update } = hooksOf(server)
  const bash = `#!/bin/bash\nGIT_WORK_TREE='${server.workTree}' git checkout --quiet -f main\n`
  const own = '#!/bin/sh\nexit 0\n'
  for (const [file, content] of [
    [hook, bash],
    [update, own],
  ] as const)
    writeFileSync(file, content, { mode: 0o755 })
  const first = await server.commit(filesOf('first', 1, {}))
  await server.push({ verb: 'deploy', commit: first.id })
  const second = await server.commit(filesOf('second', 2, {}))
  const again = async () => {
    await install(server)
    assert.deepEqual([`${hook}.before`, `${update}.local`].map(contentOf), [bash, own])
  }
  return {
    act: server.install,
    verifyInstant() {
      verifyUpload(server)
      verifyEither(hook, bash, isHook)
      verifyEither(update, own, isUpdateHook)
    },
    next: { 'the next push': { ...goesLive(second), first: again } },
  }
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
  installation,
  'installation-update': update,
  'installation-over-another': overAnother,
  'first-switch': deployment({}, '', releases),
}
