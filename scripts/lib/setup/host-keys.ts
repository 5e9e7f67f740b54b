import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { exitCode, Failure } from '../shared/program.ts'
import { fingerprint } from '../ssh/key-blob.ts'
import { formatKnownHost, isEntryFor, type KnownHost, parseKnownHosts } from '../ssh/known-hosts.ts'
import { knownHostsName } from '../ssh/remote.ts'
import type { Hop } from './hops.ts'
import { $, feed } from './shell.ts'
import { readIfThere } from './users-file.ts'

/**
 * All host keys of a server, one for each type. ssh-keyscan asks the network, so what it returns may come from
 * anybody: nothing of it is to be trusted as it is.
 *
 * @param login the operator's ssh to the hop's jump host, where there is one: ssh-keyscan knows no jumps, so it runs there
 * @throws Failure (unreachable) where no ssh server answers
 */
export async function scanHostKeys({ server, jump }: Hop, login: readonly string[] = []): Promise<KnownHost[]> {
  const name = knownHostsName(server)
  const types = 'ed25519,ecdsa,rsa'
  // The host goes through its input: at the jump host a shell reads the arguments.
  const scan = $({ stdio: 'pipe' })`${login} ssh-keyscan -T 10 -t ${types} -p ${server.port ?? 22} -f -`
  // It prints nothing for refused and timed out, and a partial success is one: only the lines tell.
  const { stdout, stderr } = await feed(scan, `${server.host}\n`)
  // It prints them as they come. Sorted, the secrets of the CI are the same each time.
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

/** What adding host keys to a known_hosts file comes to. */
export interface Merge {
  /** What to append to the file; empty where all is known. */
  readonly appended: string
  readonly added: readonly KnownHost[]
  /** Offered keys beside the different ones of the same type that the file has for this host. */
  readonly conflicts: readonly { readonly known: KnownHost; readonly offered: KnownHost }[]
}

/**
 * Adds entries to a known_hosts file by appending only. An entry counts as known when the file has its key for its
 * host. Where the file has another key of that type for it, or has revoked the key, that is a conflict, and the entry
 * is left out.
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
  /** The keys that the operator vouches for, by having them or by what was answered. */
  readonly trusted: readonly KnownHost[]
  readonly added: readonly KnownHost[]
}

/**
 * Adds a server's keys to a known_hosts file, if they are the right ones: those that have a fingerprint of the list,
 * or, where there is no list, those that the operator confirms at the terminal. Never replaces a key.
 *
 * @throws Failure (unreachable) for keys that are not those that are known or listed; (usage) where nobody can be asked
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
      `${name} shows another host key than the one that is known: it was set up anew, or someone intercepts the connection.`,
      {
        why: conflicts
          .map(
            ({ known, offered }) =>
              `known   ${describeKey(known)}${known.marker ? `  ${known.marker}` : ''}\noffered ${describeKey(offered)}`,
          )
          .join('\n'),
        fix: `ask whoever runs the server for its fingerprint; only if it is the offered one, remove the known key from ${file} yourself and run setup-ssh again`,
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
        fix: 'ask whoever runs the server for its fingerprint',
      },
    )
  }
  const known = scanned.filter(key => !unknown.includes(key))
  const vouched = fingerprints.length > 0 ? listed : await confirm(unknown, known)
  const { appended, added } = mergeKnownHosts(existing, vouched)
  if (appended !== '') appendFileSync(file, appended, { mode: 0o600 })
  return { trusted: scanned.filter(key => known.includes(key) || vouched.includes(key)), added }
}

/** The unknown keys if the operator says yes; none of them where nobody can be asked but other keys are known. */
async function confirm(unknown: readonly KnownHost[], known: readonly KnownHost[]): Promise<readonly KnownHost[]> {
  if (unknown.length === 0) return []
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    if (known.length > 0) return []
    throw new Failure(exitCode.usage, `The host keys of ${unknown[0]?.hosts} have not been confirmed.`, {
      why: unknown.map(describeKey).join('\n'),
      fix: 'set HOST_FINGERPRINT to the fingerprint that whoever runs the server tells you (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), or run setup-ssh at a terminal',
    })
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    const question =
      'Compare with what whoever runs the server tells you (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub).\nAre these the keys of the right server (yes, no, or the fingerprint)? '
    // Ctrl-C and Ctrl-D reject it.
    const answer = (await terminal.question(question).catch(() => 'no')).trim()
    if (answer === 'yes') return unknown
    const named = unknown.filter(({ blob }) => fingerprint(blob) === answer)
    if (named.length > 0) return named
  } finally {
    terminal.close()
  }
  throw new Failure(exitCode.usage, 'The host keys were not confirmed, so nothing was written.', {
    fix: 'find out the right fingerprint, and run setup-ssh again',
  })
}
