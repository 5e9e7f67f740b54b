import assert from 'node:assert/strict'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { canBeWritten, fromText } from '../../scripts/lib/hook/git-paths.ts'
import { waitForNextSecond } from '../../scripts/lib/hook/mtime.ts'
import { abandon, go, type Start } from '../../scripts/lib/hook/processes.ts'
import { Replaced } from '../../scripts/lib/hook/replaced.ts'
import { WorkTree } from '../../scripts/lib/hook/work-tree.ts'
import { environmentOf } from '../lib/site.ts'

describe('A work tree', { concurrency: true }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'work-tree-'))
  const repository = join(folder, 'app.git')
  after(() => rmSync(folder, { recursive: true }))
  const ids = {} as Record<'A' | 'B' | 'C' | 'D', string>
  before(async () => {
    const clone = join(folder, 'clone')
    const $ = zx({ quiet: true, env: environmentOf(folder) })
    await $`git init --quiet --initial-branch=main ${clone}`
    const commit = async (name: keyof typeof ids, files: Record<string, string>) => {
      for (const [file, content] of Object.entries(files)) {
        mkdirSync(join(clone, file, '..'), { recursive: true })
        writeFileSync(join(clone, file), content)
      }
      const git = $({ cwd: clone })
      await git`git add --all && git commit --quiet --message ${name}`
      ids[name] = (await git`git rev-parse HEAD`).stdout.trim()
    }
    await commit('A', { page: 'one' })
    await commit('B', { page: 'two', 'sub/file': 'of B' })
    await commit('C', { page: 'six', 'sub/file': 'of C' })
    rmSync(join(clone, 'sub'), { recursive: true })
    await commit('D', { sub: 'no folder' })
    await $`git clone --quiet --bare ${clone} ${repository}`
    mkdirSync(join(repository, 'pushlive'))
  })

  const start: Start = (text, command) => go(command, { text })
  let count = 0

  /** One with commit A, and what its checkouts have said and called. */
  async function newWorkTree({ isServed = true } = {}) {
    count++
    const path = join(folder, `www-${count}`)
    const own = join(repository, 'pushlive', `work-tree-${count}`)
    const said: string[] = []
    const changes: string[] = []
    const say = (note: string) => void said.push(note)
    const workTree = new WorkTree(path, repository, own, join(folder, 'shared'), isServed)
    const replaced = new Replaced(join(folder, `replaced-${count}`), new Date(0).toISOString(), '', say)
    const checkOut = (commit: string, more: { start?: Start; known?: readonly string[] } = {}) => {
      const findCandidates = async () => more.known ?? []
      const onChange = () => void changes.push(readFileSync(join(path, 'page'), 'utf8'))
      return workTree.checkOut(commit, { found: undefined, findCandidates, start, onChange, replaced, say, ...more })
    }
    const onChange = () => {}
    await workTree.checkOut(ids.A, { found: undefined, findCandidates: async () => [], start, onChange, replaced, say })
    return {
      path,
      own,
      said,
      changes,
      workTree,
      replaced,
      checkOut,
      read: (name: string) => readFileSync(join(path, name), 'utf8'),
    }
  }

  it('gives the files of two commits times in different seconds, as Python tells them apart by', async () => {
    const { path, own, checkOut } = await newWorkTree()
    // At the beginning of a second, so that both are in it unless it is waited for.
    await waitForNextSecond(join(own, 'HEAD'))
    await checkOut(ids.B)
    const first = statSync(join(path, 'page')).mtimeMs
    await checkOut(ids.C)
    assert.ok(Math.floor(statSync(join(path, 'page')).mtimeMs / 1000) > Math.floor(first / 1000))
  })

  it('is checked out although a killed git has left its locks', async () => {
    const { own, checkOut, read } = await newWorkTree()
    for (const lock of ['index.lock', 'HEAD.lock']) writeFileSync(join(own, lock), '')
    await checkOut(ids.B)
    assert.equal(read('page'), 'two')
  })

  it('is told as changed before its first file is, and holds no commit while another one is checked out', async () => {
    const { workTree, changes, checkOut, read } = await newWorkTree()
    const during: unknown[] = []
    await checkOut(ids.B, {
      start: async (text, command) => {
        if (text === 'git checkout') during.push(changes.length, workTree.isAt(ids.A), await workTree.holds(ids.A))
        return start(text, command)
      },
    })
    assert.deepEqual(changes, ['one'])
    assert.deepEqual(during, [1, false, false])
    assert.equal(read('page'), 'two')
    assert.ok(await workTree.holds(ids.B))
  })

  it('that has a link in place of a folder is left alone, and so is where it leads', async () => {
    const { path, checkOut, read } = await newWorkTree()
    const elsewhere = mkdtempSync(join(folder, 'elsewhere-'))
    symlinkSync(elsewhere, join(path, 'sub'))
    await assert.rejects(checkOut(ids.B), /Files that git does not know are in the way in .*: sub\.\n/)
    assert.equal(read('page'), 'one')
    assert.ok(lstatSync(join(path, 'sub')).isSymbolicLink())
    assert.deepEqual(readdirSync(elsewhere), [])
  })

  it('loses no file that nobody knows where nobody has files of their own: it is moved aside', async () => {
    const { path, replaced, said, checkOut, read } = await newWorkTree({ isServed: false })
    mkdirSync(join(path, 'sub'))
    writeFileSync(join(path, 'sub/file'), 'of somebody')
    await checkOut(ids.B)
    assert.equal(read('sub/file'), 'of B')
    assert.equal(readFileSync(join(replaced.place, 'sub/file'), 'utf8'), 'of somebody')
    assert.deepEqual(said, [`MOVED TO ${replaced.place}, because they belong to no known commit: sub/file`])
  })

  it('takes files of a commit that was there for its own where its state is lost', async () => {
    const { own, said, checkOut, read, replaced } = await newWorkTree()
    await checkOut(ids.B)
    for (const name of ['HEAD', 'index']) rmSync(join(own, name))
    await checkOut(ids.C, { known: [ids.A, ids.B] })
    assert.deepEqual([read('page'), read('sub/file')], ['six', 'of C'])
    assert.deepEqual(said, [])
    assert.ok(!existsSync(replaced.place))
  })

  it('where a checkout was killed takes files whose content git has for no hindrance', async () => {
    const { path, own, checkOut, read } = await newWorkTree()
    writeFileSync(join(own, 'unfinished'), ids.A)
    mkdirSync(join(path, 'sub'))
    writeFileSync(join(path, 'sub/file'), 'of B')
    await checkOut(ids.D, { known: [ids.B] })
    assert.equal(read('sub'), 'no folder')
  })

  it('whose state was lost is known to be so until a checkout is complete', async () => {
    const { workTree, own, checkOut } = await newWorkTree()
    rmSync(join(own, 'HEAD'))
    const killed: Start = (_, command) => {
      abandon(command)
      return Promise.reject(new Error('killed'))
    }
    await assert.rejects(checkOut(ids.B, { start: killed, known: [ids.A] }), /cannot be checked out/)
    assert.equal(workTree.isAt(ids.A), false)
    await checkOut(ids.B, { known: [ids.A] })
    assert.ok(workTree.isAt(ids.B))
  })
})

describe('A path of a commit', () => {
  it("can be written unless it leads out of the folder, or into what is git's own", () => {
    for (const path of ['a', 'a/b', '.gitignore', 'a/.github/x', '..a', 'a..', '.gitx/a', 'a/...'])
      assert.ok(canBeWritten(fromText(path)), path)
    for (const path of ['.git', '.GIT/config', 'a/.git/x', '..', '../a', 'a/../b', '.', './a', 'a//b', '/a', 'a/', ''])
      assert.ok(!canBeWritten(fromText(path)), path)
  })
})
