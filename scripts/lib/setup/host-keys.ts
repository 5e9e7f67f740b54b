import { createInterface } from 'node:readline/promises'
import { exitCode, Failure } from '../shared/program.ts'
import { fingerprint } from '../ssh/key-blob.ts'
import { formatKnownHost, isEntryFor, type KnownHost, parseKnownHosts } from '../ssh/known-hosts.ts'
import { knownHostsName } from '../ssh/remote.ts'
import type { Hop } from './hops.ts'
import { $, feed } from './shell.ts'
import { appendToUsersFile, readIfThere } from './users-file.ts'

/**
 * All host keys of a server, one for each type. An attacker on the network can answer ssh-keyscan, so none of them is
 * trusted yet.
 *
 * @param login the operator's ssh to the hop's jump host, if it has one: ssh-keyscan cannot use a jump, so it runs there
 * @throws Failure (unreachable) if no ssh server answers
 */
export async function scanHostKeys({ server, jump }: Hop, login: readonly string[] = []): Promise<KnownHost[]> {
  const name = knownHostsName(server)
  const types = 'ed25519,ecdsa,rsa'
  // The host goes through its input, because on the jump host a shell reads the arguments.
  const scan = $({ stdio: 'pipe' })`${login} ssh-keyscan -T 10 -t ${types} -p ${server.port ?? 22} -f -`
  // Its exit code does not tell a timeout or a refusal from a success in part. Only its lines do.
  const { stdout, stderr } = await feed(scan, `${server.host}\n`)
  // Sorted, because it prints them as they arrive, and the secrets of the CI should be the same each time.
  const keys = parseKnownHosts(stdout)
    .map(key => ({ ...key, hosts: name }))
    .sort((a, b) => (a.type < b.type ? -1 : 1))
  if (keys.length > 0) return keys
  throw new Failure(
    exitCode.unreachable,
    jump ? `${jump.place} could not be asked for the host keys of ${name}.` : `No ssh server answers as ${name}.`,
    {
      why: stderr.replace(/^#.*\n/gm, ''),
      fix: jump
        ? `check that you can run this, and that it finds the server: ssh ${jump.place} ssh-keyscan ${server.host}`
        : "check host and port in STAGING_REMOTE_REPO and PROXY_JUMP; a Host name of your ~/.ssh/config is no use, because the CI doesn't have it",
    },
  )
}

/** `  SHA256:...  ED25519`, as ssh and ssh-keygen call it. */
export function describeKey({ type, blob }: KnownHost): string {
  return `${fingerprint(blob)}  ${type.replace(/^ssh-|-sha2.*$/g, '').toUpperCase()}`
}

/**
 * The SHA256 fingerprints in a text: a list of them, or lines as `ssh-keygen -l` prints them, with a comment of any words.
 *
 * @throws Error that ends the sentence "NAME ..."
 */
export function readFingerprints(text: string): string[] {
  const words = wordsOf(text)
  if (words.some(word => /^(MD5:)?([0-9a-f]{2}:){15}[0-9a-f]{2}$/i.test(word))) {
    throw new Error(`has an MD5 fingerprint, and only SHA256 tells a key for sure (${howToTell})`)
  }
  const fingerprints = words.filter(word => /^SHA256:/i.test(word))
  if (fingerprints.length === 0) throw new Error('has no SHA256 fingerprint')
  const broken = fingerprints.find(each => !/^SHA256:[A-Za-z0-9+/]{43}$/.test(each))
  if (broken !== undefined) throw new Error(`has a fingerprint that is cut off or misspelt (${broken})`)
  return fingerprints
}

const wordsOf = (text: string) => text.split(/[\s,;"']+/).map(word => word.replace(/=$/, ''))

/** Those of a server's keys that a known_hosts file does not have. */
export const findUnknownKeys = (file: string, scanned: readonly KnownHost[]) =>
  mergeKnownHosts(readIfThere(file), scanned).added

/** The result of adding host keys to a known_hosts file. */
export interface Merge {
  /** The text to append to the file; empty if all keys are known. */
  readonly appended: string
  readonly added: readonly KnownHost[]
  /** The offered keys of which the file has a different one, of the same type, for this host. */
  readonly conflicts: readonly { readonly known: KnownHost; readonly offered: KnownHost }[]
}

/**
 * Adds entries to a known_hosts file by appending only. An entry is known if the file has its key for its host. If the
 * file has another key of that type for the host, or revokes the key, that is a conflict: the entry is not added.
 */
export function mergeKnownHosts(existingText: string, offers: readonly KnownHost[]): Merge {
  const existing = parseKnownHosts(existingText).filter(({ marker }) => marker !== '@cert-authority')
  const added: KnownHost[] = []
  const conflicts: { known: KnownHost; offered: KnownHost }[] = []
  for (const offered of offers) {
    const ofThisType = [...existing, ...added].filter(
      entry => entry.type === offered.type && isEntryFor(entry, offered.hosts),
    )
    const same = ofThisType.filter(({ blob }) => blob === offered.blob)
    const known =
      same.find(({ marker }) => marker === '@revoked') ?? (same.length === 0 ? ofThisType.find(isPin) : same[0])
    if (known === undefined) added.push(offered)
    else if (known.blob !== offered.blob || !isPin(known)) conflicts.push({ known, offered })
  }
  const needsNewline = added.length > 0 && existingText !== '' && !existingText.endsWith('\n')
  return { appended: (needsNewline ? '\n' : '') + added.map(formatKnownHost).join(''), added, conflicts }
}

function isPin({ marker }: KnownHost): boolean {
  return marker === undefined
}

export interface Trust {
  /** The keys that the operator has already, or has confirmed. */
  readonly trusted: readonly KnownHost[]
  readonly added: readonly KnownHost[]
}

/**
 * Adds a server's keys to a known_hosts file: those whose fingerprints are in the list, or without a list those that the
 * operator confirms at the terminal. Never replaces a key.
 *
 * @throws Failure (unreachable) for keys other than the known or listed ones; (usage) if there is no terminal to ask at
 */
export async function pinHostKeys(
  file: string,
  scanned: readonly KnownHost[],
  fingerprints: readonly string[],
): Promise<Trust> {
  const name = scanned[0]?.hosts
  const existing = readIfThere(file)
  const { added: unknown, conflicts } = mergeKnownHosts(existing, scanned)
  if (conflicts.length > 0) {
    throw new Failure(
      exitCode.unreachable,
      `${name} shows another host key than the one that is known: the server was reinstalled, or someone intercepts the connection.`,
      {
        why: conflicts
          .map(
            ({ known, offered }) =>
              `known   ${describeKey(known)}${known.marker ? `  ${known.marker}` : ''}\noffered ${describeKey(offered)}`,
          )
          .join('\n'),
        fix: `ask the server's administrator for its fingerprint; only if it is the offered one, remove the known key from ${file} yourself and run setup-ssh again`,
      },
    )
  }
  const listed = scanned.filter(({ blob }) => fingerprints.includes(fingerprint(blob)))
  if (fingerprints.length > 0 && listed.length === 0) {
    throw new Failure(
      exitCode.unreachable,
      `None of the keys that ${name} shows is in HOST_FINGERPRINT: the fingerprint is another server's, or someone intercepts the connection.`,
      {
        why: [
          ...fingerprints.map(each => `expected ${each}`),
          ...scanned.map(key => `offered  ${describeKey(key)}`),
        ].join('\n'),
        fix: "ask the server's administrator for its fingerprint",
      },
    )
  }
  const known = scanned.filter(key => !unknown.includes(key))
  const vouched = fingerprints.length > 0 ? listed : await confirm(unknown, known)
  const { appended, added } = mergeKnownHosts(existing, vouched)
  if (appended !== '') appendToUsersFile(file, appended)
  return { trusted: scanned.filter(key => known.includes(key) || vouched.includes(key)), added }
}

/** The command that shows it, for the administrator. */
const howToTell = 'on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub'

/** The unknown keys if the operator says yes; none of them without a terminal, if other keys are known. */
async function confirm(unknown: readonly KnownHost[], known: readonly KnownHost[]): Promise<readonly KnownHost[]> {
  if (unknown.length === 0) return []
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    if (known.length > 0) return []
    throw new Failure(exitCode.usage, `The host keys of ${unknown[0]?.hosts} have not been confirmed.`, {
      why: unknown.map(describeKey).join('\n'),
      fix: `set HOST_FINGERPRINT to the fingerprint that the server's administrator tells you (${howToTell}), or run setup-ssh at a terminal`,
    })
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    const question = `Compare with what the server's administrator tells you (${howToTell}).\nAre these the keys of the right server (yes, no, or the fingerprint)? `
    // Ctrl-C and Ctrl-D make it reject.
    const answer = (await terminal.question(question).catch(() => 'no')).trim()
    if (answer === 'yes') return unknown
    const named = unknown.filter(({ blob }) => wordsOf(answer).includes(fingerprint(blob)))
    if (named.length > 0) return named
  } finally {
    terminal.close()
  }
  throw new Failure(exitCode.usage, 'The host keys were not confirmed, so nothing was written.', {
    fix: 'find out the right fingerprint, and run setup-ssh again',
  })
}
