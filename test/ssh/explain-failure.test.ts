import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  explainBrokenPush,
  explainConnectionFailure,
  explainFailure,
  explainRejection,
  findForeignClone,
  isLostRace,
  isMissingRepository,
  isNotForward,
} from '../../scripts/lib/ssh/explain-failure.ts'

const notRead =
  'fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n'
const changed = (offered: string, known: string) => `\
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
The fingerprint for the ${offered} key sent by the remote host is
SHA256:abc.
Offending ${known} key in KNOWN_DEPLOYMENT_HOSTS:1
Host key for 127.0.0.1 has changed and you have requested strict checking.
Host key verification failed.
`

/** As OpenSSH 8.4 to 9.2 and git 2.30 to 2.47 say it. */
const failures: readonly (readonly [messages: string, exitCode: number, what: RegExp])[] = [
  [changed('ED25519', 'ECDSA') + notRead, 3, /^The server offers a type of host key/],
  [changed('ED25519', 'ED25519') + notRead, 3, /^The server shows another host key/],
  [
    '@       WARNING: REVOKED HOST KEY DETECTED!               @\nHost key verification failed.\n',
    3,
    /marks as revoked/,
  ],
  ['No ED25519 host key is known for x and you have requested strict checking.\n', 3, /host key is not known/],
  [`Host key verification failed.\n${notRead}`, 3, /host key is not known/],
  [
    'Load key "SSH_DEPLOYMENT_KEY": error in libcrypto\nx@x: Permission denied (publickey).\n',
    3,
    /cannot read its private key/,
  ],
  ['Received disconnect from 127.0.0.1 port 22:2: Too many authentication failures\n', 3, /^The agent offered/],
  [`x@x: Permission denied (publickey,password).\n${notRead}`, 3, /does not accept the key/],
  ['No user exists for uid 1000\n', 3, /not in \/etc\/passwd/],
  ['spawn ssh ENOENT', 3, /^There is no ssh program/],
  ['error: cannot run ssh: No such file or directory\nfatal: unable to fork\n', 3, /^There is no ssh program/],
  [`ssh: connect to host x port 22: Connection refused\n${notRead}`, 3, /refuses connections at this port/],
  ['ssh: Could not resolve hostname x: Name or service not known\n', 3, /name is not known/],
  ['ssh: connect to host x port 22: No route to host\n', 3, /^The server does not answer/],
  ['Connection to x port 22 timed out\n', 3, /^The server does not answer/],
  ['Connection timed out during banner exchange\n', 3, /^The server does not answer/],
  ['channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed\n', 3, /PROXY_JUMP/],
  ['kex_exchange_identification: Connection closed by remote host\n', 3, /^What listens there/],
  ['ssh_exchange_identification: read: Connection reset by peer\n', 3, /^What listens there/],
  [`pushlive: This key may only push to /srv/x.git\n${notRead}`, 3, /another repository only/],
  ['fatal: protocol error: bad line length character: This\n', 3, /nologin/],
  ['This account is currently not available.\n', 3, /nologin/],
  ['This account is not available\n', 3, /nologin/],
  ['fatal: protocol error: bad line length character: Welc\n', 3, /prints into the connection/],
  ['bash: line 1: git-receive-pack: command not found\n', 3, /does not find git/],
  ['zsh:1: command not found: x\nsh: git-upload-pack: not found\n', 3, /does not find git/],
  [`fatal: '/srv/x.git' does not appear to be a git repository\n${notRead}`, 3, /no repository at this path/],
  [`fatal: detected dubious ownership in repository at '/srv/x.git'\n${notRead}`, 3, /belongs to another user/],
  ["fatal: unsafe repository ('/srv/x.git' is owned by someone else)\n", 3, /belongs to another user/],
  ["fatal: the receiving end does not support this repository's hash algorithm\n", 2, /different hash algorithms/],
  ['fatal: mismatched algorithms: client sha1; server sha256\n', 2, /different hash algorithms/],
  [
    'error: insufficient permission for adding an object to repository database .git/objects\n',
    2,
    /cannot write into this clone/,
  ],
  ['error: unable to create temporary file: No space left on device\n', 2, /cannot write into this clone/],
  ['fatal: failed to write object\n', 2, /cannot write into this clone/],
  ['fatal: The remote end hung up upon initial contact\n', 3, /before git was through with its greeting/],
  [notRead, 3, /before git was through with its greeting/],
  [
    'fatal: bad config line 1 in file .git/config\n',
    2,
    /^git does not work with the server from this clone\. Nothing was sent\.$/,
  ],
  ['warning: x\nerror: object file is empty\n', 2, /^git does not work/],
  ['client_loop: send disconnect: Broken pipe\nfatal: the remote end hung up unexpectedly\n', 5, /ended early/],
  ['error: RPC failed; connection reset\n', 5, /ended early/],
  ['fatal: early EOF\n', 5, /ended early/],
  ['fatal: unpack error\n', 5, /ended early/],
  ['anything else\n', 5, /ended early/],
  ['Connection to x timed out on the way\n', 5, /ended early/],
  ['remote: fatal: Could not read from remote repository.\n', 5, /ended early/],
  ['a line with an error: in its middle\n', 5, /ended early/],
  ['', 5, /ended early/],
]

describe('A failed command of git', () => {
  for (const [messages, exitCode, what] of failures) {
    it(`that says ${JSON.stringify(messages.slice(0, 70))} ends with ${exitCode}`, () => {
      const failure = explainFailure(messages)
      assert.match(failure.message, what)
      assert.equal(failure.exitCode, exitCode)
      assert.equal(failure.why, messages.trimEnd())
      assert.ok(failure.fix.length > 10)
    })
  }

  for (const words of [
    'remote',
    'hung up',
    'connection',
    'disconnect',
    'protocol',
    'packet',
    'sideband',
    'pipe',
  ].concat([...['unpack', 'EOF', 'read error', 'write error', 'time', 'closed', 'reset']])) {
    it(`of which git says "${words}" may have got further`, () => {
      assert.equal(explainFailure(`fatal: the ${words} was strange\n`).exitCode, 5)
    })
  }

  it('whose messages were shown already does not show them again', () => {
    const { exitCode, message, why, fix } = explainBrokenPush('x@x: Permission denied (publickey).\n')
    assert.deepEqual([exitCode, why], [3, ''])
    assert.match(message, /does not accept the key/)
    assert.match(fix, /authorized_keys/)
  })

  it('that came before anything was sent is not unknown', () => {
    assert.equal(explainConnectionFailure('x@x: Permission denied (publickey).').exitCode, 3)
    const { exitCode, message, why, fix } = explainConnectionFailure('anything else')
    assert.deepEqual([exitCode, message, why], [3, 'There is no connection to the server.', 'anything else'])
    assert.match(fix, /host and port/)
  })

  it('tells a missing repository and a foreign clone by themselves', () => {
    assert.ok(isMissingRepository("fatal: 'x' does not appear to be a git repository"))
    assert.ok(!isMissingRepository('fatal: no'))
    assert.equal(findForeignClone("fatal: detected dubious ownership in repository at '/a b'\nTo add '/c'"), '/a b')
    assert.equal(findForeignClone("fatal: unsafe repository ('/a' is owned by someone else)"), '/a')
    assert.equal(findForeignClone('fatal: no'), undefined)
  })
})

describe('A ref that was not taken', () => {
  for (const [summary, what] of [
    ['[remote rejected] (shallow update not allowed)', /^This is a shallow clone/],
    ['[rejected] (non-fast-forward)', /not a fast-forward/],
    ['[rejected] (fetch first)', /not a fast-forward/],
    ['[rejected] (needs force)', /not a fast-forward/],
    ['[remote rejected] (pre-receive hook declined)', /^A hook on the server declined/],
    ['[remote rejected] (hook declined)', /^A hook on the server declined/],
    ['[remote rejected] (deny updating a hidden ref)', /does not take pushes of this branch/],
    ['[remote rejected] (missing necessary objects)', /is damaged/],
    ['[remote rejected] (unpacker error)', /did not get all objects/],
    ['[remote rejected] (something new)', /^The server declined the push\.$/],
  ] as const) {
    it(`with ${summary} ends with 4`, () => {
      const failure = explainRejection(summary, 'abc is live')
      assert.match(failure.message, what)
      assert.equal(failure.exitCode, 4)
      assert.equal(failure.why, `${summary}\nabc is live`)
      assert.ok(failure.fix.length > 10)
      assert.equal(explainRejection(summary).why, summary)
    })
  }

  it('because the branch does not contain what is there is told', () => {
    for (const reason of ['non-fast-forward', 'fetch first', 'needs force'])
      assert.ok(isNotForward(`[rejected] (${reason})`))
    assert.ok(!isNotForward('[remote rejected] (hook declined)'))
  })

  for (const reason of [
    ...['failed to update ref', "cannot lock ref 'refs/heads/main': is at 1 but expected 2", 'failed to lock'],
    ...['incorrect old value provided', 'reference already exists', 'atomic transaction failed'],
  ]) {
    it(`because ${reason} may have lost a race`, () => assert.ok(isLostRace(`[remote rejected] (${reason})`)))
  }
  it('for another reason has lost none', () => {
    for (const reason of ['hook declined', 'non-fast-forward', 'failed to update ref of mine'])
      assert.ok(!isLostRace(`[remote rejected] (${reason})`))
  })
})
