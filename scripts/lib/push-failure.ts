import { exit, Failure } from './program.ts'

const noFirewall = 'check host and port in STAGING_REMOTE_REPO, and firewalls in between'

/**
 * git and ssh tell why they failed in words alone (exit codes 128 and 255 stand for everything), so this is one of the
 * two places that read messages for people. They are in English, because git runs with LC_ALL=C. The first pattern
 * that is found decides; what came from the server's programs is not looked at.
 */
const causes: readonly (readonly [pattern: RegExp, exitCode: number, what: string, fix: string])[] = [
  [
    // ssh shouts here that somebody is in between, because it compares keys of two types.
    /fingerprint for the (\S+) key sent by the remote host[\s\S]*?Offending (?!\1 )\S+ key in/,
    exit.unreachable,
    'KNOWN_DEPLOYMENT_HOSTS lacks the type of host key that the server shows: it has dropped the known one, or somebody is in between. Nothing was sent, and deploy does not log in there.',
    'run setup-ssh, which scans all types; store the new KNOWN_DEPLOYMENT_HOSTS only if whoever runs the server confirms the fingerprints',
  ],
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    exit.unreachable,
    'The server shows another host key than the one that is known: it was set up anew, or somebody is in between. Nothing was sent, and deploy does not log in there.',
    'ask whoever runs the server for its fingerprint; only if it is the one that ssh names, run setup-ssh and store the new KNOWN_DEPLOYMENT_HOSTS',
  ],
  [
    /REVOKED HOST KEY/,
    exit.unreachable,
    'The server shows a host key that KNOWN_DEPLOYMENT_HOSTS marks as revoked. Nothing was sent, and deploy does not log in there.',
    'ask whoever runs the server',
  ],
  [
    /No \S+ host key is known for|Host key verification failed/,
    exit.unreachable,
    "The server's host key is not known. Nothing was sent, and deploy does not log in there.",
    'run setup-ssh, which shows its fingerprint, and store KNOWN_DEPLOYMENT_HOSTS',
  ],
  [
    /Load key ".*": /,
    exit.unreachable,
    'ssh cannot read its private key.',
    'its permissions are to be 600, and a passphrase needs an agent',
  ],
  [
    /Too many authentication failures/,
    exit.unreachable,
    'The agent offered so many keys that the server gave up before the right one.',
    'set SSH_DEPLOYMENT_KEY, or IdentitiesOnly and IdentityFile in ~/.ssh/config',
  ],
  [
    /Permission denied \(/,
    exit.unreachable,
    'The server does not accept the key for this user.',
    'check the user in STAGING_REMOTE_REPO, and put the public key into its ~/.ssh/authorized_keys, which nobody else may be able to write; setup-ssh prints the line',
  ],
  [
    /No user exists for uid/,
    exit.unreachable,
    'ssh does not run for a user who is not in /etc/passwd.',
    'run deploy as a user who is; in a container: echo "ci:x:$(id -u):$(id -g)::/tmp:/bin/sh" >> /etc/passwd, as root',
  ],
  [
    /exec: ssh: not found|cannot run ssh:/,
    exit.unreachable,
    'There is no ssh program here.',
    'install it (Debian: apt-get install openssh-client)',
  ],
  [/Connection refused/, exit.unreachable, 'The server refuses connections at this port.', noFirewall],
  [
    /Could not resolve hostname/,
    exit.unreachable,
    "The server's name is not known.",
    'check the host in STAGING_REMOTE_REPO',
  ],
  [
    /connect to host .*: |Connection to .* timed out$|banner exchange/m,
    exit.unreachable,
    'The server does not answer.',
    noFirewall,
  ],
  [
    /administratively prohibited/,
    exit.unreachable,
    'The host in PROXY_JUMP does not pass connections on.',
    'allow forwarding there: AllowTcpForwarding in sshd_config, permitopen in authorized_keys',
  ],
  [
    /kex_exchange_identification|ssh_exchange_identification/,
    exit.unreachable,
    'What listens there ended the connection before any login: it is no ssh server, or it is overloaded, or it blocks this address.',
    noFirewall,
  ],
  [
    /This key may only push to/,
    exit.unreachable,
    'The server lets this key reach another repository only.',
    'compare the path in STAGING_REMOTE_REPO with the one that the server names, letter by letter',
  ],
  [
    /bad line length character: This|account is (currently )?not available/,
    exit.unreachable,
    'The user on the server may not run programs: its login shell is nologin.',
    'on the server: chsh -s /bin/sh, or git-shell, for the user in STAGING_REMOTE_REPO',
  ],
  [
    /bad line length character/,
    exit.unreachable,
    "Something on the server prints into the connection before git does: most likely the login shell's .bashrc.",
    'let it print for terminals only: put `[[ $- == *i* ]] || return` first in ~/.bashrc on the server',
  ],
  [
    /git-(receive|upload)-pack:.*not found|unrecognized command/,
    exit.unreachable,
    'The server does not find git.',
    'install git there',
  ],
  [
    /does not appear to be a git repository/,
    exit.unreachable,
    'There is no repository at this path on the server.',
    'check the path in STAGING_REMOTE_REPO, or run `make install-hook`, which creates it',
  ],
  [
    /detected dubious ownership/,
    exit.unreachable,
    'The repository on the server belongs to another user.',
    'on the server: chown -R it to the login user, or git config --global --add safe.directory PATH',
  ],
  [
    /shallow update not allowed/,
    exit.refused,
    'This is a shallow clone, and the server lacks the history before it.',
    'git fetch --unshallow origin (GitHub: fetch-depth: 0 in actions/checkout)',
  ],
  [
    /\[rejected\].*\((non-fast-forward|fetch first|needs force)\)/,
    exit.refused,
    'The branch on the server has commits that this one lacks: not a fast-forward.',
    'fetch, then merge or rebase, and deploy again (in a shallow clone: git fetch --unshallow origin first); to go back to an older commit: deploy rollback',
  ],
  [
    /\[remote rejected\].*\(.*hook declined\)/,
    exit.refused,
    'A hook on the server declined the push.',
    'what it said stands above',
  ],
  [
    /\[remote rejected\].*\(deny updating a hidden ref\)/,
    exit.refused,
    'The server does not take pushes of this branch.',
    'check BRANCH_NAME, here and in .env on the server; make install-hook lets the branch of that file through',
  ],
  [/\[remote rejected\]/, exit.refused, 'The server declined the push.', 'the reason stands behind "remote rejected"'],
]

/**
 * @param output what `git push --porcelain` printed, without the lines of the server's programs
 * @returns the cause; `unknown` where the words tell none, such as when the link broke or git was killed
 */
export function explainPushFailure(output: string): Failure {
  return (
    findCause(output, rejections(output)) ??
    new Failure(exit.unknown, 'The connection to the server ended early.', {
      why: output,
      fix: 'run deploy again: it finds out',
    })
  )
}

/** @param words what an ssh printed that did not get as far as to run anything on the server */
export function explainConnectionFailure(words: string): Failure {
  return (
    findCause(words, words) ??
    new Failure(exit.unreachable, 'There is no connection to the server.', { why: words, fix: noFirewall })
  )
}

/** What `--porcelain` says of each ref that was not taken: it goes to standard output, which nobody sees. */
function rejections(output: string): string {
  return (output.match(/^!\t.*/gm) ?? []).map(line => line.replace(/^!\t\S*:(\S+)\t/, '$1 ')).join('\n')
}

function findCause(output: string, why = ''): Failure | undefined {
  for (const [pattern, exitCode, what, fix] of causes) {
    if (pattern.test(output)) return new Failure(exitCode, what, { why, fix })
  }
  return undefined
}
