import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { type Shell, $ as zx } from 'zx/core'
import { check } from './lib/check.ts'
import {
  fetchCommit,
  findRollback,
  formatHistory,
  formatStatus,
  type HistoryEntry,
  readHistory,
  readRefs,
  showOurHook,
  summarize,
} from './lib/history.ts'
import { normalizeKnownHosts } from './lib/known-hosts.ts'
import { normalizePrivateKey } from './lib/private-key.ts'
import { exit, Failure, run, version } from './lib/program.ts'
import { explainPushFailure } from './lib/push-failure.ts'
import { parseRemote, type Remote } from './lib/remote.ts'
import { readSettings } from './lib/settings.ts'
import { type SshSecrets, withSshSession } from './lib/ssh-session.ts'
import { failedRef, greeting, liveRef, parseVerdict, type Request, requestRef, type Verdict } from './lib/verdict.ts'

const help = `Usage: deploy [--again | --dry-run] [--env-file FILE]
       deploy check
       deploy status | history [--json]
       deploy rollback [COMMIT]

Pushes BRANCH_NAME to STAGING_REMOTE_REPO, shows what the server does with it, and ends with
  0  the commit is live
  1  a step failed on the server, and the previous code is back in place
  2  settings or usage are wrong; nothing was sent
  3  the server could not be reached or would not let us in; nothing was sent
  4  git refused the push; nothing was deployed
  5  not known, because the connection broke: run it again to find out

check goes through all that a deployment needs, here and on the server, and deploys nothing.
status and history tell what is and was live, who deployed it, and how long each step took.
rollback puts the commit live that was so before, or COMMIT; the next push goes forward again.

  --again          run all steps, even if the commit is live already
  --dry-run        show what would be pushed, and push nothing
  --env-file FILE  settings, in place of .env
  --json           for programs
  --version
  --help`

const deploySettings = {
  STAGING_REMOTE_REPO: {
    means:
      'the repository to push to, such as seita@ssh.our-server.com:/home/seita/flexmeasures-staging/flexmeasures.git',
    required: true,
    problem: (url: string) =>
      parseRemote(url) ? undefined : 'is neither user@host:path, ssh://user@host:port/path nor a path',
  },
  BRANCH_NAME: { means: 'the branch to push, such as main', required: true },
  SSH_DEPLOYMENT_KEY: {
    means: 'the private key from the secrets of the CI; leave it unset to log in as you do by hand',
    problem: () => (process.env.KNOWN_DEPLOYMENT_HOSTS === undefined ? 'is there without KNOWN_DEPLOYMENT_HOSTS' : ''),
    verify: (key: string) => normalizePrivateKey(key),
  },
  KNOWN_DEPLOYMENT_HOSTS: {
    means: 'known_hosts lines from the secrets of the CI; setup-ssh prints them',
    verify: (knownHosts: string) => readKnownHosts(knownHosts, process.env),
  },
  PROXY_JUMP: {
    means: 'the host through which the server is reached, such as ada@gate.our-server.com:22',
    problem: (jump: string) => (parseJump(jump) ? undefined : 'is not user@host or user@host:port'),
  },
} as const

const remote = 'staging'

run(main)

/** DEPLOY.sh, and then what it could not know: what became of the push. */
async function main(): Promise<number> {
  const { options, command, argument } = readArguments()
  if (options.help || options.version) {
    console.log(options.help ? help : `pushlive deploy ${version}`)
    return 0
  }
  const settings = readSettings(deploySettings, options['env-file'])
  const { STAGING_REMOTE_REPO, BRANCH_NAME } = settings

  return withSshSession(readSecrets(settings), async (env, connected) => {
    const $ = zx({ env: { ...process.env, ...env }, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
    if (command === 'status' || command === 'history') {
      await connected
      return showHistory(await readHistory($, STAGING_REMOTE_REPO, BRANCH_NAME), command, options.json)
    }
    const commit = command === 'rollback' ? undefined : await findCommit($, BRANCH_NAME)

    console.log(`ADDING REMOTE ${remote} (${STAGING_REMOTE_REPO}) ...`)
    await setRemote($, STAGING_REMOTE_REPO)
    if (command === 'check' && commit) {
      const secrets = describeSecrets(settings)
      return check($, { remote, url: STAGING_REMOTE_REPO, branch: BRANCH_NAME, commit, secrets, connected })
    }
    await connected
    if (commit === undefined) {
      const earlier = await findRollback($, remote, BRANCH_NAME, argument)
      return announce(await requestVerdict($, earlier, BRANCH_NAME, 'rollback'))
    }

    console.log(`PUSHING ${commit} TO ${BRANCH_NAME} ...`)
    const branchRef = `refs/heads/${BRANCH_NAME}`
    if (options['dry-run']) return dryRun($, commit, branchRef)
    const pushed = await push($, commit, branchRef)

    const verdict = pushed.verdict ?? (await findVerdict($, commit, BRANCH_NAME, pushed, options.again))
    return announce(verdict)
  })
}

const commands = ['check', 'status', 'history', 'rollback'] as const

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        again: { type: 'boolean', default: false },
        'dry-run': { type: 'boolean' },
        'env-file': { type: 'string' },
        help: { type: 'boolean' },
        json: { type: 'boolean', default: false },
        version: { type: 'boolean' },
      },
    })
    const [name, argument, ...rest] = positionals
    const command = commands.find(command => command === name)
    const surplus = name && !command ? name : command === 'rollback' ? rest[0] : argument
    if (surplus !== undefined) throw new Error(`Unexpected argument '${surplus}'`)
    return { options: values, command, argument }
  } catch (cause) {
    throw new Failure(exit.usage, (cause as Error).message, { fix: 'deploy --help lists what there is', cause })
  }
}

/** The secrets as ssh reads them, whatever happened to them on their way. The processes that are started get none. */
function readSecrets(settings: Record<keyof typeof deploySettings, string | undefined>): SshSecrets {
  const { STAGING_REMOTE_REPO = '', SSH_DEPLOYMENT_KEY, KNOWN_DEPLOYMENT_HOSTS, PROXY_JUMP } = settings
  const remote = parseRemote(STAGING_REMOTE_REPO)
  delete process.env.SSH_DEPLOYMENT_KEY
  if (remote?.host === undefined) return { key: undefined, knownHosts: undefined }
  return {
    key: SSH_DEPLOYMENT_KEY === undefined ? undefined : normalizePrivateKey(SSH_DEPLOYMENT_KEY),
    knownHosts: KNOWN_DEPLOYMENT_HOSTS === undefined ? undefined : readKnownHosts(KNOWN_DEPLOYMENT_HOSTS, settings),
    jump: PROXY_JUMP?.trim() || undefined,
    remote,
  }
}

function describeSecrets({ SSH_DEPLOYMENT_KEY, KNOWN_DEPLOYMENT_HOSTS }: Record<string, string | undefined>): string[] {
  return [
    SSH_DEPLOYMENT_KEY === undefined
      ? 'no SSH_DEPLOYMENT_KEY, ssh logs in as it does for you'
      : 'SSH_DEPLOYMENT_KEY is a private key without passphrase',
    KNOWN_DEPLOYMENT_HOSTS === undefined
      ? 'no KNOWN_DEPLOYMENT_HOSTS, ssh knows the hosts that it knows for you'
      : 'KNOWN_DEPLOYMENT_HOSTS has a host key of the server',
  ]
}

/** @throws Failure (usage) where they lack the server, or the host before it */
function readKnownHosts(text: string, { STAGING_REMOTE_REPO = '', PROXY_JUMP = '' }: NodeJS.ProcessEnv): string {
  const remote = parseRemote(STAGING_REMOTE_REPO)
  if (remote?.host === undefined) return text
  const knownHosts = normalizeKnownHosts(text, remote)
  const jump = parseJump(PROXY_JUMP)
  if (jump) normalizeKnownHosts(knownHosts, jump)
  return knownHosts
}

const parseJump = (jump: string): Remote | undefined => parseRemote(`ssh://${jump.trim()}/`)

function showHistory(history: readonly HistoryEntry[], command: 'status' | 'history', json: boolean): number {
  const text = command === 'status' ? formatStatus(history) : formatHistory(history)
  console.log(json ? JSON.stringify(command === 'status' ? summarize(history) : history, null, 2) : text)
  return 0
}

/** CI checks out a detached HEAD; elsewhere the branch itself is meant, whatever is checked out. */
async function findCommit($: Shell, branch: string): Promise<string> {
  // One bash for both, because each process is one that every deployment waits for.
  const { stdout, stderr } = await $`
    name=${`refs/heads/${branch}`}
    git symbolic-ref --quiet HEAD >/dev/null || [ $? != 1 ] || name=HEAD
    echo "$name"
    git rev-parse --verify "$name^{commit}"`.nothrow()
  const [name, commit] = stdout.split('\n')
  if (commit) return commit
  if (/detected dubious ownership/.test(stderr)) {
    throw new Failure(exit.usage, 'git does not work in this clone, because it belongs to another user.', {
      why: stderr,
      fix: `run deploy as that user; in a container: git config --global --add safe.directory '${process.cwd()}'`,
    })
  }
  throw new Failure(exit.usage, `There is no commit to deploy: ${name} is not to be found here.`, {
    why: stderr,
    fix: 'run deploy in a clone of the repository, and check BRANCH_NAME',
  })
}

async function setRemote($: Shell, url: string): Promise<void> {
  await $`git remote add ${remote} ${url} 2>/dev/null || git remote set-url ${remote} ${url}`
}

/** What came of one `git push`. */
interface Pushed {
  readonly ok: boolean
  /** git's and ssh's own words; the server's programs are not among them. */
  readonly output: string
  /** Whether the server had the commit already, so that its hook did not run. */
  readonly upToDate: boolean
  /** Whether the hook on the server is ours. */
  readonly greeted: boolean
  /** What the hook said of this very commit, if it got that far. */
  readonly verdict: Verdict | undefined
}

/** Pushes, and shows what git and the server print as it comes. */
async function push($: Shell, commit: string, ref: string, options: readonly string[] = []): Promise<Pushed> {
  // exec: bash must not stand between git and a signal.
  const pushing = $`exec git push --porcelain --follow-tags ${options} ${remote} ${`${commit}:${ref}`}`.nothrow()
  const output: string[] = []
  let verdict: Verdict | undefined
  let greeted = false
  for await (const line of createInterface({ input: pushing.stderr })) {
    // git adds blanks to the server's lines, which would wipe the rest of a progress bar.
    const [, said] = /^remote: (.*?) *$/.exec(line) ?? []
    process.stderr.write(`${said === undefined ? line : `remote: ${said}`}\n`)
    if (said === undefined) {
      output.push(line)
      continue
    }
    greeted ||= said.startsWith(greeting)
    const saidVerdict = parseVerdict(said)
    if (saidVerdict?.commit === commit) verdict = saidVerdict
  }
  const { ok, stdout } = await pushing
  const upToDate = stdout.split('\n').some(line => line.startsWith('=\t') && line.includes(`:${ref}\t`))
  return { ok, output: [...output, stdout].join('\n'), upToDate, greeted, verdict }
}

async function dryRun($: Shell, commit: string, ref: string): Promise<number> {
  const pushed = await push($, commit, ref, ['--dry-run'])
  if (!pushed.ok) throw explainPushFailure(pushed.output)
  console.log(pushed.upToDate ? 'The server has this commit already.' : 'The server would take it. Nothing was pushed.')
  return 0
}

/**
 * Finds out what became of the commit where the push did not bring the hook's verdict.
 *
 * @returns nothing where the server's hook is not ours, and gives none
 */
async function findVerdict($: Shell, commit: string, branch: string, pushed: Pushed, again: boolean) {
  const failure = pushed.ok ? undefined : explainPushFailure(pushed.output)
  if (failure && failure.exitCode !== exit.unknown && failure.exitCode !== exit.refused) throw failure

  const recorded = await readRefs($, remote, branch).catch(cause => {
    throw noVerdict(cause, failure !== undefined)
  })
  if (failure?.exitCode === exit.refused) {
    const newer = recorded.get(liveRef(branch))
    if (newer === undefined || !(await contains($, newer, commit, branch))) throw failure
    return { commit, live: true, explanation: `as part of ${newer}, which was pushed meanwhile` }
  }
  const isLive = recorded.get(liveRef(branch)) === commit
  if (isLive && !(again && pushed.upToDate)) return { commit, live: true, explanation: 'it was already' }
  if (pushed.upToDate) return requestVerdict($, commit, branch, again ? 'again' : 'request')
  if (recorded.get(`refs/heads/${branch}`) !== commit) {
    throw new Failure(exit.unreachable, 'The connection broke before the server had the code: nothing was deployed.', {
      fix: 'run deploy again',
    })
  }
  if (recorded.get(failedRef(branch)) === commit) return { commit, live: false, explanation: 'its deployment failed' }
  if (failure || pushed.greeted || showOurHook(recorded)) throw failure ?? noVerdict()
  return undefined
}

/** Makes the hook run for a commit that the branch has already: git alone would not. */
async function requestVerdict($: Shell, commit: string, branch: string, request: Request) {
  const ref = requestRef(request, branch)
  const deleteRequest = () => $`git push --quiet ${remote} ${`:${ref}`}`.nothrow()
  console.log(`ASKING THE SERVER TO DEPLOY ${commit} ...`)
  let asked = await push($, commit, ref)
  if (asked.upToDate) {
    // A hook that was killed has left the ref.
    await deleteRequest()
    asked = await push($, commit, ref)
    if (asked.upToDate) {
      throw new Failure(exit.unknown, `The server keeps an old request, and does not ask its hook again.`, {
        fix: `on the server: git update-ref -d ${ref}; then run deploy again`,
      })
    }
  }
  if (asked.verdict) return asked.verdict
  if (!asked.ok) throw explainPushFailure(asked.output)
  if (asked.greeted) throw noVerdict()
  await deleteRequest()
  return undefined
}

/** Whether a commit that the server has live contains ours: then the push was refused because it was overtaken. */
async function contains($: Shell, newer: string, commit: string, branch: string): Promise<boolean> {
  // Where that fails, the refusal is what its reader has to know.
  await fetchCommit($, remote, newer, liveRef(branch)).catch(() => {})
  return (await $`git merge-base --is-ancestor ${commit} ${newer}`.nothrow()).ok
}

function noVerdict(cause?: unknown, pushBroke = false) {
  const what = pushBroke
    ? 'The connection broke, and whether the server has the code is not known.'
    : 'The server has the code, and did not say what became of it.'
  return new Failure(exit.unknown, what, {
    why: cause instanceof Failure ? cause.message : 'its hook ended without a verdict',
    fix: 'run deploy again: it finds out, and asks the server again if need be',
    cause,
  })
}

function announce(verdict: Verdict | undefined): number {
  if (verdict === undefined) {
    console.log(
      "PUSHED. The server's hook is not pushlive's and gives no verdict: whether the code is live is not known.",
    )
    return exit.live
  }
  const { commit, live, explanation } = verdict
  if (!live) throw new Failure(exit.failed, `${commit} IS NOT LIVE.`, { why: explanation })
  console.log(`${commit} IS LIVE${explanation && ` (${explanation})`}.`)
  return exit.live
}
