import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { formatSettingsInput, isVariableName, type SettingsVerb } from '../protocol/settings-change.ts'
import { harmless } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { findHops } from './hops.ts'
import { cannotLogIn } from './install-hook.ts'
import { verifyPrograms } from './programs.ts'
import type { SetupSettings } from './settings.ts'
import { $, feed } from './shell.ts'
import { findSshFolder } from './ssh-folder.ts'

/** Starts the hook's program in the repository. All comes by its input, so that no shell and no argument list has it. */
const askHook = [
  'IFS= read -r repository',
  'IFS= read -r verb',
  'hook=$repository/hooks/post-receive',
  'echo pushlive: reached',
  // Another hook would take the settings for what was pushed.
  'grep -qF "pushlive post-receive" "$hook" || { echo pushlive: none; exit 2; }',
  '"$hook" settings -- "$repository" "$verb"',
  'code=$?',
  'test $code != 2 || "$hook" settings --help < /dev/null | grep -qF "post-receive settings" || echo pushlive: old',
  'exit $code',
].join('; ')

/**
 * Changes or shows the hook's settings on the server, through the operator's own ssh and the hook's own program there.
 *
 * @param words NAME=VALUE, or names; one NAME alone to set has its value from standard input
 * @returns the exit code
 * @throws Failure (usage) if something is wrong, also on the server; (unreachable) if the server cannot be reached
 */
export async function changeSettings(
  { STAGING_REMOTE_REPO: remote, PROXY_JUMP }: SetupSettings,
  verb: SettingsVerb,
  words: readonly string[],
  options: { readonly 'ssh-dir'?: string },
): Promise<number> {
  const [word = '', ...others] = words
  const isAsked = verb === 'set' && others.length === 0 && !word.includes('=')
  verifyWords(verb, words, isAsked)
  const server = remote.host === undefined ? undefined : findHops(remote, PROXY_JUMP).at(-1)
  verifyPrograms(server ? ['bash', 'sh', 'ssh'] : ['bash', 'sh'])
  const ssh = server ? findSshFolder(options['ssh-dir']).login(server) : ['sh', '-c']
  const lines = isAsked ? [`${word}=${await askValue(word)}`] : words
  const broken = lines.find(line => /[\r\n]/.test(line))
  if (broken !== undefined) {
    throw new Failure(exitCode.usage, `Nothing was changed: ${broken.replace(/=.*/s, '')} has a line break in it.`, {
      why: 'dotenv and systemd read a value of several lines differently.',
      fix: 'encode it, such as in base64, or put it into a file of its own on the server',
    })
  }
  const isInHome = server && remote.path.startsWith('~/')
  const path = isInHome ? remote.path.slice(2) : server ? remote.path : resolve(remote.path)
  const asked = $({ stdio: 'pipe' })`${ssh} ${`sh -c '${isInHome ? 'cd; ' : ''}${askHook}'`}`
  const { exitCode: code, stdout, stderr } = await feed(asked, formatSettingsInput([path, verb, ...lines]))
  // A login shell may print as well.
  const [, answer] = /^pushlive: reached\n(.*)$/ms.exec(stdout) ?? []
  const isOlder = /^pushlive: (none|old)$/m.exec(answer ?? '')
  if (isOlder !== null) {
    const what = isOlder[1] === 'none' ? 'has no hook of pushlive' : 'has an older hook, which cannot do this'
    throw new Failure(exitCode.usage, `${remote.url} ${what}.`, { fix: 'run setup-ssh first, or setup-ssh --hook' })
  }
  process.stderr.write(harmless(answer === undefined ? stdout + stderr : stderr))
  if (answer === undefined) throw cannotLogIn()
  process.stdout.write(process.stdout.isTTY ? harmless(answer) : answer)
  return code ?? exitCode.bug
}

function verifyWords(verb: SettingsVerb, words: readonly string[], isAsked: boolean): void {
  const usage = (what: string) => new Failure(exitCode.usage, what, { fix: 'setup-ssh --help lists what there is' })
  if (words.length === 0 && verb !== 'get') throw usage(`setup-ssh ${verb} takes a name.`)
  for (const word of words) {
    const [name = '', value] = word.split(/=(.*)/s)
    if (!isVariableName(name)) throw usage(`${name} is no name of a variable: letters, digits and _.`)
    if (verb !== 'set' && value !== undefined) throw usage(`setup-ssh ${verb} takes names, without a value.`)
    if (verb === 'set' && value === undefined && !isAsked) {
      throw usage(`${name} has no value: write ${name}=VALUE, or set it alone, with its value from standard input.`)
    }
  }
}

/** @throws Failure (usage) for an empty one, as a job without a secret would give it */
async function askValue(name: string): Promise<string> {
  const value = await readValue(name)
  if (value !== '') return value
  throw new Failure(exitCode.usage, `Nothing was changed: standard input has no value for ${name}.`, {
    fix: `give it there; setup-ssh set ${name}= sets it empty`,
  })
}

/** From a pipe without its last line break; at a terminal without showing it. */
async function readValue(name: string): Promise<string> {
  if (!process.stdin.isTTY) return readFileSync(0, 'utf8').replace(/\r?\n$/, '')
  const output = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output, terminal: true })
  process.stderr.write(`${name}: `)
  try {
    // Ctrl-C and Ctrl-D make it reject.
    return await terminal.question('')
  } catch (cause) {
    throw new Failure(exitCode.usage, 'Nothing was changed: there was no value.', { cause })
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}
