import { isIPv6 } from 'node:net'

/** Where a push goes, taken apart. */
export interface Remote {
  /** As it was given: what git gets. */
  readonly url: string
  readonly user?: string
  /** Absent for a path on this machine. An IPv6 address has no brackets here. */
  readonly host?: string
  readonly port?: number
  /** As git asks the server for it: percent escapes are decoded, `/~user/x` has become `~user/x`. */
  readonly path: string
}

/** One that lies on a server, and says as whom to log in. */
export type Server = Remote & { readonly user: string; readonly host: string }

/**
 * Takes apart `user@host:path`, `[user@host:port]:path`, `ssh://user@host:port/path` or a local path, by git's own
 * rules (connect.c, parse_connect_url): a colon before the first slash makes it a host. So `user@host:2222/x` is the
 * path `2222/x`; portHint knows what was meant.
 *
 * Undefined for what pushlive does not push to (http, git and file URLs, remote helpers), for what git itself refuses,
 * and for names that ssh could take for an option, a pattern or shell text.
 */
export function parseRemote(url: string): Remote | undefined {
  if (url.trim() === '' || hasControlCharacters(url)) return undefined
  const isSshUrl = url.startsWith('ssh://')
  // git takes `x::` for a remote helper (`ext::` runs commands), and looks for `://` anywhere, in local paths too.
  if (!isSshUrl && (url.includes('://') || /^[a-z0-9][a-z0-9+.-]*::/i.test(url) || url.startsWith('rsync:'))) {
    return undefined
  }
  const colon = url.indexOf(':')
  const slash = url.indexOf('/')
  if (colon === -1 || (slash !== -1 && slash < colon)) return parseLocalPath(url)

  const rest = isSshUrl ? decodePercent(url.slice('ssh://'.length)) : url
  if (rest === undefined || hasControlCharacters(rest)) return undefined
  const end = rest.indexOf(isSshUrl ? '/' : ':', bracketsOf(rest)?.close)
  if (end === -1) return undefined
  const place = parsePlace(rest.slice(0, end))
  const path = withoutSlashBeforeTilde(rest.slice(isSshUrl ? end : end + 1))
  if (place === undefined || path === '' || path.startsWith('-')) return undefined
  return { url, ...place, path }
}

/** A jump host as ssh's `-J` takes it, `user@host` or `user@host:port`: its url is that text, its path means nothing. */
export function parseJump(text: string): Remote | undefined {
  const url = text.trim()
  // parseRemote decodes percent escapes, as git does; -J does not.
  const jump = /[/%]/.test(url) ? undefined : parseRemote(`ssh://${url}/`)
  return jump && { ...jump, url }
}

/** The name under which ssh looks a server up in known_hosts. */
export function knownHostsName({ host = '', port = 22 }: Pick<Remote, 'host' | 'port'>): string {
  return port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`
}

/** What to write instead of `user@host:2222/x`, whose number git takes for a folder; undefined where there is none. */
export function portHint({ user, host, path }: Remote): string | undefined {
  // The path of an ssh URL begins with a slash, or with a tilde.
  const [, port, rest = ''] = /^(\d{1,5})(\/.*)?$/.exec(path) ?? []
  if (host === undefined || port === undefined) return undefined
  const name = isIPv6(host) ? `[${host}]` : host
  return `${port} looks like a port, but git takes it for a folder: write ssh://${user ? `${user}@` : ''}${name}:${port}${rest || '/PATH'}`
}

/** git blocks paths that look like options, and mistakes a bracket for that of an address. */
function parseLocalPath(url: string): Remote | undefined {
  return url.startsWith('-') || bracketsOf(url) ? undefined : { url, path: url }
}

/** `user@host`, `user@host:port`, `[user@host:port]`, `user@[::1]:port`: connect.c, get_host_and_port and get_port. */
function parsePlace(text: string): Pick<Remote, 'user' | 'host' | 'port'> | undefined {
  const brackets = bracketsOf(text)
  let name = text
  let afterName = ''
  if (brackets) {
    name = text.slice(0, brackets.open) + text.slice(brackets.open + 1, brackets.close)
    afterName = text.slice(brackets.close + 1)
    if (afterName !== '' && !afterName.startsWith(':')) return undefined
  }
  const colon = name.indexOf(':')
  if (afterName.length < 2 && colon !== -1 && (brackets ? /^:\d+$/ : /^:\d*$/).test(name.slice(colon))) {
    afterName = name.slice(colon)
    name = name.slice(0, colon)
  }
  const port = afterName.slice(1)
  if (port !== '' && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535)) return undefined

  const at = name.lastIndexOf('@') // as ssh does it
  const user = at === -1 ? undefined : name.slice(0, at)
  const host = name.slice(at + 1)
  if ((user !== undefined && !isUser(user)) || !isHost(host)) return undefined
  return { ...(user && { user }), host, ...(port && { port: Number(port) }) }
}

/** Where git sees the brackets of an address: at the start or behind the first `@[`. */
function bracketsOf(text: string): { open: number; close: number } | undefined {
  const open = text.indexOf('@[') + 1
  const close = text.indexOf(']', open)
  return text[open] === '[' && close !== -1 ? { open, close } : undefined
}

/** What OpenSSH 9.6 and later accept as a user (ssh.c, valid_ruser), less what needs quoting in its configuration. */
function isUser(user: string): boolean {
  return /^[^-'"`$;&<>|(){}\\\s/:#*?![\],%][^'"`$;&<>|(){}\\\s/:#*?![\],%]*$/.test(user)
}

/** What can be a host name or an address, and neither an option nor a pattern. */
function isHost(host: string): boolean {
  if (host.includes(':')) return isIPv6(host) // and in the zone behind its % are letters, digits, '-', '.' and ':'
  return /^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(host)
}

function hasControlCharacters(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

/** As url.c does it: `%00` and what is no escape stay as they are. Undefined where the result is not UTF-8. */
function decodePercent(text: string): string | undefined {
  try {
    return text.replace(/(?:%(?!00)[0-9a-f]{2})+/gi, decodeURIComponent)
  } catch {
    return undefined
  }
}

/** `ssh://host/~user/x` means `~user/x`. git looks at the second character only, so it cuts `x~y` as well. */
function withoutSlashBeforeTilde(path: string): string {
  return path[1] === '~' ? path.slice(1) : path
}
