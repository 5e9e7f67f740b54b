import { spawn } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { Mutant } from './mutant.ts'

export const root = join(import.meta.dirname, '../..')

export type Outcome = { readonly passed: boolean; readonly seconds: number; readonly output: string }

/** All that a test starts ends with it, and it ends with this run: a mutant may loop for ever. Only root can have it so. */
const alone =
  process.getuid?.() === 0
    ? // The first process is a shell: the kernel keeps most signals from it.
      [
        ...'setpriv --pdeathsig KILL unshare --pid --fork --kill-child --mount-proc'.split(' '),
        ...['sh', '-c', '"$@"; exit $?', 'sh'],
      ]
    : []

/** A copy of the project, in which one mutant after another is tried. */
export function makeLane() {
  const folder = mkdtempSync(join(tmpdir(), 'mutation-'))
  // Tests act as other users, too, who have to get to their files.
  chmodSync(folder, 0o755)
  const project = join(folder, 'pushlive')
  const left = new Set(['.git', 'dist', 'node_modules'])
  cpSync(root, project, { recursive: true, filter: path => !left.has(relative(root, path)) })
  symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'))

  return {
    /** The first of the tests that fails with the mutant, or nothing. `limits` are in seconds. */
    async notices(mutant: Mutant, tests: readonly string[], limits: ReadonlyMap<string, number>) {
      const path = join(project, mutant.file)
      const original = readFileSync(path, 'utf8')
      writeFileSync(path, mutant.text)
      try {
        for (const test of tests) if (!(await runTest(test, limits.get(test))).passed) return test
      } finally {
        writeFileSync(path, original)
      }
      return
    },
    runTest,
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }

  /** Runs a test file on the sources. What it writes goes to a folder of its own. */
  async function runTest(test: string, limit = 900): Promise<Outcome> {
    const temporary = join(folder, 'tmp')
    mkdirSync(temporary)
    chmodSync(temporary, 0o1777)
    const cache = join(project, 'test/lib/compile-cache.mjs')
    // Without --test it is one process, and takes a third of the time.
    const [command = '', ...args] = [...alone, process.execPath, '--import', cache, test]
    const began = performance.now()
    const child = spawn(command, args, {
      cwd: project,
      env: { ...process.env, PUSHLIVE_TEST: 'sources', TMPDIR: temporary, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', text => (output += text))
    const timer = setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), limit * 1000)
    const code = await new Promise(resolve => child.once('exit', resolve))
    clearTimeout(timer)
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5 })
    return { passed: code === 0, seconds: (performance.now() - began) / 1000, output }
  }
}
