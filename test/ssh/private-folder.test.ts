import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
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
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { Failure } from '../../scripts/lib/shared/program.ts'
import { makePrivateFolder } from '../../scripts/lib/ssh/private-folder.ts'

const isRoot = process.getuid?.() === 0

function setTmpdir(path: string | undefined): void {
  if (path === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = path
}

describe('A private folder', () => {
  const before = process.env.TMPDIR
  let parent: string
  beforeEach(() => {
    // Short, because of the sockets in it.
    parent = mkdtempSync('/tmp/private-')
    process.env.TMPDIR = parent
  })
  afterEach(() => {
    setTmpdir(before)
    rmSync(parent, { recursive: true })
  })

  it('has files that only their owner can read, also at their first instant', t => {
    const umask = process.umask(0)
    t.after(() => process.umask(umask))
    let there: string[] = []
    const folder = makePrivateFolder(path => {
      there = readdirSync(path)
      return { key: 'secret', config: path }
    })
    assert.deepEqual(there, [])
    assert.match(folder, new RegExp(`^${parent}/pushlive-\\w{6}$`))
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    assert.deepEqual(readdirSync(folder).sort(), ['config', 'key', 'owner'])
    for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600)
    assert.deepEqual(
      ['key', 'config'].map(name => readFileSync(join(folder, name), 'utf8')),
      ['secret', folder],
    )
  })

  it('is left to a run that is alive', () => {
    const first = makePrivateFolder(() => ({ key: 'secret' }))
    makePrivateFolder(() => ({}))
    assert.ok(existsSync(join(first, 'key')))
  })

  /** A folder as a run leaves it; `change` says how it differs from one of this run. */
  function left(change: (owner: string) => string): string {
    const folder = makePrivateFolder(() => ({ key: 'secret' }))
    const owner = join(folder, 'owner')
    writeFileSync(owner, change(readFileSync(owner, 'utf8')))
    return folder
  }
  const ended = () => spawnSync('true').pid
  const withPart = (index: number, part: string) => (owner: string) =>
    owner
      .split(' ')
      .map((each, at) => (at === index ? part : each))
      .join(' ')

  for (const [what, change] of [
    ['has ended', withPart(2, `${ended()}`)],
    ['had the number of one that is alive', withPart(3, '1')],
  ] as const) {
    it(`is swept where its run ${what}`, () => {
      const folder = left(change)
      makePrivateFolder(() => ({}))
      assert.ok(!existsSync(folder))
    })
  }

  for (const [what, change] of [
    ['is of another boot or machine', (owner: string) => withPart(0, 'other')(withPart(2, `${ended()}`)(owner))],
    ['is of another container', (owner: string) => withPart(1, 'pid:[1]')(withPart(2, `${ended()}`)(owner))],
    ['is not told', () => ''],
  ] as const) {
    it(`is left where its run ${what}`, () => {
      const folder = left(change)
      makePrivateFolder(() => ({}))
      assert.ok(existsSync(join(folder, 'key')))
    })
  }

  it('is left where it is none of ours', () => {
    const end = withPart(2, `${ended()}`)
    const open = left(end)
    chmodSync(open, 0o755)
    const mine = left(end)
    const renamed = join(parent, 'other')
    mkdirSync(renamed)
    symlinkSync(mine, join(parent, 'pushlive-linked'))
    writeFileSync(join(renamed, 'owner'), readFileSync(join(mine, 'owner')))
    chmodSync(renamed, 0o700)
    writeFileSync(join(parent, 'pushlive-file'), '')
    mkdirSync(join(parent, 'pushlive-empty'), { mode: 0o700 })
    makePrivateFolder(() => ({}))
    assert.ok(existsSync(open))
    assert.ok(existsSync(renamed))
    assert.ok(existsSync(join(parent, 'pushlive-file')))
    assert.ok(existsSync(join(parent, 'pushlive-empty')))
    assert.ok(lstatSync(join(parent, 'pushlive-linked')).isSymbolicLink())
    assert.ok(!existsSync(mine))
  })

  it('is left where it belongs to another user', { skip: !isRoot && 'only root gives files away' }, () => {
    const folder = left(withPart(2, `${ended()}`))
    chownSync(folder, 12345, 12345)
    makePrivateFolder(() => ({}))
    assert.ok(existsSync(join(folder, 'key')))
  })

  it('that cannot be filled leaves nothing', () => {
    const failing = () => makePrivateFolder(() => ({ 'not/there': 'secret' }))
    assert.throws(failing, error => {
      assert.ok(error instanceof Failure)
      assert.equal(error.exitCode, 2)
      assert.equal(error.message, `The temporary folder ${parent} cannot be used.`)
      assert.match(error.why, /ENOENT/)
      assert.equal(error.fix, 'make room there, or let TMPDIR name a folder that can be written to')
      assert.ok(error.cause)
      return true
    })
    assert.deepEqual(readdirSync(parent), [])
  })

  it('whose parent is not there is told by its name', () => {
    process.env.TMPDIR = join(parent, 'none')
    assert.throws(() => makePrivateFolder(() => ({})), /^The temporary folder .*\/none cannot be used\.$/m)
  })

  for (const [what, name] of [
    ['a blank', 'a b'],
    ['a long path', 'x'.repeat(70)],
    ['a quote', "a'b"],
  ] as const) {
    it(`is in /tmp where TMPDIR has ${what}, which ssh would not bear`, () => {
      const odd = join(parent, name)
      mkdirSync(odd)
      process.env.TMPDIR = odd
      const folder = makePrivateFolder(() => ({}))
      rmSync(folder, { recursive: true })
      assert.match(folder, /^\/tmp\/pushlive-\w{6}$/)
    })
  }

  it('is where TMPDIR says from here, and named as from anywhere', t => {
    const here = process.cwd()
    process.chdir(parent)
    t.after(() => process.chdir(here))
    mkdirSync('own')
    process.env.TMPDIR = 'own'
    assert.match(
      makePrivateFolder(() => ({})),
      new RegExp(`^${parent}/own/pushlive-\\w{6}$`),
    )
  })
})
