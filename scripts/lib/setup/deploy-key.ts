import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { exitCode, Failure } from '../shared/program.ts'
import { blobOf } from '../ssh/key-blob.ts'
import { normalizePrivateKey } from '../ssh/private-key.ts'
import { $ } from './shell.ts'
import { verifyFile } from './users-file.ts'

export interface DeployKey {
  readonly file: string
  /** The line of the `.pub` file. */
  readonly publicKey: string
  readonly isNew: boolean
}

/**
 * Makes a key pair without a passphrase in `file` and `file.pub`, unless it is there. Looks first, because ssh-keygen
 * overwrites a key if it reads `y` from its input, and a `.pub` without its key even without asking.
 *
 * @throws Failure (usage) for a key that cannot be used
 */
export async function setDeployKey(file: string, type: string, comment: string): Promise<DeployKey> {
  for (const each of [file, `${file}.pub`]) verifyFile(each)
  const isNew = !existsSync(file)
  if (isNew && existsSync(`${file}.pub`)) {
    throw new Failure(exitCode.usage, `There is ${file}.pub, but not the private key that belongs to it.`, {
      fix: 'bring the private key back, move the .pub away, or set SSH_KEY_FILE to another name',
    })
  }
  if (isNew) {
    const made = await $`ssh-keygen -q -t ${type} -N '' -C ${comment} -f ${file}`
    if (!made.ok) throw new Failure(exitCode.usage, `${file} cannot be made.`, { why: made.stderr })
  }
  return { file, publicKey: await readPublicKey(file), isNew }
}

async function readPublicKey(file: string): Promise<string> {
  normalizePrivateKey(readFileSync(file, 'utf8'), file)
  // ssh refuses a key that others can read.
  if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
  const derived = await $`ssh-keygen -y -P '' -f ${file}`
  if (!derived.ok) throw new Failure(exitCode.usage, `${file} is not a key that ssh reads.`, { why: derived.stderr })
  const publicKey = derived.stdout.trim()
  if (!existsSync(`${file}.pub`)) writeFileSync(`${file}.pub`, `${publicKey}\n`, { mode: 0o644, flag: 'wx' })

  const [line = ''] = readFileSync(`${file}.pub`, 'utf8').trim().split(/\r?\n/)
  if (blobOf(line) === blobOf(publicKey)) return line
  throw new Failure(exitCode.usage, `${file}.pub does not belong to ${file}.`, {
    fix: `move one of them away, or write the right one: ssh-keygen -y -f ${file} > ${file}.pub`,
  })
}
