import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
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
import { afterEach, beforeEach, describe, it } from 'node:test'
import { replaceFile } from '../../scripts/lib/shared/replace-file.ts'

const source = join(import.meta.dirname, '../../scripts/lib/shared/replace-file.ts')

describe('A file that is replaced', () => {
  let folder: string
  let file: string
  const temporaries = () => readdirSync(folder).filter(name => name.includes('.pushlive-'))
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'replace-file-'))
    file = join(folder, 'state')
    writeFileSync(file, 'old')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('has what is given, and is private', async () => {
    await replaceFile(file, 'new')
    assert.equal(readFileSync(file, 'utf8'), 'new')
    assert.equal(statSync(file).mode & 0o777, 0o600)
    await replaceFile(file, Buffer.from([0xff, 0]), 0o755)
    assert.deepEqual([...readFileSync(file)], [0xff, 0])
    assert.equal(statSync(file).mode & 0o777, 0o755)
    assert.deepEqual(temporaries(), [])
  })

  it('stays where the new one cannot be made', async () => {
    const failing = replaceFile(file, async temporary => {
      writeFileSync(temporary, 'half')
      assert.deepEqual(temporaries(), [`state.pushlive-${process.pid}`])
      throw new Error('the disk is full')
    })
    await assert.rejects(failing, /^Error: the disk is full$/)
    assert.equal(readFileSync(file, 'utf8'), 'old')
    assert.deepEqual(temporaries(), [])
    const failingFolder = replaceFile(join(folder, 'new'), temporary => {
      mkdirSync(temporary)
      writeFileSync(join(temporary, 'file'), 'half')
      throw new Error('the disk is full')
    })
    await assert.rejects(failingFolder, /^Error: the disk is full$/)
    assert.deepEqual(readdirSync(folder), ['state'])
  })

  it('is closed again', async () => {
    const open = () => readdirSync('/proc/self/fd').length
    const before = open()
    await replaceFile(file, 'new')
    assert.equal(open(), before)
  })

  it('that is a link is replaced itself', async () => {
    const link = join(folder, 'link')
    symlinkSync(file, link)
    await replaceFile(link, 'new')
    assert.ok(lstatSync(link).isFile())
    assert.equal(readFileSync(file, 'utf8'), 'old')
  })

  it('does not go through a link in place of the temporary one', async () => {
    const other = join(folder, 'other')
    writeFileSync(other, 'of somebody')
    // It has the name of a killed run of the same number.
    symlinkSync(other, `${file}.pushlive-${process.pid}`)
    await replaceFile(file, 'new')
    assert.equal(readFileSync(other, 'utf8'), 'of somebody')
    assert.equal(readFileSync(file, 'utf8'), 'new')
  })

  it('takes along what killed runs have left of it, and nothing else', async () => {
    const ended = spawnSync('true').pid
    const half = join(folder, `state.pushlive-${spawnSync('true').pid}`)
    mkdirSync(half)
    writeFileSync(join(half, 'file'), '')
    const names = [
      `state.pushlive-${ended}`,
      // Where 1 is the parent, too, there is one file of both.
      ...new Set([`state.pushlive-${process.ppid}`, 'state.pushlive-1']),
      `other.pushlive-${ended}`,
      `state2.pushlive-${ended}`,
      'state.bak',
    ]
    for (const name of names) writeFileSync(join(folder, name), '')
    await replaceFile(file, 'new')
    assert.deepEqual(readdirSync(folder).sort(), [...names.slice(1), 'state'].sort())
  })

  it("leaves another user's copy that is being made", {
    skip: process.getuid?.() !== 0 && 'only root can be another',
  }, () => {
    chmodSync(folder, 0o777)
    writeFileSync(`${file}.pushlive-${process.pid}`, 'of a run of root')
    const program = `
      import { replaceFile } from ${JSON.stringify(source)}
      process.chdir(${JSON.stringify(folder)}), process.setgid(65534), process.setuid(65534)
      await replaceFile('state', 'new')`
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    assert.equal(readFileSync(file, 'utf8'), 'new')
    assert.deepEqual(temporaries(), [`state.pushlive-${process.pid}`])
  })

  it('is private from its first instant, and on the disk before it has its name', t => {
    const made = join(folder, 'made')
    const trace = join(folder, 'trace')
    const program = `import { replaceFile } from ${JSON.stringify(source)}\nawait replaceFile(${JSON.stringify(made)}, 'x')\nprocess.kill(process.pid, 0)`
    const strace = ['-f', '-qq', '-y', '-e', 'trace=openat,write,fsync,rename,renameat2,kill', '-o', trace]
    const run = spawnSync('strace', [...strace, process.execPath, '--input-type=module', '-e', program], {
      encoding: 'utf8',
    })
    assert.equal(run.status, 0, run.stderr)
    assert.ok(existsSync(made))
    const calls = readFileSync(trace, 'utf8')
      .split('\n')
      .filter(line => line.includes(folder) || line.includes('kill('))
    t.diagnostic(calls.join('\n'))
    assert.match(calls.join('\n'), /openat\(.*"[^"]*made\.pushlive-\d+", .*O_CREAT\|O_EXCL.*, 0600\)/)
    const order = calls.map(line => /\b(write|fsync|rename|kill)\w*\(/.exec(line)?.[1])
    assert.deepEqual(order.filter(Boolean), ['write', 'fsync', 'rename', 'fsync', 'kill'])
  })
})
