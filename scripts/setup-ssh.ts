import './lib/shared/current-directory.ts'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isSettingsVerb, settingsVerbs } from './lib/protocol/settings-change.ts'
import { type Authorization, authorizeKey } from './lib/setup/authorized-key.ts'
import { changeSettings } from './lib/setup/change-settings.ts'
import {
  type CiSecrets,
  describeSecrets,
  storeAtGithub,
  verifySecretsFolder,
  writeSecrets,
} from './lib/setup/ci-secrets.ts'
import { runDeployCheck } from './lib/setup/deploy-check.ts'
import { setDeployKey } from './lib/setup/deploy-key.ts'
import { aliasOf, findHops, type Hop } from './lib/setup/hops.ts'
import { describeKey, findUnknownKeys, pinHostKeys, scanHostKeys } from './lib/setup/host-keys.ts'
import { installHook } from './lib/setup/install-hook.ts'
import { installProject } from './lib/setup/install-project.ts'
import { describeMisuse, tryKey, tryMisuse, tryPassage } from './lib/setup/key-trial.ts'
import { verifyPrograms } from './lib/setup/programs.ts'
import { findProject, type Project } from './lib/setup/project.ts'
import { readSetupSettings, type SetupSettings } from './lib/setup/settings.ts'
import { entryFor, setSshConfigEntry } from './lib/setup/ssh-config.ts'
import { findSshFolder } from './lib/setup/ssh-folder.ts'
import { describeAuthorization, describeHandOut, formatTable, type Row } from './lib/setup/summary.ts'
import { misuse, readArguments } from './lib/shared/arguments.ts'
import { quote } from './lib/shared/foreign-text.ts'
import { exitCode, Failure, run } from './lib/shared/program.ts'
import { formatKnownHost } from './lib/ssh/known-hosts.ts'
import { normalizePrivateKey } from './lib/ssh/private-key.ts'
import { knownHostsName, portHint } from './lib/ssh/remote.ts'

const help = `Usage: setup-ssh [--github OWNER/REPO] [--print-secrets DIR] [--as-root] [--ssh-dir DIR] [--env-file FILE]
       setup-ssh --hook SERVER_ENV [--keep-settings] [--ssh-dir DIR] [--env-file FILE]
       setup-ssh set NAME=VALUE ... | set NAME | unset NAME ... | get [NAME ...]

Lets the CI push to STAGING_REMOTE_REPO, and only that: learns the server's host keys, creates a deploy key, authorizes
it at the server through your own ssh access, tries it, and says what the CI needs. With PROXY_JUMP it does the same at
the jump host. It can run any number of times, and never overwrites or replaces a key.

Where deploy/server.env is in the current directory, and without --env-file, it sets the whole server up: it also
installs the hook with these settings, and keeps those that were set on the server; copies deploy/server/ to server/ in
the repository; names the command that needs root, if server/root.sh is there, and at a terminal waits until you have
run it (with --as-root it runs it itself); and runs deploy check. Exits with
  0  the server accepts the key, and deploy check, where it ran, found nothing wrong
  1  something is left to do: the last lines say what, such as that the key may do more than push
  2  settings or usage are wrong, or the host keys have not been confirmed
  3  the server could not be reached, shows another host key, or does not accept the key yet

With --hook it makes STAGING_REMOTE_REPO a repository that deploys what is pushed to it, and does nothing about keys:
it copies the hook there through your own ssh access, and has it install itself with the settings in SERVER_ENV
(post-receive install). Run it again to update the hook. Exits with
  0  the hook is installed
  2  settings or usage are wrong, or something on the server is; nothing was changed
  3  the server could not be reached, or did not let you in

set and unset change the hook's settings on the server, which the application's steps find in their environment, too;
set NAME alone reads the value from standard input, and shows nothing of it. get shows them: the values of pushlive's
own, and of those that are named. They are checked as at install, and the old ones are kept in .env.before. Exits with
  0  done
  1  get: a name is not set
  2  settings or usage are wrong, or something on the server is; nothing was changed
  3  the server could not be reached, or did not let you in

  --hook SERVER_ENV    a file with the hook's settings; those on the server are kept in .env.before
  --keep-settings      keep those on the server, if it has some
  --github OWNER/REPO  store what the CI needs there, through gh: the key as a secret, the rest as variables
  --print-secrets DIR  write the same to files in a new folder of mode 700
  --as-root            run deploy/server/root.sh on the server by sudo: read it first
  --ssh-dir DIR        in place of ~/.ssh; your own access then goes by DIR/config
  --env-file FILE      settings, in place of .env and deploy/deploy.env
  --version
  -h, --help`

run(main)

/** "Authenticate at the deployment server (with an ssh key)": ssh-keyscan, known_hosts, ssh-keygen, authorized_keys. */
async function main(): Promise<number> {
  const options = readOptions()
  if (options === undefined) return 0
  const settings = readSetupSettings(options['env-file'])
  const [verb, ...words] = options.words
  if (isSettingsVerb(verb)) return changeSettings(settings, verb, words, options)
  const sshFolder = options['ssh-dir']
  if (options.hook !== undefined) {
    const { hook: file, 'keep-settings': keepSettings } = options
    return (await installHook(settings, { file, keepSettings, sshFolder })).exitCode
  }
  if (options['print-secrets']) verifySecretsFolder(options['print-secrets'])
  const { STAGING_REMOTE_REPO: server, PROXY_JUMP: jump } = settings
  const project = options['env-file'] === undefined ? findProject() : undefined
  const { 'as-root': asRoot = false } = options
  if (asRoot && !project?.needsRoot) {
    throw new Failure(exitCode.usage, '--as-root has nothing to run: deploy/server/root.sh is not here.', {
      fix: 'run setup-ssh where deploy init has written deploy/, without --env-file',
    })
  }
  if (server.host === undefined) {
    console.log(`${server.url} is a path on this machine: no ssh is needed.`)
    return project ? setUpHere(settings, project, asRoot) : 0
  }
  const hint = portHint(server)
  if (hint) console.log(`Look again at STAGING_REMOTE_REPO: ${hint}`)

  verifyPrograms(['bash', 'ssh', 'ssh-keygen', 'ssh-keyscan'])
  const ssh = findSshFolder(sshFolder)
  const hops = findHops(server, jump)
  const table: Row[] = []

  const trusted = []
  for (const hop of hops) {
    const name = knownHostsName(hop.server)
    console.log(`SCANNING HOST KEYS (${name}${hop.jump ? `, through ${hop.jump.place}` : ''}) ...`)
    const scanned = await scanHostKeys(hop, hop.jump && ssh.login(hop.jump))
    for (const hostKey of findUnknownKeys(ssh.knownHosts, scanned)) console.log(`  ${describeKey(hostKey)}`)
    const pinned = await pinHostKeys(ssh.knownHosts, scanned, settings.HOST_FINGERPRINT ?? [])
    trusted.push(...pinned.trusted)
    const count = `${pinned.trusted.length} of ${scanned.length}`
    // With a project all is to fit a screen, and this has just been said.
    if (!project)
      table.push(['host keys', pinned.added.length > 0 ? 'created' : 'ok', `${count} for ${name} in ${ssh.knownHosts}`])
  }

  const keyFile = settings.SSH_KEY_FILE ?? join(ssh.folder, aliasOf(server))
  console.log(`CREATING DEPLOY KEY (${keyFile}) ...`)
  const comment = `pushlive ${server.url} ${new Date().toISOString().slice(0, 10)}`
  const key = await setDeployKey(keyFile, settings.SSH_KEY_TYPE, comment)
  if (!project) table.push(['deploy key', key.isNew ? 'created' : 'ok', key.file])

  for (const hop of hops) {
    console.log(`WRITING SSH CONFIGURATION (Host ${hop.alias}) ...`)
    const isNew = await setSshConfigEntry(ssh, entryFor(hop, key.file, ssh.knownHosts))
    if (!project) table.push(['ssh configuration', isNew ? 'created' : 'ok', `Host ${hop.alias} in ${ssh.entries}`])
  }

  const secrets: CiSecrets = {
    STAGING_REMOTE_REPO: server.url,
    KNOWN_DEPLOYMENT_HOSTS: trusted.map(formatKnownHost).join(''),
    SSH_DEPLOYMENT_KEY: normalizePrivateKey(readFileSync(key.file, 'utf8'), key.file),
    ...(jump && { PROXY_JUMP: jump.url }),
  }
  const lineFor = (hop: Hop) => `${hop.restriction} ${key.publicKey}`
  const isAuthorized = !key.isNew && (await tryKey(secrets)).isAccepted
  const authorizations = new Map<Hop, Authorization>()
  for (const hop of hops) {
    console.log(`AUTHORIZING KEY (${hop.place}, ~/.ssh/authorized_keys) ...`)
    if (isAuthorized && describeMisuse(await tryMisuse(ssh.entries, hop.alias)) === undefined) continue
    const authorization = await authorizeKey(ssh.login(hop), lineFor(hop), key.publicKey)
    if (authorization.output) console.log(quote(authorization.output))
    authorizations.set(hop, authorization)
  }

  // Before the key is tried, which finds a repository then.
  const target = hops.at(-1) as Hop
  const hook =
    project &&
    (await installProject(
      settings,
      project,
      { sshFolder, asRoot },
      { ssh, hop: target, authorization: authorizations.get(target) },
    ))
  if (hook) table.push(...hook.rows)
  if (hook && hook.exitCode !== 0) {
    console.log(`\n${formatTable(table)}`)
    return hook.exitCode
  }

  console.log('TRYING KEY ALONE (git-upload-pack, git-receive-pack, a shell, a forwarding) ...')
  const trial = await tryKey(secrets)
  if (trial.output) console.log(quote(trial.output))
  let isTooMuch = false
  for (const hop of hops) {
    const misuse = await tryMisuse(ssh.entries, hop.alias)
    const isAccepted = trial.isAccepted || (hop.server === jump && (await tryPassage(ssh.entries, hop.alias, server)))
    const isAsItShould = isAccepted && misuse.shell === 'refused'
    if (!isAsItShould && !trial.output.includes(misuse.output)) console.log(quote(misuse.output))
    const row = describeAuthorization(hop, authorizations.get(hop), isAccepted, misuse)
    if (row[1] === 'TO DO') console.log(`  ${lineFor(hop)}`)
    table.push(row)
    isTooMuch ||= describeMisuse(misuse) !== undefined
  }
  if (trial.isAccepted && !trial.hasRepository && !project) {
    table.push(['repository', 'TO DO', 'setup-ssh --hook SERVER_ENV: there is none at this path yet'])
  }

  if (!project || options.github || options['print-secrets']) console.log('HANDING OUT SECRETS ...')
  if (options['print-secrets']) writeSecrets(secrets, options['print-secrets'])
  const problem = options.github && !isTooMuch ? await storeAtGithub(secrets, options.github) : undefined
  if (problem) console.log(quote(problem))
  if (!project) console.log(describeSecrets(secrets, key.file, options.github))
  const how = project
    ? 'setup-ssh --github OWNER/REPO or --print-secrets DIR'
    : 'store what is above: the key as a secret, the others as variables'
  table.push(...describeHandOut(options['print-secrets'], options.github, isTooMuch, problem, how))

  const mayCheck = hook?.isReady && trial.isAccepted && !isTooMuch
  const isReady = mayCheck ? await checkDeployment({ ...secrets, SSH_DEPLOYMENT_KEY: key.file }, table) : !hook
  console.log(`\n${formatTable(table)}`)
  if (!trial.isAccepted) return exitCode.unreachable
  if (isTooMuch || problem || !isReady) return exitCode.failed
  if (project) console.log('Next: deploy')
  return 0
}

/** The same where the repository is a path on this machine: without keys. */
async function setUpHere(settings: SetupSettings, project: Project, asRoot: boolean): Promise<number> {
  const hook = await installProject(settings, project, { sshFolder: undefined, asRoot })
  const table = [...hook.rows]
  const isReady = hook.isReady && (await checkDeployment({}, table))
  console.log(`\n${formatTable(table)}${isReady ? '\nNext: deploy' : ''}`)
  return hook.exitCode || (isReady ? 0 : exitCode.failed)
}

/** @returns whether all is as a deployment needs it */
async function checkDeployment(env: Readonly<Record<string, string>>, table: Row[]): Promise<boolean> {
  console.log('CHECKING WHAT A DEPLOYMENT NEEDS (deploy check) ...')
  const row = await runDeployCheck(env)
  table.push(row)
  return row[1] === 'ok'
}

function readOptions() {
  const given = readArguments('setup-ssh', help, {
    hook: { type: 'string' },
    'keep-settings': { type: 'boolean' },
    'as-root': { type: 'boolean' },
    github: { type: 'string' },
    'print-secrets': { type: 'string' },
    'ssh-dir': { type: 'string' },
    'env-file': { type: 'string' },
  })
  if (given === undefined) return undefined
  const { options, positionals } = given
  const { hook, github } = options
  const others = [hook, github, options['print-secrets'], options['keep-settings'], options['as-root']]
  const takesWords = isSettingsVerb(positionals[0]) && others.every(each => each === undefined)
  if (positionals[0] !== undefined && others.every(each => each === undefined) && !takesWords) {
    const command = positionals[0].replace(/=.*/s, '=...')
    throw misuse('setup-ssh', `setup-ssh has no command '${command}'`, { word: command, known: settingsVerbs })
  }
  const problems = takesWords
    ? []
    : positionals.map(argument => `Unexpected argument: ${argument.replace(/=.*/s, '=...')}`)
  if (github && !/^[\w.-]+\/[\w.-]+$/.test(github)) problems.push(`--github ${github} is not OWNER/REPO`)
  if (hook === undefined && options['keep-settings']) problems.push('--keep-settings goes with --hook')
  if (hook !== undefined && (github ?? options['print-secrets']) !== undefined) {
    problems.push('--hook does nothing about keys: give --github and --print-secrets without it')
  }
  if (hook !== undefined && options['as-root']) problems.push('--hook runs nothing as root: give --as-root without it')
  if (problems.length === 0) return { ...options, words: positionals }
  throw new Failure(exitCode.usage, problems.join('\n'), { fix: 'setup-ssh --help lists what there is' })
}
