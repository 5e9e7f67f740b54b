import { exit, Failure } from './program.ts'

/**
 * git and ssh tell why they failed in words alone (exit codes 128 and 255 stand for everything), so this is one of the
 * two places that read messages for people. They are in English, because git runs with LC_ALL=C. The first pattern
 * that is found decides; what came from the server's programs is not looked at.
 */
const causes: readonly (readonly [pattern: RegExp, exitCode: number, what: string, fix: string])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    exit.unreachable,
    'The server shows another host key than the one that is known: it was set up anew, or somebody is in between.',
    'ask whoever runs the server for its fingerprint; only if it is right, run setup-ssh and store the new KNOWN_DEPLOYMENT_HOSTS',
  ],
  [
    /No \S+ host key is known for|Host key verification failed/,
    exit.unreachable,
    "The server's host key is not known.",
    'run setup-ssh, which shows its fingerprint, and store KNOWN_DEPLOYMENT_HOSTS',
  ],
  [
    /Permission denied \(/,
    exit.unreachable,
    'The server does not accept the key for this user.',
    'put the public key into ~/.ssh/authorized_keys of the user in STAGING_REMOTE_REPO; setup-ssh prints the line',
  ],
  [
    /Connection refused/,
    exit.unreachable,
    'The server refuses connections at this port.',
    'check host and port in STAGING_REMOTE_REPO',
  ],
  [
    /Could not resolve hostname/,
    exit.unreachable,
    "The server's name is not known.",
    'check the host in STAGING_REMOTE_REPO',
  ],
  [
    /Connection timed out|Operation timed out|banner exchange|No route to host|Network is unreachable/,
    exit.unreachable,
    'The server does not answer.',
    'check host and port in STAGING_REMOTE_REPO, and firewalls in between',
  ],
  [
    /does not appear to be a git repository|No such file or directory/,
    exit.unreachable,
    'There is no repository at this path on the server.',
    'check the path in STAGING_REMOTE_REPO, or run `make install-hook`, which creates it',
  ],
  [
    /detected dubious ownership/,
    exit.unreachable,
    'The repository on the server belongs to another user.',
    'on the server: chown it to the login user, or git config --global --add safe.directory PATH',
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
  [/\[remote rejected\]/, exit.refused, 'The server declined the push.', 'the reason stands beside "remote rejected"'],
]

/**
 * @param output what `git push --porcelain` printed, without the lines of the server's programs
 * @returns the cause; `unknown` where the words tell none, such as when the link broke or git was killed
 */
export function explainPushFailure(output: string): Failure {
  for (const [pattern, exitCode, what, fix] of causes) {
    if (pattern.test(output)) return new Failure(exitCode, what, { fix })
  }
  return new Failure(exit.unknown, 'The connection to the server ended early.', {
    why: output,
    fix: 'run deploy again: it finds out',
  })
}
