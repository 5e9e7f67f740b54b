import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { $ as zx } from 'zx/core'
import { type KnownHost, mergeKnownHosts, parseKnownHosts } from './known-hosts.ts'
import { readIfThere } from './owned-file.ts'
import { exit, Failure } from './program.ts'
import { knownHostsName, type Remote } from './remote.ts'
import { fingerprint } from './ssh-blob.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

/**
 * All host keys of a server, one for each type. ssh-keyscan asks the network, so what it returns may come from
 * anybody: nothing of it is to be trusted as it is.
 *
 * @throws Failure (unreachable) where no ssh server answers
 */
export async function scanHostKeys(remote: Remote): Promise<KnownHost[]> {
  const name = knownHostsName(remote)
  // It prints nothing for refused and timed out, and a partial success is one: only the lines tell.
  const { stdout, stderr } =
    await $`ssh-keyscan -T 10 -t ed25519,ecdsa,rsa -p ${remote.port ?? 22} -- ${remote.host as string}`
  // It prints them as they come. Sorted, the secrets of the CI are the same each time.
  const keys = parseKnownHosts(stdout)
    .map(key => ({ ...key, hosts: name }))
    .sort((a, b) => (a.type < b.type ? -1 : 1))
  if (keys.length > 0) return keys
  throw new Failure(exit.unreachable, `No ssh server answers as ${name}.`, {
    why: stderr.replace(/^#.*\n/gm, ''),
    fix: "check host and port in STAGING_REMOTE_REPO; a Host name of your ~/.ssh/config does not serve, because the CI doesn't have it",
  })
}

/** `  SHA256:...  ED25519`, as ssh and ssh-keygen call it. */
export function describeKey({ type, blob }: KnownHost): string {
  return `${fingerprint(blob)}  ${type.replace(/^ssh-|-sha2.*$/g, '').toUpperCase()}`
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
  const existing = readIfThere(file)
  const { added: unknown, conflicts } = mergeKnownHosts(existing, scanned)
  if (conflicts.length > 0) {
    throw new Failure(
      exit.unreachable,
      'The server shows another host key than the one that is known: it was set up anew, or somebody is in between.',
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
      exit.unreachable,
      "None of the keys that the server shows is the one in HOST_FINGERPRINT: the fingerprint is not this server's, or somebody is in between.",
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
    throw new Failure(exit.usage, 'Nobody has said that these are the keys of the right server.', {
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
  throw new Failure(exit.usage, 'The host keys were not confirmed, so nothing was written.', {
    fix: 'find out the right fingerprint, and run setup-ssh again',
  })
}
