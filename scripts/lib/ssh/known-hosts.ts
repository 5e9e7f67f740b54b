import { exitCode, Failure } from '../shared/program.ts'
import { keyTypeOf } from './key-blob.ts'
import { decodeBase64, unmangle } from './pasted-text.ts'
import { knownHostsName, type Remote } from './remote.ts'

/** One line of a known_hosts file. */
export interface KnownHost {
  /** `@cert-authority` or `@revoked`. */
  readonly marker?: string
  /** Names and patterns with commas between them, or one hashed name: the line's first column, unchanged. */
  readonly hosts: string
  readonly type: string
  /** The key, in base64. */
  readonly blob: string
}

const keyType = /(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d+|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)/
const keyTypeAndBlob = String.raw`(${keyType.source})\s+(AAAA[A-Za-z0-9+/]+={0,2})(?=[\s,]|$)`
const entry = new RegExp(String.raw`^(?:(@\S+)\s+)?([^\s#@]\S*)\s+${keyTypeAndBlob}`)
const pastedEntry = new RegExp(String.raw`(?:(@cert-authority|@revoked)\s+)?(?:(\S+)\s+)?${keyTypeAndBlob}`, 'g')

/** The entries of a known_hosts file. Like ssh, it passes over whatever else is there. */
export function parseKnownHosts(text: string): KnownHost[] {
  return text.split(/\r?\n/).flatMap(line => {
    const [, marker, hosts = '', type = '', blob = ''] = entry.exec(line.trim()) ?? []
    if (keyTypeOf(blob) !== type) return []
    return [{ ...(marker && { marker }), hosts, type, blob }]
  })
}

/** The line that says it, with its newline. */
export function formatKnownHost({ marker, hosts, type, blob }: KnownHost): string {
  return `${[marker, hosts, type, blob].filter(Boolean).join(' ')}\n`
}

/**
 * Whether ssh, looking for `name` (`host` or `[host]:port`), takes this entry for it: patterns with `*` and `?`, `!`
 * for all but these, hashed names (`|1|salt|HMAC-SHA1`).
 */
export function isEntryFor({ hosts }: KnownHost, name: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|([^|]+)$/.exec(hosts) ?? []
  if (salt !== undefined) {
    const { createHmac } = process.getBuiltinModule('node:crypto')
    return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
  }
  const patterns = hosts.toLowerCase().split(',')
  const matches = (pattern: string) => matchesPattern(name.toLowerCase(), pattern)
  return patterns.some(matches) && !patterns.some(pattern => pattern.startsWith('!') && matches(pattern.slice(1)))
}

/**
 * known_hosts lines as ssh finds them, made of what arrives when people paste them into a CI's secrets: base64, CRLF,
 * byte order mark, quotes, literal `\n`, all on one line, `host:port` for `[host]:port`, no host column at all.
 *
 * Lines for other hosts stay (a jump host needs its own). Where the server has none under its port, a line for the
 * bare host serves, as it does for ssh.
 *
 * @throws Failure (usage) where there is nothing for this server
 */
export function normalizeKnownHosts(text: string, remote: Remote): string {
  const problem = (what: string) =>
    new Failure(exitCode.usage, `KNOWN_DEPLOYMENT_HOSTS ${what}`, {
      fix: `run setup-ssh, which prints the lines for ${name}, or take them from a known_hosts file that knows it`,
    })
  const name = knownHostsName(remote)
  const pasted = unpack(text)
  if (pasted === '') throw problem('is empty.')
  if (/BEGIN [A-Z ]*PRIVATE KEY|PuTTY-User-Key-File/.test(pasted)) {
    throw problem("is a private key; it should hold the server's public host keys.")
  }

  const entries = repairEntries(pasted, name)
  if (entries.length === 0) throw problem('has no line with a whole host key.')
  const trusted = entries.filter(({ marker }) => marker !== '@revoked')
  if (trusted.some(entry => isEntryFor(entry, name))) return entries.map(formatKnownHost).join('')

  const bareName = knownHostsName({ host: remote.host })
  if (!trusted.some(entry => isEntryFor(entry, bareName))) {
    const others = [...new Set(entries.map(({ hosts }) => (hosts.startsWith('|') ? 'a hashed name' : hosts)))]
    throw problem(`has no line for ${name}, only for ${others.join(', ')}.`)
  }
  return entries
    .map(entry => (isEntryFor(entry, bareName) ? { ...entry, hosts: name } : entry))
    .map(formatKnownHost)
    .join('')
}

function unpack(text: string): string {
  let pasted = unmangle(text)
  for (let depth = 0; depth < 2 && !keyType.test(pasted); depth++) pasted = unmangle(decodeBase64(pasted) ?? pasted)
  return pasted
}

/** Reads entries, of which several may be on one line, and gives them the host column that ssh looks for. */
function repairEntries(pasted: string, name: string): KnownHost[] {
  // What ssh-keyscan says of a server's software may have come on one line with the keys. Any other comment ends a line.
  const lines = pasted.replace(/#\s+\S+\s+SSH-2\.0-\S+/g, ' ').split('\n')
  return lines
    .map(line => line.replace(/["'`]/g, '').replace(/#.*$/, '').trim())
    .flatMap(line =>
      [...line.matchAll(pastedEntry)].flatMap(match => {
        const [, marker, hosts = '', type = '', blob = ''] = match
        if (keyTypeOf(blob) !== type || hosts.startsWith('@')) return []
        // A name with @ is `user@host` at the start of a line, and after a key it is the comment of that key.
        const isComment = match.index > 0 && hosts.includes('@')
        return [{ ...(marker && { marker }), hosts: isComment ? name : repairHosts(hosts) || name, type, blob }]
      }),
    )
}

/** A hashed name has nothing to repair. */
function repairHosts(hosts: string): string {
  return hosts.split(',').map(repairHost).filter(Boolean).join(',')
}

function repairHost(pasted: string): string {
  const host = pasted.replace(/.*@/, '')
  const [, bracketed, bracketedPort, name, port] = /^(?:\[([^\]]+)\](?::(\d+))?|([^:[\]]+):(\d+))$/.exec(host) ?? []
  const bare = bracketed ?? name
  return bare === undefined ? host : knownHostsName({ host: bare, port: Number(bracketedPort ?? port ?? 22) })
}

/** Patterns of ssh_config(5). Written as a loop, because a regular expression of many `*` can take forever. */
function matchesPattern(text: string, pattern: string): boolean {
  let at = 0
  let star = -1
  let resume = 0
  let p = 0
  while (at < text.length) {
    if (pattern[p] === '*') {
      star = p++
      resume = at
    } else if (pattern[p] === '?' || pattern[p] === text[at]) {
      p++
      at++
    } else if (star !== -1) {
      p = star + 1
      at = ++resume
    } else return false
  }
  return /^\**$/.test(pattern.slice(p))
}
