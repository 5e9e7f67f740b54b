import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { quote, quoteForSh } from '../shared/foreign-text.ts'
import { exitCode, Failure } from '../shared/program.ts'
import { $, feed } from './shell.ts'

/** What the CI needs, by the names of its secrets. */
export interface CiSecrets {
  readonly STAGING_REMOTE_REPO: string
  readonly KNOWN_DEPLOYMENT_HOSTS: string
  readonly SSH_DEPLOYMENT_KEY: string
  /** If there is one. */
  readonly PROXY_JUMP?: string
}

/** How GitHub stores it. Only the key is a secret: GitHub replaces secrets by ***, and logs need the addresses. */
const kindOf = (name: string) => (name === 'SSH_DEPLOYMENT_KEY' ? 'secret' : 'variable')

/**
 * Stores them in a GitHub repository. The values go through gh's input, because every user of the machine can read a
 * process's arguments.
 *
 * @returns what went wrong; undefined if all are stored
 */
export async function storeAtGithub(secrets: CiSecrets, repository: string): Promise<string | undefined> {
  for (const [name, value] of Object.entries(secrets)) {
    const stored = await feed($({ stdio: 'pipe' })`gh ${kindOf(name)} set ${name} -R ${repository}`, value)
    if (stored.exitCode === 127) return 'gh is not installed'
    if (!stored.ok) return `gh ${kindOf(name)} set ${name}: ${stored.stderr.trim()}`
  }
  return undefined
}

/**
 * Before anything is done: the folder is not there yet, or it is a private one.
 *
 * @throws Failure (usage) if it is not
 */
export function verifySecretsFolder(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false })
  if (found === undefined) return
  const what = found.isDirectory() ? `Others can read ${folder}` : `${folder} is no folder`
  if (!found.isDirectory() || (found.mode & 0o077) !== 0) {
    throw new Failure(exitCode.usage, `${what}, so no secret was written there.`, { fix: nameAnother })
  }
}

/**
 * Writes each secret to a file of its name (mode 600), in a private folder (mode 700).
 *
 * @throws Failure (usage) if others may read the folder, or if a file has another content
 */
export function writeSecrets(secrets: CiSecrets, folder: string): void {
  verifySecretsFolder(folder)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const [name, value] of Object.entries(secrets)) writeSecret(join(folder, name), value)
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    const why = (cause as Error).message
    throw new Failure(exitCode.usage, `The secrets cannot be written to ${folder}.`, { why, fix: nameAnother, cause })
  }
}

function writeSecret(file: string, value: string): void {
  if (!existsSync(file)) writeFileSync(file, value, { mode: 0o600, flag: 'wx' })
  else if (readFileSync(file, 'utf8') !== value) {
    throw new Failure(exitCode.usage, `${file} is there already, with another content.`, { fix: nameAnother })
  }
}

const nameAnother = 'name a folder that is not there yet'

/** The values to store, by their names; in place of the key, its file and the command that stores it. */
export function describeSecrets(secrets: CiSecrets, keyFile: string, repository = 'OWNER/REPO'): string {
  const storeKey = `(the content of ${keyFile}; at GitHub:)\ngh secret set SSH_DEPLOYMENT_KEY -R ${repository} < ${quoteForSh(keyFile)}`
  return Object.entries({ ...secrets, SSH_DEPLOYMENT_KEY: storeKey })
    .map(([name, value]) => `  ${name}\n${quote(value)}`)
    .join('\n')
}
