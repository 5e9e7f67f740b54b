import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { fromText } from '../../scripts/lib/hook/git-paths.ts'
import { type Release, Releases } from '../../scripts/lib/hook/releases.ts'
import { Replaced } from '../../scripts/lib/hook/replaced.ts'
import { Repository } from '../../scripts/lib/hook/repository.ts'
import type { HookSettings } from '../../scripts/lib/hook/settings.ts'
import { SharedPaths } from '../../scripts/lib/hook/shared-paths.ts'
import { replaceStateFile } from '../../scripts/lib/hook/state-file.ts'
import { environmentOf } from '../lib/site.ts'

const source = (name: string) => JSON.stringify(join(import.meta.dirname, '../../scripts/lib/hook', name))

/** Runs a program of the hook's parts, and returns what it printed. */
function run(program: string, ...under: string[]): string {
  const [command = '', ...args] = [...under, process.execPath, '--input-type=module', '-e', program]
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout
}

describe('A state file of the hook', () => {
  let folder: string
  let file: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'state-file-'))
    file = join(folder, 'pushlive/journal')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('is private, and so is its folder', () => {
    replaceStateFile(file, 'new')
    assert.equal(readFileSync(file, 'utf8'), 'new')
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(statSync(join(folder, 'pushlive')).mode & 0o777, 0o700)
  })

  it('is never written to: the old one stays whole until the new one has its name', () => {
    replaceStateFile(file, 'old')
    linkSync(file, join(folder, 'old'))
    replaceStateFile(file, 'new')
    assert.equal(readFileSync(join(folder, 'old'), 'utf8'), 'old')
    assert.equal(readFileSync(file, 'utf8'), 'new')
  })

  it('needs no room on the disk where nothing has changed', () => {
    replaceStateFile(file, 'same')
    const { ino } = statSync(file)
    // Nothing could be written there.
    mkdirSync(`${file}.new`)
    replaceStateFile(file, 'same')
    assert.equal(statSync(file).ino, ino)
  })

  it('is on the disk before it has its name, where a power cut may not bring the old one back', () => {
    const trace = join(folder, 'trace')
    run(
      `import { replaceStateFile } from ${source('state-file.ts')}\nreplaceStateFile(${JSON.stringify(file)}, 'x', true)`,
      ...['strace', '-f', '-qq', '-y', '-e', 'trace=write,fsync,rename', '-o', trace],
    )
    const calls = readFileSync(trace, 'utf8').split('\n')
    const order = calls.filter(line => line.includes(file)).map(line => /(write|fsync|rename)\(/.exec(line)?.[1])
    assert.deepEqual(order, ['write', 'fsync', 'rename'])
  })
})

describe('The releases', () => {
  let site: string
  let gitDir: string
  let link: string
  /** Commits of no files. */
  let ids: string[]
  const repository = mkdtempSync(join(tmpdir(), 'releases-of-'))
  after(() => rmSync(repository, { recursive: true }))
  before(async () => {
    const $ = zx({ quiet: true, cwd: repository, env: environmentOf(repository) })
    await $`git init --quiet --bare`
    const tree = (await $`git hash-object -t tree -w --stdin < /dev/null`).stdout.trim()
    const commit = async (name: string) => (await $`git commit-tree -m ${name} ${tree}`).stdout.trim()
    ids = [await commit('A'), await commit('B'), await commit('C')]
  })

  beforeEach(() => {
    site = mkdtempSync(join(tmpdir(), 'releases-'))
    gitDir = repository
    link = join(site, 'www')
  })
  afterEach(() => {
    rmSync(site, { recursive: true })
    rmSync(join(repository, 'pushlive'), { recursive: true, force: true })
  })

  const open = (RELEASES = 3) => new Releases({ RELEASES, PATH_TO_GIT_WORK_TREE: link } as HookSettings, gitDir)
  const release = (number: number) => open().findAtHead(ids[number - 1] ?? '', number) as Release
  const ownFile = (number: number) => join(gitDir, 'pushlive/releases', String(number), 'release')

  /** Makes a release of each of the commits, of which the last is live. */
  async function deployAll(): Promise<void> {
    const releases = open()
    for (const [index, id] of ids.entries()) {
      const next = releases.choose(undefined, [], [])
      mkdirSync(next.path, { recursive: true })
      await releases.takeOver(next, id)
      releases.switchTo(next)
      releases.markLive(next, index + 1, undefined, false)
    }
  }
  const numbers = (...all: (Release | undefined)[]) => all.map(each => each?.number)

  it('are used in turn, but neither the one that serves nor the one before', async () => {
    await deployAll()
    assert.equal(readlinkSync(link), 'www.releases/3')
    assert.deepEqual(numbers(...open().kept()), [1, 2, 3])
    assert.equal(open().choose({ commit: ids[2] }, [], []).number, 1)
  })

  it('keep the one of the live commit, also where the link was led elsewhere', async () => {
    await deployAll()
    assert.equal(open().choose({ commit: ids[0] }, [], []).number, 2)
  })

  it('are not used again while a process runs from them, where there is another', async t => {
    await deployAll()
    const releases = open(4)
    // Nothing was ever live in it, so it comes first.
    const free = join(`${link}.releases`, '4')
    mkdirSync(free)
    const process = spawn('sleep', ['1000'], { cwd: free, stdio: 'ignore' })
    t.after(() => process.kill('SIGKILL'))
    assert.equal(releases.choose({ commit: ids[2] }, []).number, 1)
  })

  it('say nothing of a folder that is not theirs any more, nor by a state that is damaged', async () => {
    await deployAll()
    const [first, second] = [release(1), release(2)]
    first.updateState({ installed: { commit: ids[0] ?? '', settingsFile: 'x' } })
    assert.equal(first.state.live, 1)
    rmSync(join(first.path, '.git'))
    assert.deepEqual(first.state, {})
    for (const wrong of [{ complete: 'main' }, { live: '2' }, { shared: [1] }, { installed: {} }, null, 'x']) {
      writeFileSync(ownFile(2), JSON.stringify(wrong))
      assert.deepEqual(second.state, {}, JSON.stringify(wrong))
    }
  })

  it('that a rollback has gone back from are nothing to go back to', async () => {
    await deployAll()
    const releases = open()
    releases.switchTo(release(2))
    releases.markLive(release(2), 4, undefined, true)
    assert.deepEqual([release(1).state.live, release(2).state.live, release(3).state.live], [1, 2, undefined])
  })

  it('begin with the folder that served, and with nothing that was installed for its old path', async () => {
    const inPlace = open(1)
    mkdirSync(link)
    const served = inPlace.serving() as Release
    await inPlace.takeOver(served, ids[0] ?? '')
    served.updateState({ installed: { commit: ids[0] ?? '', settingsFile: 'x' }, database: 'r1' })
    served.installedPaths = [fromText('venv')]
    open().convertLayout()
    assert.deepEqual(open().serving()?.state, { complete: ids[0], live: 1, database: 'r1' })
  })

  it('are refused before anything where the link could not be replaced', () => {
    mkdirSync(`${link}.releases`)
    chmodSync(`${link}.releases`, 0o777)
    chmodSync(site, 0o555)
    const printed = run(`
      import { Releases } from ${source('releases.ts')}
      // Root may write everywhere, and another user may not even come here.
      process.chdir(${JSON.stringify(site)})
      if (process.getuid() === 0) process.setgid(65534), process.setuid(65534)
      const settings = { RELEASES: 3, PATH_TO_GIT_WORK_TREE: 'www' }
      try {
        new Releases(settings, ${JSON.stringify(gitDir)}).convertLayout()
      } catch (error) {
        console.log(error.message)
      }`)
    assert.equal(printed, 'www cannot be made a link to its releases.\n')
  })

  it('are switched so that no power cut brings the old one back', async () => {
    await deployAll()
    const trace = join(site, 'trace')
    run(
      `import { Releases } from ${source('releases.ts')}
      const releases = new Releases({ RELEASES: 3, PATH_TO_GIT_WORK_TREE: ${JSON.stringify(link)} }, ${JSON.stringify(gitDir)})
      releases.switchTo(releases.findAtHead(${JSON.stringify(ids[0])}, 1))`,
      ...['strace', '-f', '-qq', '-y', '-e', 'trace=rename,fsync', '-o', trace],
    )
    assert.ok(lstatSync(link).isSymbolicLink())
    assert.equal(readlinkSync(link), 'www.releases/1')
    const calls = readFileSync(trace, 'utf8').split('\n')
    const order = calls.filter(line => line.includes(site)).map(line => /(fsync|rename)\(/.exec(line)?.[1])
    assert.deepEqual(order, ['rename', 'fsync'])
  })
})

it('A shared path that is a link to itself, as a kill can leave it, is free again', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'shared-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const kept = join(folder, 'media')
  symlinkSync(kept, kept)
  const replaced = new Replaced(join(folder, 'replaced'), new Date(0).toISOString(), '', () => {})
  const paths = new SharedPaths(['media'], folder, () => {}, replaced)
  await paths.verify(undefined, new Repository(folder), undefined)
  assert.equal(lstatSync(kept, { throwIfNoEntry: false }), undefined)
})
