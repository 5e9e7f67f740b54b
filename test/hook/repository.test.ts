import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Shell, $ as zx } from 'zx/core'
import { go, type Start } from '../../scripts/lib/hook/processes.ts'
import { Repository } from '../../scripts/lib/hook/repository.ts'
import { formatOrigin, longestOrigin } from '../../scripts/lib/protocol/origin.ts'
import type { DeploymentRecord } from '../../scripts/lib/protocol/record.ts'
import { environmentOf } from '../lib/site.ts'

describe('The repository', () => {
  let folder: string
  let $: Shell
  let commit: string
  let repository: Repository
  const start: Start = (text, command) => go(command, { text })
  const recordOf = (live: boolean) =>
    ({ commit, previous: undefined, live, who: 'ada', started: 0, ended: 1, steps: [] }) as DeploymentRecord
  const record = async (live = true) => repository.record(recordOf(live), 'main', await repository.refs('main'), start)

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'repository-'))
    $ = zx({ quiet: true, cwd: folder, env: environmentOf(folder) })
    await $`git init --quiet --bare`
    const tree = (await $`git hash-object -t tree -w --stdin < /dev/null`).stdout.trim()
    commit = (await $`git commit-tree -m ${'A change'} ${tree}`).stdout.trim()
    mkdirSync(join(folder, 'pushlive'))
    repository = new Repository(folder)
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('tells what is live by the history where that ref is lost', async () => {
    await record()
    await $`git update-ref -d refs/deploy/main/live`
    assert.equal((await repository.refs('main')).live, commit)
  })

  it('fails a deployment that cannot be recorded, with the reason', async () => {
    const refs = join(folder, 'refs/deploy/main')
    mkdirSync(refs, { recursive: true })
    writeFileSync(join(refs, 'live.lock'), '')
    await assert.rejects(record(), /^The result of the deployment could not be recorded\.\n.*live\.lock/s)
  })

  it('is cleaned of what a killed git has left of the refs: locks, and refs of no commit', async () => {
    await record()
    const refs = join(folder, 'refs/deploy/main')
    for (const name of ['live.lock', 'failed.lock', 'history.lock']) writeFileSync(join(refs, name), '')
    writeFileSync(join(refs, 'failed'), '')
    writeFileSync(join(refs, 'live'), `${commit.slice(0, 20)}\n`)
    repository.cleanUp('main')
    assert.deepEqual(readdirSync(refs), ['history'])
    await record(false)
    const { live, failed } = await repository.refs('main')
    assert.deepEqual({ live, failed }, { live: commit, failed: commit })
  })

  it('has an origin of no more than a name and an address', async () => {
    const put = async (text: string) => (await $`git hash-object -w --stdin <<< ${text}`).stdout.trim()
    const origin = { by: 'ada', run: 'https://ci.example/1' }
    assert.deepEqual(await repository.origin(await put(formatOrigin(origin))), origin)
    const long = { ...origin, by: 'a'.repeat(longestOrigin) }
    assert.deepEqual(await repository.origin(await put(formatOrigin(long))), {})
  })
})
