import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { holdPort } from './ports.ts'
import { kill } from './processes.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

export type KeyType = 'ed25519' | 'ecdsa' | 'rsa'

export interface SshdOptions {
  /** ed25519 by default: making an RSA key takes long. */
  hostKeyTypes?: readonly KeyType[]
  /** Environment of the login sessions; HOME is a folder of this server unless given. */
  setEnv?: Readonly<Record<string, string>>
  /** Lines for sshd_config. They come first, and sshd takes the first value that it sees. */
  config?: readonly string[]
  /** Files of the machine, such as /etc/passwd, that this server sees with another content; see canHaveOwnFiles. */
  ownFiles?: Readonly<Record<string, string>>
}

/** What startSshd needs of a node:test context; `{ after }` from node:test serves a whole suite. */
export interface CleansUp {
  after(fn: () => void | Promise<void>): void
}

/**
 * A real sshd on a port of 127.0.0.1, for the current user, with keys and an authorized_keys file of its own in a
 * temporary folder. It is gone after the test, also when the test process is killed.
 *
 * @throws Error that says what to install where there is no sshd
 */
export async function startSshd(t: CleansUp, options: SshdOptions = {}) {
  const program = findSshd()
  const { username: user, uid } = userInfo()
  const folder = mkdtempSync(join(tmpdir(), 'sshd-'))
  t.after(async () => {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  })
  if (uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })

  const home = join(folder, 'home')
  const authorizedKeys = join(home, '.ssh/authorized_keys')
  const logFile = join(folder, 'log')
  mkdirSync(join(home, '.ssh'), { recursive: true, mode: 0o700 })
  writeFileSync(authorizedKeys, '', { mode: 0o600 })
  writeFileSync(logFile, '')

  let { hostKeyTypes = ['ed25519'], setEnv = {}, config = [] } = options
  const port = await holdPort()
  let listener: Listener | undefined
  await makeHostKeys()
  await start()

  async function makeHostKeys() {
    for (const type of hostKeyTypes) {
      if (!existsSync(hostKeyFile(type)))
        await generateKey(hostKeyFile(type), type, 'host key', '', type === 'rsa' ? ['-b', '2048'] : [])
    }
  }

  function hostKeyFile(type: KeyType) {
    return join(folder, `host_${type}`)
  }

  function writeConfig() {
    const lines = [
      ...config,
      // The default of OpenSSH 9.2, sntrup761x25519-sha512, costs the client 0.12 s of processor time: measured.
      'KexAlgorithms curve25519-sha256',
      `ListenAddress 127.0.0.1:${port}`,
      ...hostKeyTypes.map(type => `HostKey "${hostKeyFile(type)}"`),
      `AuthorizedKeysFile "${authorizedKeys}"`,
      `SetEnv ${Object.entries({ HOME: home, ...setEnv })
        .map(quoteAssignment)
        .join(' ')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin yes',
      'PermitUserRC no',
      'PrintMotd no',
      'PrintLastLog no',
      'UseDNS no',
      'MaxStartups 100',
      'PidFile none',
      'LogLevel VERBOSE',
      'Subsystem sftp internal-sftp',
    ]
    writeFileSync(join(folder, 'sshd_config'), `${lines.join('\n')}\n`)
  }

  /** The command that starts sshd in a mount namespace, where it alone sees other files. */
  function withOwnFiles(): readonly string[] {
    const files = Object.entries(options.ownFiles ?? {})
    if (files.length === 0) return []
    const mounts = files.flatMap(([path, content], index) => {
      const file = join(folder, `own-${index}`)
      writeFileSync(file, content)
      return [file, path]
    })
    const mountEach = 'while test "$1" != --; do mount --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@"'
    return [...privateMounts, 'sh', '-c', mountEach, 'sh', ...mounts, '--']
  }

  async function start() {
    writeConfig()
    listener = await listen([...withOwnFiles(), program], join(folder, 'sshd_config'), logFile)
  }

  /** Ends the server, its sessions and what these still run; does nothing where it has been stopped. */
  async function stop() {
    if (listener === undefined) return
    const { pid, exited } = listener
    listener = undefined
    for (const each of [pid, ...descendants(pid)]) kill(each)
    await exited
  }

  /** Starts again on the same port. Host keys stay the same, unless `newKeys`; types that had none get one. */
  async function restart(changes: SshdOptions & { newKeys?: boolean } = {}) {
    await stop()
    if (changes.newKeys) for (const type of hostKeyTypes) rmSync(hostKeyFile(type))
    hostKeyTypes = changes.hostKeyTypes ?? hostKeyTypes
    setEnv = changes.setEnv ?? setEnv
    config = changes.config ?? config
    await makeHostKeys()
    await start()
  }

  function log() {
    return readFileSync(logFile, 'utf8')
  }

  return {
    host: '127.0.0.1',
    port,
    user,
    folder,
    /** `~` of the login sessions; `authorizedKeys` is in its `.ssh`. */
    home,
    authorizedKeys,
    log,
    stop,
    restart,
    changeHostKeys: () => restart({ newKeys: true }),

    /** `type blob` of each host key. */
    get hostPublicKeys() {
      return Object.fromEntries(
        hostKeyTypes.map(type => [
          type,
          readFileSync(`${hostKeyFile(type)}.pub`, 'utf8')
            .split(' ')
            .slice(0, 2)
            .join(' '),
        ]),
      ) as Partial<Record<KeyType, string>>
    },

    get knownHosts() {
      return Object.values(this.hostPublicKeys)
        .map(key => `[127.0.0.1]:${port} ${key}\n`)
        .join('')
    },

    /** Authorizes a public key; `restrictions` are the options before it. */
    authorize(publicKey: string, restrictions = '') {
      appendFileSync(authorizedKeys, `${`${restrictions} ${publicKey}`.trim()}\n`)
    },

    /** Cuts every connection from the server's side. What the sessions had started goes on. */
    dropConnections() {
      for (const session of descendants(listener?.pid)) if (commandName(session).startsWith('sshd')) kill(session)
    },

    /** A client configuration that logs in with this key alone: `ssh -F FILE 127.0.0.1`. Never looks into `~/.ssh`. */
    clientConfig(keyFile: string) {
      const client = mkdtempSync(join(folder, 'client-'))
      const knownHostsFile = join(client, 'known_hosts')
      writeFileSync(knownHostsFile, this.knownHosts)
      const lines = [
        'Host *',
        `  Port ${port}`,
        `  User ${user}`,
        `  IdentityFile "${keyFile}"`,
        '  IdentitiesOnly yes',
        '  IdentityAgent none',
        `  UserKnownHostsFile "${knownHostsFile}"`,
        '  GlobalKnownHostsFile /dev/null',
        '  StrictHostKeyChecking yes',
        '  UpdateHostKeys no',
        '  BatchMode yes',
      ]
      writeFileSync(join(client, 'config'), `${lines.join('\n')}\n`)
      return join(client, 'config')
    },
  }
}

export type Sshd = Awaited<ReturnType<typeof startSshd>>

export interface KeyOptions {
  comment?: string
  passphrase?: string
  /** PEM is PKCS1 for rsa and SEC1 for ecdsa; ed25519 has no such form. */
  format?: 'OpenSSH' | 'PEM' | 'PKCS8'
  /** Of an RSA key: 1024 are made in no time, and are enough where only ssh-keygen reads it. */
  bits?: number
}

/** A freshly made key pair in files of its own, mode 600. */
export async function newKeyPair(folder: string, type: KeyType = 'ed25519', options: KeyOptions = {}) {
  const { comment = `test ${type}`, passphrase = '', format = 'OpenSSH', bits = 2048 } = options
  const file = join(mkdtempSync(join(folder, 'key-')), `id_${type}`)
  if (type === 'ed25519' && format !== 'OpenSSH') {
    // ssh-keygen writes ed25519 keys in its own format, whatever -m says. openssl's users have PKCS8 ones.
    const pair = generateKeyPairSync('ed25519')
    const cipher = passphrase ? { cipher: 'aes256', passphrase } : {}
    writeFileSync(file, pair.privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }), { mode: 0o600 })
    const raw = Buffer.from(pair.publicKey.export({ format: 'jwk' }).x as string, 'base64url')
    const blob = Buffer.concat(['ssh-ed25519', raw].map(part => sshString(Buffer.from(part))))
    writeFileSync(`${file}.pub`, `ssh-ed25519 ${blob.toString('base64')} ${comment}\n`)
  } else {
    const more = [...(format === 'OpenSSH' ? [] : ['-m', format]), ...(type === 'rsa' ? ['-b', String(bits)] : [])]
    await generateKey(file, type, comment, passphrase, more)
  }
  return { privateKey: readFileSync(file, 'utf8'), publicKey: readFileSync(`${file}.pub`, 'utf8').trim(), file }
}

async function generateKey(
  file: string,
  type: KeyType,
  comment: string,
  passphrase: string,
  more: readonly string[] = [],
) {
  await $`ssh-keygen -q -t ${type} ${more} -N ${passphrase} -C ${comment} -f ${file}`
}

function sshString(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

interface Listener {
  pid: number
  exited: Promise<unknown>
}

/** Resolves when sshd says that it listens. @throws Error with its log when it ends instead */
async function listen(program: readonly string[], configFile: string, logFile: string): Promise<Listener> {
  const since = readFileSync(logFile).length
  const newLines = () => readFileSync(logFile).subarray(since).toString()
  const { promise: listening, resolve } = Promise.withResolvers<void>()
  const look = () => newLines().includes('Server listening on') && resolve()
  const watcher = watch(logFile, look)
  // exec: otherwise bash would be killed with us, and sshd would stay.
  const sshd = $({ nothrow: true })`exec setpriv --pdeathsig KILL ${program} -D -f ${configFile} -E ${logFile}`
  const exited = sshd.then(result => result)
  try {
    look()
    await Promise.race([
      listening,
      exited.then(({ stderr }) => {
        throw new Error(`sshd does not start: ${newLines()}${stderr}`)
      }),
    ])
  } finally {
    watcher.close()
  }
  return { pid: sshd.pid as number, exited }
}

const privateMounts = ['unshare', '--mount', '--propagation', 'private']

/** Whether this user may give a server files of its own; root may, outside of most containers. */
export async function canHaveOwnFiles(): Promise<boolean> {
  return $({ nothrow: true })`${privateMounts} mount --bind /etc/passwd /etc/passwd`.then(({ ok }) => ok)
}

function findSshd(): string {
  const found = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/usr/bin/sshd'].find(existsSync)
  if (found === undefined) throw new Error('openssh-server is needed: apt-get install openssh-server')
  return found
}

function quoteAssignment([name, value]: [string, string]): string {
  if (/[\n"\\]/.test(value)) throw new Error(`sshd_config cannot hold this value of ${name}: ${value}`)
  return `"${name}=${value}"`
}

/** Sessions lead process groups of their own, so killing sshd's group would leave them. */
function descendants(pid: number | undefined): number[] {
  if (pid === undefined) return []
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
    return children.flatMap(child => [child, ...descendants(child)])
  } catch {
    return [] // it has ended in the meantime
  }
}

function commandName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}
