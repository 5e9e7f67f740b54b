import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isSettingsVerb, isVariableName, parseSettingsInput, settingsVerbs } from '../../protocol/settings-change.ts'
import { readArguments } from '../../shared/arguments.ts'
import { flatten } from '../../shared/foreign-text.ts'
import { exitCode, Failure } from '../../shared/program.ts'
import { readEnvLines } from '../../shared/settings.ts'
import { settingNames } from '../settings.ts'
import { readSettingsFile, verifyInstallable } from './checks.ts'
import { type Edits, editEnv, quoteValue } from './edit-env.ts'
import { hasContent } from './hook-files.ts'
import { findRepository, replaceSettings, takePushes } from './install.ts'

const help = `Usage: post-receive settings REPOSITORY set | unset | get

Changes or shows the settings in REPOSITORY/.env, which the steps find in their environment, too. It reads what is wanted
from its standard input, a line each: NAME=VALUE for set, NAME for unset and get. For get without any line it lists all
settings, and shows the values of pushlive's own. setup-ssh set, unset and get do this from your machine.

Settings are checked as at install, before anything is changed. The old ones are kept in .env.before. Exits with
  0  done
  1  get: a name is not set
  2  something is wrong: it names everything that is, and has changed nothing

  --version
  -h, --help`

/** Those of pushlive's own settings that may hold a password or a token all the same. */
const mayBeSecret: ReadonlySet<string> = new Set(['NOTIFY', 'HEALTH_CHECK_URL'])

/** Changes or shows the hook's settings, where the hook is. Values come by standard input alone, and are in no message. */
export async function changeSettings(args: readonly string[]): Promise<number> {
  const read = readArguments('post-receive settings', help, {}, [...args])
  if (read === undefined) return 0
  const [path, verb, ...others] = read.positionals
  if (!path || !isSettingsVerb(verb) || others.length > 0) {
    throw new Failure(exitCode.usage, `settings takes one repository, and ${settingsVerbs.join(', ')}.`, { fix: help })
  }
  const repository = findRepository(path)
  const env = join(repository, '.env')
  if (!existsSync(join(repository, 'hooks'))) {
    throw new Failure(exitCode.usage, `${repository} is no repository that pushlive was installed in.`, {
      fix: 'run setup-ssh first, or post-receive install',
    })
  }
  const lines = parseSettingsInput(readFileSync(0, 'utf8'))
  if (verb === 'get') return showSettings(env, lines)

  const edits = verb === 'set' ? readAssignments(lines) : readNames(lines)
  const before = existsSync(env) ? readEnvLines(env).values : {}
  const makeSettings = () => Buffer.from(editEnv(existsSync(env) ? `${readSettingsFile(env)}` : '', edits, env))
  const found = await verifyInstallable(
    { repository, makeSettings },
    'Nothing was changed.',
    'correct this; several can be set at once',
  )
  const { settings, branch, accept } = found
  const names = [...edits.keys()].join(', ')
  if (settings === undefined || hasContent(env, settings)) {
    console.log(`KEEPING THE SETTINGS (${env}) ...\n  ${names}: ${verb === 'set' ? 'is so' : 'is not set'} already`)
    return 0
  }
  console.log(`CHANGING THE SETTINGS (${env}) ...\n  ${verb}: ${names}`)
  await replaceSettings(env, settings)
  const { BRANCH_NAME = '', ACCEPT = '' } = before
  if ((BRANCH_NAME || 'main') !== branch || (ACCEPT.trim() || 'forward') !== accept) await takePushes(found)
  console.log('The next deployment finds it so; deploy --again makes one now.')
  return 0
}

function showSettings(env: string, names: readonly string[]): number {
  const { values } = readEnvLines(env)
  const missing = names.filter(name => !Object.hasOwn(values, name))
  if (missing.length > 0) {
    throw new Failure(exitCode.failed, `Not set in ${env}: ${flatten(missing.join(', '))}.`)
  }
  const [name, ...others] = names
  if (name !== undefined && others.length === 0) console.log(values[name])
  else if (name !== undefined) for (const each of names) console.log(`${each}=${values[each]}`)
  else {
    for (const [each, value] of Object.entries(values)) {
      const isShown = settingNames.has(each) && (value === '' || !mayBeSecret.has(each))
      console.log(isShown ? `${each}=${value}` : `${each} (hidden: name it to see it)`)
    }
  }
  return 0
}

function readAssignments(lines: readonly string[]): Edits {
  const assignments = lines.map(line => {
    const [, name = '', value] = /^([^=]*)=(.*)$/s.exec(line) ?? []
    return { name, value, raw: value === undefined ? undefined : quoteValue(value) }
  })
  verifyNames(assignments.map(({ name }) => name))
  const unwritable = assignments.filter(({ raw }) => raw === undefined).map(({ name }) => name)
  if (unwritable.length > 0) {
    throw new Failure(exitCode.usage, `Nothing was changed: ${unwritable.join(', ')} cannot be written.`, {
      why: 'dotenv and systemd have no quotes by which they read the same: it has a control character, a \\ at its end, or \' beside " or \\.',
      fix: 'take another value, or encode it, such as in base64',
    })
  }
  return new Map(assignments.map(({ name, raw }) => [name, raw]))
}

function readNames(lines: readonly string[]): Edits {
  verifyNames(lines)
  return new Map(lines.map(name => [name, undefined]))
}

/** No line is shown, because it may be a part of a value. @throws Failure (usage) for what is no name of a variable */
function verifyNames(names: readonly string[]): void {
  const wrong = names.findIndex(name => !isVariableName(name))
  if (names.length > 0 && wrong === -1) return
  const what = names.length === 0 ? 'there is no line' : `line ${wrong + 1} has no name of a variable`
  throw new Failure(exitCode.usage, `Nothing was changed: ${what}.`, { fix: 'post-receive settings --help' })
}
