import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempDisposableSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const root = join(import.meta.dirname, '../..')
const binaries = process.env.PUSHLIVE_BINARIES ?? join(root, 'dist', `${process.platform}-${process.arch}`)
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

for (const program of ['deploy', 'setup-ssh', 'post-receive']) {
  describe(`the binary of ${program}`, () => {
    const binary = findBinary(program)
    const start = (env: NodeJS.ProcessEnv, ...args: string[]) => spawnSync(binary, args, { env, encoding: 'utf8' })
    const verifyStarts = (env: NodeJS.ProcessEnv) => {
      const { status, stdout, stderr } = start(env, '--version')
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
      const [name, commit] = stdout.trimEnd().split(/ (?=\()/)
      assert.equal(name, `pushlive ${program} ${version}`)
      assert.match(commit ?? '(1a2b3c4)', /^\([0-9a-f]{7,}(-dirty)?\)$/)
    }

    test('needs no environment', () => verifyStarts({}))

    test('is executable, of less than 111 MB', () => {
      const { mode, size } = statSync(binary)
      assert.equal(mode & 0o777, 0o755)
      assert.ok(size < 111e6, `${size} bytes`)
    })

    test('ignores NODE_OPTIONS', () => {
      using folder = mkdtempDisposableSync(join(tmpdir(), 'pushlive-'))
      const foreign = join(folder.path, 'foreign.cjs')
      writeFileSync(foreign, 'console.log("foreign code")\nprocess.exit(42)\n')
      verifyStarts({ NODE_OPTIONS: `--require=${foreign}` })
      verifyStarts({ NODE_OPTIONS: '--no-such-flag' })
    })

    test('ignores OPENSSL_CONF', () => {
      using folder = mkdtempDisposableSync(join(tmpdir(), 'pushlive-'))
      const broken = join(folder.path, 'openssl.cnf')
      writeFileSync(broken, 'no equal sign\n')
      verifyStarts({ OPENSSL_CONF: broken })
    })

    test('handles --env-file itself: Node does not look for the file', () => {
      const nodesAnswer = '/no/such/file: not found'
      assert.ok(!start({}, '--env-file', '/no/such/file').stderr.includes(nodesAnswer))
    })
  })
}

// All three binaries start in the same way. This one starts git at once.
describe('the binary of deploy', () => {
  test('ignores ZX_*, which could change its shell and what runs in it', () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'pushlive-'))
    const settings = { STAGING_REMOTE_REPO: folder.path, BRANCH_NAME: 'main' }
    const foreign = { ZX_SHELL: '/bin/false', ZX_PREFIX: 'exit 42; ', ZX_VERBOSE: 'true', ZX_CWD: '/no/such/folder' }
    const env = { PATH: process.env.PATH, GIT_CEILING_DIRECTORIES: tmpdir(), ...settings, ...foreign }
    spawnSync('git', ['init', '--quiet', folder.path])
    const { status, stderr } = spawnSync(findBinary('deploy'), { env, cwd: folder.path, encoding: 'utf8' })
    assert.equal(status, 2, stderr)
    assert.match(stderr, /^There is no commit to deploy/)
    assert.doesNotMatch(stderr, /symbolic-ref/)
  })
})

// All three binaries are built and start in the same way. This one waits for its input.
describe('the binary of post-receive', { skip: process.platform !== 'linux' && 'there is no /proc' }, () => {
  const binary = findBinary('post-receive')

  test('opens no debugger on SIGUSR1', async () => {
    using folder = mkdtempDisposableSync(join(tmpdir(), 'pushlive-'))
    const hook = spawn(binary, { env: {}, cwd: folder.path })
    const ended = once(hook, 'exit')
    const errors = text(hook.stderr)
    // Until Node has blocked or caught it, the signal would end the process.
    while (!knowsSigusr1(hook.pid as number)) await sleep(5)
    hook.kill('SIGUSR1')
    hook.stdin.end()
    const [, signal] = await ended
    assert.equal(signal, null)
    assert.doesNotMatch(await errors, /Debugger/)
  })
})

function knowsSigusr1(pid: number) {
  const masks = readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/^Sig(?:Blk|Cgt):\s+([0-9a-f]+)$/gm)
  return [...masks].some(([, mask]) => BigInt(`0x${mask}`) & 0x200n)
}

function findBinary(program: string) {
  const path = join(binaries, program)
  before(() => assert.ok(existsSync(path), `${path} is not there: run make build first`))
  return path
}
