import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { $ as zx } from 'zx/core'
import type { Check } from '../protocol/checks.ts'
import { thisUser } from './folder-mode.ts'
import { findMissingTargets, type Sources } from './make-targets.ts'
import type { HookSettings } from './settings.ts'

/**
 * Looks whether the steps would find what their commands begin with and what they ask make for, and may run it. Runs none
 * of them.
 *
 * @param env what the steps find; undefined where that cannot be known before a deployment
 * @param sources of the commit, where the server has it
 */
export async function* checkCommands(
  settings: HookSettings,
  env: NodeJS.ProcessEnv | undefined,
  sources: Sources | undefined,
): AsyncGenerator<Check> {
  const { INSTALL_DEPS, BUILD, UPGRADE_DB, RESTART, PATH_TO_VENV } = settings
  const bin = PATH_TO_VENV && join(PATH_TO_VENV, 'bin')
  const { PATH = '' } = env ?? process.env
  const path = bin ? `${bin}${delimiter}${PATH}` : PATH
  const quietly = zx({
    nothrow: true,
    quiet: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...(env ?? process.env), PATH: path },
    timeout: '10s',
  })
  if (env === undefined) {
    yield { what: 'commands', isOk: true, isNote: true, found: 'not looked for: ACTIVATE_VENV may bring them' }
  }
  for (const [what, command = ''] of Object.entries({ INSTALL_DEPS, BUILD, UPGRADE_DB, RESTART })) {
    const [missing] = sources ? findMissingTargets(command, sources) : []
    if (missing !== undefined) {
      const lack = missing === 'Makefile' ? 'no Makefile' : `no rule for ${missing} in its Makefile`
      const isUnset = settings.unset.some(name => name === what)
      const fix = `${isUnset ? '' : 'add it, or '}set ${what} to what is to run, or empty if nothing is`
      yield { what, isOk: false, found: `${isUnset ? 'it is not set, and ' : ''}the commit has ${lack}`, fix }
      continue
    }
    // Only a word that stands for itself in any shell.
    const word = /^\s*([\w.+-]+)(?=\s|$)/.exec(command)?.[1]
    if (word === undefined || env === undefined) continue
    // bash tells it, because it may be one of its own.
    const found = await quietly`bash -c ${'command -v -- "$1"'} bash ${word}`
    if (found.ok) yield { what, isOk: true, found: `${word} is ${found.stdout.trim()}` }
    else {
      const isEnvironmentMade = bin === undefined || existsSync(bin)
      const mayStillCome = !isEnvironmentMade || (what !== 'INSTALL_DEPS' && INSTALL_DEPS.trim() !== '')
      if (mayStillCome) {
        yield { what, isOk: true, isNote: true, found: `there is no ${word} yet: the install has to bring it` }
      } else {
        const fix = 'install it there, or set PATH (setup-ssh set PATH=...)'
        yield { what, isOk: false, found: `there is no ${word} on the PATH ${path}`, fix }
      }
    }
  }
  // Its words stand for themselves, and sudo has no option but the one that every hook needs.
  const [, asRoot] = /^\s*sudo\s+(?:-n\s+)?([\w/][\w./@:+=,-]*(?:\s+[\w./@:+=,-]+)*)\s*$/.exec(RESTART ?? '') ?? []
  if (asRoot === undefined) return
  const listed = await quietly`sudo -n -l -- ${asRoot.split(/\s+/)}`
  if (listed.exitCode === 127) return
  const why = `${thisUser()} may not run it without a password: ${listed.stderr.trim()}`
  const fix = `a rule in sudoers: ${thisUser()} ALL=(root) NOPASSWD: ${asRoot}`
  yield listed.ok
    ? { what: 'sudo', isOk: true, found: asRoot }
    : { what: 'sudo', isOk: false, found: `${asRoot}: ${why}`, fix }
}
