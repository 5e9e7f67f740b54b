import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Authorization, authorizeKey, restrictionTo } from './lib/authorized-key.ts'
import { type CiSecrets, describeSecrets, storeAtGithub, writeSecrets } from './lib/ci-secrets.ts'
import { setDeployKey } from './lib/deploy-key.ts'
import { describeKey, pinHostKeys, scanHostKeys } from './lib/host-keys.ts'
import { type ShellTrial, type Trial, tryKey, tryShell } from './lib/key-trial.ts'
import { formatKnownHost } from './lib/known-hosts.ts'
import { normalizePrivateKey } from './lib/private-key.ts'
import { exit, Failure, run, version } from './lib/program.ts'
import { quote } from './lib/quote.ts'
import { knownHostsName, parseRemote, portHint, type Remote } from './lib/remote.ts'
import { readSettings } from './lib/settings.ts'
import { escapePercent, setSshConfigEntry } from './lib/ssh-config-entry.ts'
import { findSshFolder, inHome } from './lib/ssh-folder.ts'

const help = `Usage: setup-ssh [--github OWNER/REPO] [--print-secrets DIR] [--ssh-dir DIR] [--env-file FILE]

Lets the CI push to STAGING_REMOTE_REPO, and only that: learns the server's host keys, makes a deploy key, authorizes
it at the server through your own ssh access, tries it, and says what the CI needs. It can run any number of times,
and never overwrites or replaces a key. Ends with
  0  the server accepts the key
  1  the server accepts the key, but gh could not store the secrets
  2  settings or usage are wrong, or nobody has confirmed the host keys
  3  the server could not be reached, shows another host key, or does not accept the key yet

  --github OWNER/REPO  store the CI's secrets there, through gh
  --print-secrets DIR  write the CI's secrets to files in a new folder of mode 700
  --ssh-dir DIR        in place of ~/.ssh; your own access then goes by DIR/config
  --env-file FILE      settings, in place of .env
  --version
  --help`

const settingsOfSetupSsh = {
  STAGING_REMOTE_REPO: {
    means:
      'the repository to push to, such as seita@ssh.our-server.com:/home/seita/flexmeasures-staging/flexmeasures.git',
    required: true,
    problem: (url: string) => {
      const remote = parseRemote(url)
      if (remote === undefined) return 'is neither user@host:path, ssh://user@host:port/path nor a path'
      return remote.host !== undefined && remote.user === undefined
        ? 'names no user, and the CI has another'
        : undefined
    },
  },
  HOST_FINGERPRINT: {
    means: 'the SHA256 fingerprint of the host key, or several with blanks between; without it you are asked',
    problem: (text: string) =>
      readFingerprints(text).every(each => /^SHA256:[A-Za-z0-9+/]{43}$/.test(each))
        ? undefined
        : 'is not a SHA256 fingerprint',
  },
  SSH_KEY_FILE: {
    means: 'where the deploy key is or is to be made',
    problem: (file: string) => (/["\\$\n\r]/.test(file) ? 'has a character that ssh cannot read' : undefined),
  },
  SSH_KEY_TYPE: {
    means: 'ed25519 (unless set), ecdsa or rsa',
    problem: (type: string) => (/^(ed25519|ecdsa|rsa)$/.test(type) ? undefined : 'is unknown'),
  },
} as const

run(main)

/** "Authenticate at the deployment server (with an ssh key)": ssh-keyscan, known_hosts, ssh-keygen, authorized_keys. */
async function main(): Promise<number> {
  const options = readOptions()
  if (options.help || options.version) {
    console.log(options.help ? help : `pushlive setup-ssh ${version}`)
    return 0
  }
  const settings = readSettings(settingsOfSetupSsh, options['env-file'])
  const { STAGING_REMOTE_REPO } = settings
  const remote = parseRemote(STAGING_REMOTE_REPO) as Remote
  if (remote.host === undefined) {
    console.log(`${STAGING_REMOTE_REPO} is a path on this machine: no ssh is needed.`)
    return 0
  }
  const hint = portHint(remote)
  if (hint) console.log(`Look again at STAGING_REMOTE_REPO: ${hint}`)

  const restriction = restrictionTo(remote)
  const name = knownHostsName(remote)
  const ssh = findSshFolder(options['ssh-dir'])
  // A name of its own: a block for the host itself would push the deploy key upon the operator's own logins there.
  const alias = `pushlive-${labelOf(remote)}`
  const keyFile = settings.SSH_KEY_FILE ? inHome(settings.SSH_KEY_FILE) : join(ssh.folder, alias)
  const table: Row[] = []

  console.log(`SCANNING HOST KEYS (${name}) ...`)
  const scanned = await scanHostKeys(remote)
  for (const hostKey of scanned) console.log(`  ${describeKey(hostKey)}`)
  const { trusted, added } = await pinHostKeys(ssh.knownHosts, scanned, readFingerprints(settings.HOST_FINGERPRINT))
  const hostKeys = `${trusted.length} of ${scanned.length} in ${ssh.knownHosts}`
  table.push(['host keys', added.length > 0 ? 'made' : 'there', hostKeys])

  console.log(`CREATING DEPLOY KEY (${keyFile}) ...`)
  const comment = `pushlive ${STAGING_REMOTE_REPO} ${new Date().toISOString().slice(0, 10)}`
  const key = await setDeployKey(keyFile, settings.SSH_KEY_TYPE || 'ed25519', comment)
  table.push(['deploy key', key.isNew ? 'made' : 'there', key.file])

  console.log(`WRITING SSH CONFIGURATION (Host ${alias}) ...`)
  const entryIsNew = await setSshConfigEntry(ssh.entries, ssh.config, ssh.include, {
    Host: alias,
    HostName: escapePercent(remote.host),
    Port: String(remote.port ?? 22),
    User: remote.user as string,
    IdentityFile: escapePercent(key.file),
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    UserKnownHostsFile: escapePercent(ssh.knownHosts),
    StrictHostKeyChecking: 'yes',
    UpdateHostKeys: 'no',
    ForwardAgent: 'no',
  })
  table.push(['ssh configuration', entryIsNew ? 'made' : 'there', `Host ${alias} in ${ssh.entries}`])

  console.log(`AUTHORIZING KEY (${remote.user}@${name}, ~/.ssh/authorized_keys) ...`)
  const line = `${restriction} ${key.publicKey}`
  console.log(`  ${line}`)
  const secrets: CiSecrets = {
    STAGING_REMOTE_REPO,
    KNOWN_DEPLOYMENT_HOSTS: trusted.map(formatKnownHost).join(''),
    SSH_DEPLOYMENT_KEY: normalizePrivateKey(readFileSync(key.file, 'utf8'), key.file),
  }
  const isAuthorized = !key.isNew && (await tryKey(secrets)).isAccepted
  const authorization = isAuthorized ? undefined : await authorizeKey(ssh.command, remote, line, key.publicKey)
  if (authorization?.words) console.log(quote(authorization.words))

  console.log('TRYING KEY ALONE (git ls-remote, then a shell) ...')
  const trial = await tryKey(secrets)
  const shell = trial.isAccepted ? await tryShell(ssh.entries, alias) : undefined
  for (const words of [trial.words, shell?.words]) if (words) console.log(quote(words))
  table.push(describeAuthorization(authorization?.outcome, trial, shell, `${remote.user}@${name}`))
  if (trial.isAccepted && !trial.hasRepository) {
    table.push(['repository', 'left to do', 'make install-hook: there is none at this path yet'])
  }

  console.log('HANDING OUT SECRETS ...')
  if (options['print-secrets']) writeSecrets(secrets, options['print-secrets'])
  const problem = options.github ? await storeAtGithub(secrets, options.github) : undefined
  if (problem) console.log(quote(problem))
  console.log(describeSecrets(secrets, key.file, options.github))
  table.push(...describeHandOut(options['print-secrets'], options.github, problem))

  console.log(`\n${formatTable(table)}`)
  if (!trial.isAccepted) return exit.unreachable
  return problem ? exit.failed : 0
}

/** What, whether it was there, was made or is left to do, and where. */
type Row = readonly [what: string, state: 'there' | 'made' | 'left to do', where: string]

function describeAuthorization(
  outcome: Authorization['outcome'] | undefined,
  { isAccepted }: Trial,
  shell: ShellTrial | undefined,
  place: string,
): Row {
  const what = 'authorized_keys'
  const isThere = outcome === 'added' ? 'made' : 'there'
  if (shell?.isRefused) return [what, isThere, `${place} lets it push to this repository, and refuses a shell`]
  if (shell?.isRefused === false) {
    return [what, 'left to do', `${place} gives the key a shell: put the line above in place of its own`]
  }
  if (isAccepted) return [what, isThere, `${place} lets it push; whether it refuses a shell is not known: see above`]
  if (outcome === 'no access')
    return [what, 'left to do', `you cannot log in as ${place}: have the line above added there`]
  if (outcome === 'differs')
    return [what, 'left to do', `${place} has the key for something else: set SSH_KEY_FILE, for a key of its own`]
  return [what, 'left to do', `the line is there, but ${place} does not accept the key: see above`]
}

function describeHandOut(
  folder: string | undefined,
  repository: string | undefined,
  problem: string | undefined,
): Row[] {
  const rows: Row[] = []
  if (folder) rows.push(['secrets in files', 'made', `${folder}: delete it once they are stored`])
  if (repository && !problem) rows.push(['secrets of the CI', 'made', repository])
  if (!repository || problem) {
    rows.push([
      'secrets of the CI',
      'left to do',
      'store the three above (GitHub: Settings, Secrets and variables, Actions)',
    ])
  }
  return rows
}

function formatTable(rows: readonly Row[]): string {
  return rows.map(([what, state, where]) => `${what.padEnd(18)} ${state.padEnd(11)} ${where}`).join('\n')
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        github: { type: 'string' },
        'print-secrets': { type: 'string' },
        'ssh-dir': { type: 'string' },
        'env-file': { type: 'string' },
        help: { type: 'boolean' },
        version: { type: 'boolean' },
      },
    })
    if (values.github && !/^[\w.-]+\/[\w.-]+$/.test(values.github))
      throw new Error(`--github ${values.github} is not OWNER/REPO`)
    return values
  } catch (cause) {
    throw new Failure(exit.usage, (cause as Error).message, { fix: 'setup-ssh --help lists what there is', cause })
  }
}

function readFingerprints(text = ''): string[] {
  return text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(each => each.replace(/=$/, ''))
}

/** Tells host and repository, and can be a file's name and a `Host` of ssh's configuration. */
function labelOf({ host = '', path }: Remote): string {
  const repository = basename(path, '.git') || 'repository'
  return `${host}-${repository}`.replace(/[^A-Za-z0-9._-]/g, '_')
}
