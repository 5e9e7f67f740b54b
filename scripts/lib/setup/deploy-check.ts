import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isSea } from 'node:sea'
import { $ as zx } from 'zx/core'
import { harmless } from '../shared/foreign-text.ts'
import { version } from '../shared/program.ts'
import { thisMachine } from './hook-binary.ts'
import type { Row } from './summary.ts'

/**
 * Runs `deploy check` in the current directory, by the deploy that came with this program.
 *
 * @param env what the CI has
 * @returns the row about it; what it complains of is shown
 */
export async function runDeployCheck(env: Readonly<Record<string, string>>): Promise<Row> {
  const what = 'deploy check'
  const [deploy, ...args] = findDeploy() ?? []
  if (deploy === undefined) return [what, 'TO DO', 'run it in your clone: deploy is not beside setup-ssh']
  const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  // A binary of several programs starts the one that it is called by.
  const name = isSea() ? 'deploy' : deploy
  const { ok, stdout, stderr } = await $`exec -a ${name} ${deploy} ${args} check --json`
  const { ready, checks } = readAnswer(stdout)
  if (ready !== true) console.log(harmless(stderr.trimEnd()))
  if (ok) return [what, 'ok', `${checks.length} checks`]
  return [what, 'TO DO', `${checks.filter(({ ok }) => ok === false).length} of ${checks.length} fail: see above`]
}

interface Answer {
  readonly ready: boolean | null
  readonly checks: readonly { readonly ok: boolean | null }[]
}

/** What a program prints that ends at once is no answer. */
function readAnswer(text: string): Answer {
  try {
    return JSON.parse(text)
  } catch {
    return { ready: null, checks: [] }
  }
}

/** The words of its command. Another program may be called deploy, too. */
function findDeploy(): readonly string[] | undefined {
  const script = process.argv[1] ?? ''
  if (!isSea()) {
    const node = [process.execPath, ...process.execArgv, '--']
    return version === 'source' ? [...node, join(dirname(script), 'deploy.ts')] : [...node, script, 'deploy']
  }
  const folder = dirname(process.execPath)
  const places = [`deploy-${thisMachine}`, 'deploy'].map(name => join(folder, name))
  const isOurs = (file: string) => existsSync(file) && readFileSync(file).includes('Usage: deploy [--again')
  const found = places.find(isOurs)
  if (found !== undefined) return [found]
  const { stdout } = spawnSync(process.execPath, ['--version'], { argv0: 'deploy', encoding: 'utf8' })
  return stdout.startsWith('pushlive deploy ') ? [process.execPath] : undefined
}
