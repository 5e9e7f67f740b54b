import { exitCode, Failure } from '../shared/program.ts'

const noFirewall = 'check host and port in STAGING_REMOTE_REPO, and firewalls in between'

/** In the words of git 2.30 to 2.36, and since. */
const foreignRepository = /(?:detected dubious ownership in repository at |unsafe repository \()'(.*?)'/

type Cause = readonly [pattern: RegExp, exitCode: number, what: string, fix: string]

/**
 * git and ssh say only in messages why they failed (their exit codes 128 and 255 mean anything), so this file is the
 * place that reads messages for people. They are in English, because git runs with LC_ALL=C. The first pattern that is
 * found decides. The lines of the hook are not looked at. An attacker on the network can send such messages, and so
 * choose among these failures; none is a success.
 */
const causes: readonly Cause[] = [
  [
    // ssh warns of an attacker here, because it compares keys of two types.
    /fingerprint for the (\S+) key sent by the remote host[\s\S]*?Offending (?!\1 )\S+ key in/,
    exitCode.unreachable,
    'The server offers a type of host key that KNOWN_DEPLOYMENT_HOSTS does not list: its keys have changed, or someone intercepts the connection. Nothing was sent.',
    'run setup-ssh, which scans all types; store the new KNOWN_DEPLOYMENT_HOSTS only if the administrator of the server confirms the fingerprints',
  ],
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    exitCode.unreachable,
    'The server shows another host key than the known one: it was set up again, or someone intercepts the connection. Nothing was sent.',
    'ask the administrator of the server for its fingerprint; only if it is the one that ssh names, run setup-ssh and store the new KNOWN_DEPLOYMENT_HOSTS',
  ],
  [
    /REVOKED HOST KEY/,
    exitCode.unreachable,
    'The server shows a host key that KNOWN_DEPLOYMENT_HOSTS marks as revoked. Nothing was sent.',
    'ask the administrator of the server',
  ],
  [
    /No \S+ host key is known for|Host key verification failed/,
    exitCode.unreachable,
    "The server's host key is not known. Nothing was sent.",
    'run setup-ssh, which shows its fingerprint, and store KNOWN_DEPLOYMENT_HOSTS; in a CI, see that this job gets it',
  ],
  [
    /Load key ".*": /,
    exitCode.unreachable,
    'ssh cannot read its private key.',
    'its permissions are to be 600, and a passphrase needs an agent',
  ],
  [
    /Too many authentication failures/,
    exitCode.unreachable,
    'The agent offered so many keys that the server gave up before the right one.',
    'set SSH_DEPLOYMENT_KEY, or IdentitiesOnly and IdentityFile in ~/.ssh/config',
  ],
  [
    /Permission denied \(/,
    exitCode.unreachable,
    'The server does not accept the key for this user.',
    'check the user in STAGING_REMOTE_REPO, and put the public key into its ~/.ssh/authorized_keys, which no other user may be able to write; setup-ssh prints the line; in a CI, see that this job gets the secret SSH_DEPLOYMENT_KEY',
  ],
  [
    /No user exists for uid/,
    exitCode.unreachable,
    'ssh does not run for a user who is not in /etc/passwd.',
    'run deploy as a user who is; in a container: echo "ci:x:$(id -u):$(id -g)::/tmp:/bin/sh" >> /etc/passwd, as root',
  ],
  [
    /spawn ssh ENOENT|cannot run ssh:/,
    exitCode.unreachable,
    'There is no ssh program here.',
    'install it (Debian: apt-get install openssh-client)',
  ],
  [/Connection refused/, exitCode.unreachable, 'The server refuses connections at this port.', noFirewall],
  [
    /Could not resolve hostname/,
    exitCode.unreachable,
    "The server's name is not known.",
    'check the host in STAGING_REMOTE_REPO',
  ],
  [
    /connect to host .*: |Connection to .* timed out$|banner exchange/m,
    exitCode.unreachable,
    'The server does not answer.',
    noFirewall,
  ],
  [
    /administratively prohibited/,
    exitCode.unreachable,
    'The host in PROXY_JUMP does not pass connections on.',
    'allow forwarding there: AllowTcpForwarding in sshd_config, permitopen in authorized_keys',
  ],
  [
    /kex_exchange_identification|ssh_exchange_identification/,
    exitCode.unreachable,
    'What listens there ended the connection before any login: it is no ssh server, or it is overloaded, or it blocks this address.',
    noFirewall,
  ],
  [
    /This key may only push to/,
    exitCode.unreachable,
    'The server lets this key reach another repository only.',
    'compare the path in STAGING_REMOTE_REPO with the one that the server names, letter by letter',
  ],
  [
    /bad line length character: This|account is (currently )?not available/,
    exitCode.unreachable,
    'The user on the server may not run programs: its login shell is nologin.',
    'on the server: chsh -s /bin/sh for the user in STAGING_REMOTE_REPO',
  ],
  [
    /bad line length character/,
    exitCode.unreachable,
    "Something on the server prints into the connection before git does: most likely the login shell's .bashrc.",
    'let it print for terminals only: put `[[ $- == *i* ]] || return` first in ~/.bashrc on the server',
  ],
  [
    /git-(receive|upload)-pack:.*not found|unrecognized command/,
    exitCode.unreachable,
    'The server does not find git.',
    'install git there',
  ],
  [
    /does not appear to be a git repository/,
    exitCode.unreachable,
    'There is no repository at this path on the server.',
    'check the path in STAGING_REMOTE_REPO, or create it: setup-ssh --hook SERVER_ENV',
  ],
  [
    foreignRepository,
    exitCode.unreachable,
    'The repository on the server belongs to another user.',
    'on the server: chown -R it to the login user, or git config --global --add safe.directory PATH',
  ],
  [
    // The last is what git says of an empty repository.
    /does not support this repository's (hash algorithm|object format)|mismatched algorithms|unexpected capabilities\^\{\}/,
    exitCode.usage,
    'This clone and the repository on the server use different hash algorithms, SHA-1 and SHA-256, between which git cannot push. Nothing was sent.',
    'create the repository on the server again, with the algorithm that `git rev-parse --show-object-format` names here: git init --bare --object-format=..., then post-receive install',
  ],
  [
    /insufficient permission for adding an object|unable to create temporary file|failed to write object/,
    exitCode.usage,
    'git cannot write into this clone.',
    'make room there, and let all of its .git belong to the user who runs deploy',
  ],
]

const notForward = /\((non-fast-forward|fetch first|needs force)\)/
export const isNotForward = (summary: string) => notForward.test(summary)

/** Why a ref was not taken, by git's summary of it. */
const rejections: readonly Cause[] = [
  [
    /\(shallow update not allowed\)/,
    exitCode.refused,
    'This is a shallow clone, and the server lacks the history before it.',
    'git fetch --unshallow origin (GitHub: fetch-depth: 0 in actions/checkout)',
  ],
  [
    notForward,
    exitCode.refused,
    'The branch on the server has commits that this one lacks: not a fast-forward.',
    'fetch, then merge or rebase, and deploy again (in a shallow clone: git fetch --unshallow origin first); to go back to an older commit: deploy rollback',
  ],
  [
    /\(.*hook declined\)/,
    exitCode.refused,
    'A hook on the server declined the push.',
    'the reason is among the lines above that begin with "remote:"',
  ],
  [
    /\(deny updating a hidden ref\)/,
    exitCode.refused,
    'The server does not take pushes of this branch.',
    'check BRANCH_NAME, here and in .env on the server; setup-ssh --hook SERVER_ENV lets the branch of that file through',
  ],
  [
    /\(missing necessary objects\)/,
    exitCode.refused,
    'The repository on the server is damaged, as by a power cut: a ref or an object of it is empty or lost.',
    'on the server: post-receive install REPOSITORY, which mends it; then run deploy again',
  ],
  [
    /\(unpacker error\)/,
    exitCode.refused,
    'The server did not get all objects.',
    'git says above what it was: no space there, or objects that this clone lacks (git fsck)',
  ],
]

/**
 * @param messages what git and ssh printed, without the lines of the server's programs
 * @returns the cause, where they failed to reach the server or git failed here; `unknown` where it may have got further
 */
export function explainFailure(messages: string): Failure {
  return (
    findCause(causes, messages, messages) ??
    (/hung up upon initial contact|^fatal: Could not read from remote repository/m.test(messages)
      ? new Failure(exitCode.unreachable, 'The server ended the connection before git was through with its greeting.', {
          why: messages,
          fix: 'run deploy again; deploy check goes through all that a deployment needs',
        })
      : undefined) ??
    (isLocal(messages)
      ? new Failure(exitCode.usage, 'git does not work with the server from this clone. Nothing was sent.', {
          why: messages,
          fix: "mend what git names; `git config --list --show-origin` shows where each of this clone's settings comes from",
        })
      : undefined) ??
    new Failure(exitCode.unknown, 'The connection to the server ended early.', {
      why: messages,
      fix: 'run deploy again: it finds out',
    })
  )
}

/** The same, for a push whose messages were shown already. */
export function explainBrokenPush(messages: string): Failure {
  const { exitCode, message, fix } = explainFailure(messages)
  return new Failure(exitCode, message, { fix })
}

/**
 * @param summary what `git push --porcelain` says of the ref; deploy does not show that
 * @param serves what the hook said is live
 */
export function explainRejection(summary: string, serves = ''): Failure {
  const why = `${summary}\n${serves}`
  return (
    findCause(rejections, summary, why) ??
    new Failure(exitCode.refused, 'The server declined the push.', {
      why,
      fix: 'see what git says here and above in lines that begin with "remote:"',
    })
  )
}

/**
 * Whether a ref was not taken because another push changed it at the same moment. By the word of git 2.20 to 2.51,
 * which may also mean a folder that cannot be written.
 */
export const isLostRace = (summary: string) =>
  /\((failed to update ref|cannot lock ref.*|failed to lock|incorrect old value provided|reference already exists|atomic transaction failed)\)/.test(
    summary,
  )

/** @param messages what an ssh printed that ran nothing on the server */
export function explainConnectionFailure(messages: string): Failure {
  return (
    findCause(causes, messages, messages) ??
    new Failure(exitCode.unreachable, 'There is no connection to the server.', { why: messages, fix: noFirewall })
  )
}

/** Whether messages say that there is no repository. An attacker on the network can send them, too. */
export const isMissingRepository = (messages: string) => /does not appear to be a git repository/.test(messages)

/** The clone, if git does not work in it because another user owns it. */
export const findForeignClone = (messages: string) => foreignRepository.exec(messages)?.[1]

/** Whether git gave up by itself: for a reason in which neither the server nor the way to it is named. */
function isLocal(messages: string): boolean {
  const isOfTheWay =
    /remote|hung up|connection|disconnect|protocol|packet|sideband|pipe|unpack|EOF|(read|write) error|time|closed|reset/i
  return /^(fatal|error): /m.test(messages) && !isOfTheWay.test(messages)
}

function findCause(table: readonly Cause[], messages: string, why: string): Failure | undefined {
  for (const [pattern, exitCode, what, fix] of table) {
    if (pattern.test(messages)) return new Failure(exitCode, what, { why, fix })
  }
  return undefined
}
