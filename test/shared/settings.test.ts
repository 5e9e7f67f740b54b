import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import { Failure } from '../../scripts/lib/shared/program.ts'
import {
  branchName,
  committed,
  isBranchName,
  loadEnvFile,
  lookAtSettings,
  readEnvFile,
  readEnvLines,
  readSettings,
  seconds,
  verifyRight,
} from '../../scripts/lib/shared/settings.ts'

const $ = zx({ quiet: true, nothrow: true })
const folder = mkdtempSync(join(tmpdir(), 'settings-'))
after(() => rmSync(folder, { recursive: true }))

function write(text: string): string {
  const file = join(folder, 'env')
  writeFileSync(file, text)
  return file
}
/** All that a failure says. */
function failureOf(action: () => unknown): Failure {
  try {
    action()
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
  assert.fail('it did not fail')
}

describe('A setting', () => {
  const asNumber = { means: 'a number', read: Number }

  for (const [what, setting, given, value] of [
    ['is the text that is given', { means: '' }, ' text ', ' text '],
    ['is read into its value', asNumber, '7', 7],
    ['that is missing is undefined', { means: '' }, undefined, undefined],
    ['that is empty is missing', { means: '' }, '', undefined],
    ['that is blank is missing', { means: '' }, ' \t', undefined],
    ['that is missing has its default, read', { ...asNumber, default: '8' }, undefined, 8],
    ['that is empty has its default', { ...asNumber, default: '8' }, '', 8],
    ['that is given has no default', { ...asNumber, default: '8' }, '7', 7],
    ['that may be empty is', { means: '', default: 'x', mayBeEmpty: true }, '', ''],
    [
      'that may be empty has its default where it is missing',
      { means: '', default: 'x', mayBeEmpty: true },
      undefined,
      'x',
    ],
    ['that may be empty need not be', { means: '', mayBeEmpty: true }, 'x', 'x'],
  ] as const) {
    it(what, () => {
      const { values, problems } = lookAtSettings({ NAME: setting }, { NAME: given })
      assert.deepEqual(values, value === undefined ? {} : { NAME: value })
      assert.deepEqual(problems, [])
    })
  }

  it('that is required and missing is a problem, with what it means', () => {
    const { problems } = lookAtSettings({ NAME: { means: 'a name, such as x', required: true } }, { NAME: ' ' })
    assert.deepEqual(problems, ['NAME is missing: a name, such as x'])
  })

  it('that is wrong is a problem, in the words of whoever reads it', () => {
    const wrong = { means: 'a name', read: () => assert.fail('is wrong') }
    const failing = (fix: string) => () => {
      throw new Failure(2, 'NAME is strange.', { fix })
    }
    const settings = { A: wrong, B: { means: '', read: failing('do that') }, C: { means: '', read: failing('') } }
    const { values, problems } = lookAtSettings(settings, { A: 'a', B: 'b', C: 'c' })
    assert.deepEqual(values, {})
    assert.deepEqual(problems, ['A is wrong: a name', 'NAME is strange. To do: do that', 'NAME is strange.'])
  })
})

describe('Settings', () => {
  const settings = { A: { means: 'the first', required: true }, B: { means: 'the second', required: true } } as const

  it('are also looked at together', () => {
    const together = ({ A, B }: { A?: string; B?: string }) => [`${A} beside ${B}`]
    assert.deepEqual(lookAtSettings(settings, { A: 'a' }, together).problems, [
      'B is missing: the second',
      'a beside undefined',
    ])
    assert.match(failureOf(() => readSettings(settings, { A: 'a', B: 'b' }, '.env', together)).why, /^a beside b$/)
  })

  it('that are right are given', () => assert.deepEqual(readSettings(settings, { A: 'a', B: 'b' }), { A: 'a', B: 'b' }))

  it('are those of the environment where no others are given', t => {
    t.mock.property(process, 'env', { A: 'a', B: 'b' })
    assert.deepEqual(readSettings(settings), { A: 'a', B: 'b' })
  })

  it('that are wrong are told at once, and where they can be set', () => {
    const { exitCode, message, why, fix } = failureOf(() => readSettings(settings, {}))
    assert.equal(exitCode, 2)
    assert.equal(message, '2 settings are wrong.')
    assert.equal(why, 'A is missing: the first\nB is missing: the second')
    assert.equal(fix, 'set them in the environment, in .env or in deploy/deploy.env; .env.example explains each')
    const one = failureOf(() => readSettings(settings, { A: 'a' }, 'server.env'))
    assert.equal(one.message, 'A setting is wrong.')
    assert.equal(one.fix, 'set them in the environment or in server.env; .env.example explains each')
  })

  it('without a problem are right', () => verifyRight([], 'anywhere'))
})

describe('A number of seconds', () => {
  for (const [text, number] of [
    ['0', 0],
    ['7', 7],
    [' 12.5 ', 12.5],
    ['2147483', 2_147_483],
    ['2147483.647', 2_147_483.647],
  ] as const) {
    it(`is ${JSON.stringify(text)}`, () => assert.equal(seconds(text), number))
  }
  for (const text of ['', 'x', '-1', '1s', 's1', '1.', '.5', '1e3', '0x10', '1 2', '2147483.648', '2147484', '1,5']) {
    it(`is not ${JSON.stringify(text)}`, () =>
      assert.throws(() => seconds(text), /^Error: is not a number of seconds \(at most 2147483\)$/))
  }
})

describe('The name of a branch', () => {
  const names = [
    ...['main', 'a/b', 'ü', 'a.b', '-a', 'a-', '@', 'a@b', 'a{b', '{', 'a.lock.b', 'a.locks', "a'b", 'a"b', '$(id)'],
    ...['', '/a', 'a/', 'a//b', '.a', 'a/.b', 'a.', 'a..b', 'a.lock', 'a.lock/b', 'a/b.lock', 'a b', 'a~b', 'a^b'],
    ...['a:b', 'a?b', 'a*b', 'a[b', 'a\\b', 'a@{b', 'a\tb', 'a\nb', 'a\x7fb', 'a/.', 'a/..', '..'],
  ]
  it('is one exactly where git says so', async () => {
    for (const name of names) {
      const { exitCode } = await $`git check-ref-format ${`refs/heads/${name}`}`
      assert.equal(isBranchName(name) && name !== '', exitCode === 0, JSON.stringify(name))
    }
  })

  it('is given, or wrong', () => {
    assert.equal(branchName('a/b'), 'a/b')
    assert.throws(() => branchName('a b'), /^Error: is not a name that git allows for a branch$/)
  })
})

describe('A file of settings', () => {
  it('has lines of names and values, as dotenv reads them', () => {
    const file = write('A=1\nexport B="two words" # and more\n# C=3\nD=4 # a comment\nE=\'a#b\'\nF="x#y"\nG=\n')
    assert.deepEqual({ ...readEnvFile(file) }, { A: '1', B: 'two words', D: '4', E: 'a#b', F: 'x#y', G: '' })
    assert.equal(readEnvLines(file).name, file)
    assert.match(readEnvLines(file).text, /^A=1\n/)
  })

  it('need not be there if it was not named', async t => {
    inFolder(t, folder)
    assert.deepEqual({ ...readEnvFile() }, {})
    const { name, text } = readEnvLines()
    assert.deepEqual([name, text], ['.env', ''])
  })

  it('is .env where none was named', t => {
    const own = join(folder, 'own')
    mkdirSync(own)
    writeFileSync(join(own, '.env'), 'A=1')
    inFolder(t, own)
    assert.deepEqual({ ...readEnvFile() }, { A: '1' })
  })

  it('that was named has to be there', () => {
    const { exitCode, message, why, fix } = failureOf(() => readEnvFile(join(folder, 'none')))
    assert.equal(exitCode, 2)
    assert.equal(message, `The settings file ${join(folder, 'none')} cannot be read.`)
    assert.match(why, /ENOENT/)
    assert.equal(fix, '')
  })

  it('that another user may not read is a problem for that one', {
    skip: process.getuid?.() !== 0 && 'only root can be another',
  }, () => {
    const file = write('A=1')
    chmodSync(file, 0o600)
    const program = `
      import { readEnvFile } from ${JSON.stringify(join(import.meta.dirname, '../../scripts/lib/shared/settings.ts'))}
      process.chdir(${JSON.stringify(folder)}), process.setgid(65534), process.setuid(65534)
      try { readEnvFile('env') } catch (error) { console.log(error.message + ' ' + error.fix) }`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
    assert.equal(stdout, 'The settings file env cannot be read. run this as the user that it belongs to\n')
  })

  it('that cannot be read is a problem, also where it was not named', t => {
    const own = join(folder, 'odd')
    mkdirSync(join(own, '.env'), { recursive: true })
    inFolder(t, own)
    const { message, why } = failureOf(() => readEnvFile())
    assert.equal(message, 'The settings file .env cannot be read.')
    assert.match(why, /EISDIR/)
  })

  for (const [line, names] of [
    ['A=ab#cd', ['A']],
    ['  export A.b-c = ab#cd # more', ['A.b-c']],
    ['A=a b#c', ['A']],
    ['A=1\nB=ab#c\nC=de#f', ['B', 'C']],
    ['A=ab #cd', []],
    ['A=#cd', []],
    ['A= #cd', []],
    ['A="ab#cd"', []],
    ["A='ab#cd'", []],
    ['A=`ab#cd`', []],
    ['export  A=ab#cd', ['A']],
    ['# A=ab#cd', []],
    ['# A=ab#cd\nA=ab', []],
    ['A=ab\n#cd', []],
    ['A=ab#cd\nA=ef', []],
    ['A=\nB#C', []],
  ] as const) {
    it(`with ${JSON.stringify(line)} cuts ${names.join(' and ') || 'nothing'}`, () => {
      const file = write(line)
      assert.deepEqual(readEnvLines(file).cut, names)
      if (names.length === 0) return assert.doesNotThrow(() => readEnvFile(file))
      const { exitCode, message, fix } = failureOf(() => readEnvFile(file))
      assert.deepEqual([exitCode, message], [2, `${names.join(' and ')} would end at the # in ${file}.`])
      assert.equal(fix, 'put the value in quotes, or a blank before a # that begins a comment')
    })
  }

  it('is put into the environment, which wins', t => {
    t.mock.property(process, 'env', { A: 'first', EMPTY: '' })
    loadEnvFile(write('A=second\nB=new\nEMPTY=x'))
    assert.deepEqual({ ...process.env }, { A: 'first', B: 'new', EMPTY: '' })
  })
})

describe('Settings that are committed', () => {
  /** A folder with these files, to be in. */
  function enter(t: TestContext, files: Record<string, string>, env: Record<string, string> = {}) {
    const own = mkdtempSync(join(folder, 'clone-'))
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(own, name)), { recursive: true })
      writeFileSync(join(own, name), text)
    }
    inFolder(t, own)
    t.mock.property(process, 'env', env)
    return own
  }
  const three = 'STAGING_REMOTE_REPO=committed\nBRANCH_NAME=committed\nAPP_URL=committed\n'

  it('stand in for those that neither the environment nor .env has', t => {
    const files = { '.env': 'BRANCH_NAME=own\nAPP_URL=own\n', 'deploy/deploy.env': three }
    enter(t, files, { APP_URL: 'given' })
    loadEnvFile()
    assert.deepEqual({ ...process.env }, { STAGING_REMOTE_REPO: 'committed', BRANCH_NAME: 'own', APP_URL: 'given' })
  })

  it('do not count where a file was named', t => {
    enter(t, { 'deploy/deploy.env': three, 'other.env': 'A=1\n' })
    loadEnvFile('other.env')
    assert.deepEqual({ ...process.env }, { A: '1' })
  })

  it('are none where deploy is the program', t => {
    enter(t, { deploy: '' })
    loadEnvFile()
    assert.deepEqual({ ...process.env }, {})
  })

  it('cannot be several others', t => {
    enter(t, { 'deploy/deploy.env': 'PATH=x\nHOOK_BINARY=x\n' })
    assert.match(failureOf(() => loadEnvFile()).message, /^PATH, HOOK_BINARY cannot be set in /)
  })

  for (const name of ['SSH_DEPLOYMENT_KEY', 'GIT_SSH_COMMAND', 'PATH', 'HOOK_BINARY']) {
    it(`cannot be ${name}`, t => {
      enter(t, { 'deploy/deploy.env': `${three}${name}=x\n` })
      const { exitCode, message, why, fix } = failureOf(() => loadEnvFile())
      assert.deepEqual([exitCode, message], [2, `${name} cannot be set in deploy/deploy.env, which is committed.`])
      assert.equal(why, `It may have ${committed.names.join(', ')}.`)
      assert.match(fix, /in \.env, which is not committed/)
      assert.deepEqual({ ...process.env }, {})
    })
  }
})

function inFolder(t: TestContext, path: string): void {
  const before = process.cwd()
  process.chdir(path)
  t.after(() => process.chdir(before))
}
