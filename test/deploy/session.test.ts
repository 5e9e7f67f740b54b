import assert from 'node:assert/strict'
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { processes } from '../lib/processes.ts'
import { program } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'
import { type CleansUp, findFreePort, newKeyPair, type Sshd, startSshd } from '../lib/sshd.ts'

const $ = zx({ quiet: true })
const isRoot = userInfo().uid === 0

/** The repository under another host, port or user. */
function urlOf(site: Site, changes: { user?: string; host?: string; port?: number; path?: string }) {
  const { username, hostname, port } = new URL(site.url)
  const place = { user: username, host: hostname, port, path: site.repository, ...changes }
  return `ssh://${place.user}@${place.host}:${place.port}${place.path}`
}

/** A folder for the programs' temporary files. */
function newTemporaryFolder(site: Site): string {
  return mkdtempSync(join(site.folder, 'tmp-'))
}

/** Puts a shell script of this name before the programs on PATH. */
function pathWith(site: Site, name: string, script: string): string {
  const folder = mkdtempSync(join(site.folder, 'bin-'))
  writeFileSync(join(folder, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 })
  return `${folder}:${process.env.PATH}`
}

const connectionsTo = (sshd: Sshd) => sshd.log().split('Accepted publickey').length - 1

describe('A secret that was pasted badly', async () => {
  const { newSite, sshd } = await startServer({ after })
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const manglers: Record<string, (text: string) => string> = {
    'without its last newline': text => text.trimEnd(),
    'with CRLF and a byte order mark': text => `\ufeff${text.replaceAll('\n', '\r\n')}`,
    'with literal \\n, in quotes': text => `"${text.replaceAll('\n', '\\n')}"`,
    'on one line': text => text.replaceAll('\n', ' '),
    'as base64': base64,
  }
  for (const [how, mangle] of Object.entries(manglers)) {
    it(`${how}, still deploys`, async t => {
      const site = await newSite(t)
      const commit = await site.commit()
      const { SSH_DEPLOYMENT_KEY, KNOWN_DEPLOYMENT_HOSTS } = site.deployEnvironment
      assertExit(
        await site.deploy([], {
          SSH_DEPLOYMENT_KEY: mangle(SSH_DEPLOYMENT_KEY),
          KNOWN_DEPLOYMENT_HOSTS: mangle(KNOWN_DEPLOYMENT_HOSTS),
        }),
        0,
      )
      assert.equal(await site.live(), commit)
    })
  }

  it('beyond repair is named together with all that is wrong besides: exit 2, and no word of the key', async t => {
    const site = await newSite(t)
    await site.commit()
    const { privateKey } = await newKeyPair(site.folder, 'ed25519', { passphrase: 'secret' })
    const connections = connectionsTo(sshd)
    const { output } = assertExit(
      await site.deploy([], {
        SSH_DEPLOYMENT_KEY: privateKey,
        KNOWN_DEPLOYMENT_HOSTS: `elsewhere.example.org ${sshd.hostPublicKeys.ed25519}`,
        PROXY_JUMP: '-oProxyCommand=x',
        BRANCH_NAME: '',
      }),
      2,
    )
    assert.match(output, /^4 settings are wrong/)
    assert.match(output, /SSH_DEPLOYMENT_KEY has a passphrase.*To do: /)
    assert.match(output, /KNOWN_DEPLOYMENT_HOSTS has no line for \S+, only for elsewhere\.example\.org.*To do: /)
    assert.match(output, /PROXY_JUMP is not user@host/)
    assert.match(output, /BRANCH_NAME is missing/)
    for (const line of privateKey.split('\n').filter(Boolean)) assert.ok(!output.includes(line))
    assert.equal(connectionsTo(sshd), connections)
  })
})

interface Failing {
  /** Our message. */
  says: RegExp
  /** git's or ssh's own words. */
  words: RegExp
  exitCode?: number
  skip?: string | false
  /** Makes it so; returns what deploy's environment changes. */
  arrange(site: Site, sshd: Sshd, t: CleansUp): Promise<Record<string, string>> | Record<string, string>
}

/** facts/ssh.md, row by row. */
const failures: Record<string, Failing> = {
  'another host key': {
    says: /^The server shows another host key than the known one: it was set up anew, or someone intercepts the connection\. Nothing was sent\.\n[\s\S]*^To do: ask whoever runs the server/m,
    words: /REMOTE HOST IDENTIFICATION HAS CHANGED[\s\S]*Offending ED25519 key/,
    async arrange(_, sshd) {
      const KNOWN_DEPLOYMENT_HOSTS = sshd.knownHosts
      await sshd.changeHostKeys()
      return { KNOWN_DEPLOYMENT_HOSTS }
    },
  },
  'an unknown host': {
    says: /^The server's host key is not known\./m,
    words: /No ED25519 host key is known for|Host key verification failed/,
    arrange: (_, sshd) => ({
      // A line that names the host, and yet is not for the name that ssh looks for.
      KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts.replace(/^/, '@cert-authority '),
    }),
  },
  'a server that dropped the key type that is known': {
    says: /^The server offers a type of host key that KNOWN_DEPLOYMENT_HOSTS does not list/m,
    words: /ED25519 key sent by the remote host[\s\S]*Offending ECDSA key/,
    async arrange(_, sshd) {
      await sshd.restart({ hostKeyTypes: ['ecdsa'] })
      const KNOWN_DEPLOYMENT_HOSTS = sshd.knownHosts
      await sshd.restart({ hostKeyTypes: ['ed25519'] })
      return { KNOWN_DEPLOYMENT_HOSTS }
    },
  },
  'a key that is not authorized': {
    says: /^The server does not accept the key for this user\./m,
    words: /Permission denied \(publickey\)/,
    arrange: async site => ({ SSH_DEPLOYMENT_KEY: (await newKeyPair(site.folder)).privateKey }),
  },
  'a user who does not exist': {
    says: /^The server does not accept the key for this user\./m,
    words: /nobody-of-this-name@127\.0\.0\.1: Permission denied/,
    arrange: site => ({ STAGING_REMOTE_REPO: urlOf(site, { user: 'nobody-of-this-name' }) }),
  },
  'no repository at the path': {
    says: /^There is no repository at this path on the server\./m,
    words: /does not appear to be a git repository/,
    arrange: site => ({ STAGING_REMOTE_REPO: `${site.url}.nowhere` }),
  },
  'nobody listening': {
    says: /^The server refuses connections at this port\./m,
    words: /Connection refused/,
    async arrange(site, sshd) {
      const port = await findFreePort()
      const KNOWN_DEPLOYMENT_HOSTS = sshd.knownHosts.replace(`:${sshd.port}`, `:${port}`)
      return { STAGING_REMOTE_REPO: urlOf(site, { port }), KNOWN_DEPLOYMENT_HOSTS }
    },
  },
  'a host that has no address': {
    says: /^The server's name is not known\./m,
    words: /Could not resolve hostname/,
    arrange: (site, sshd) => ({
      STAGING_REMOTE_REPO: urlOf(site, { host: 'no-such-host.invalid' }),
      KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts.replace('127.0.0.1', 'no-such-host.invalid'),
    }),
  },
  'a server that is silent': {
    says: /^The server does not answer\./m,
    words: /timed out/,
    arrange: (site, sshd, t) => listenInstead(site, sshd, t, () => {}),
  },
  'something else that listens there': {
    says: /^What listens there ended the connection before any login/m,
    words: /kex_exchange_identification/,
    arrange: (site, sshd, t) => listenInstead(site, sshd, t, end => end()),
  },
  'a login shell that prints': {
    says: /^Something on the server prints into the connection before git does[\s\S]*^To do: .*\.bashrc/m,
    words: /bad line length character: Welc/,
    async arrange(_, sshd) {
      await sshd.restart({ config: ['ForceCommand echo Welcome; eval "$SSH_ORIGINAL_COMMAND"'] })
      return {}
    },
  },
  'a login shell that is nologin': {
    says: /^The user on the server may not run programs: its login shell is nologin\./m,
    words: /bad line length character: This|account is (currently )?not available/,
    skip: !isRoot && 'sshd lets nobody else in without being root',
    async arrange(site, sshd, t) {
      // sshd reads it as that user.
      const folder = mkdtempSync('/tmp/daemon-')
      t.after(() => rmSync(folder, { recursive: true }))
      await $`chmod 755 ${folder}; cp ${sshd.authorizedKeys} ${folder}/keys; chmod 644 ${folder}/keys`
      await sshd.restart({ config: [`AuthorizedKeysFile ${folder}/keys`] })
      return { STAGING_REMOTE_REPO: urlOf(site, { user: 'daemon' }) }
    },
  },
  'a server without git': {
    says: /^The server does not find git\./m,
    words: /git-receive-pack.*not found/,
    async arrange(_, sshd) {
      await sshd.restart({ config: ['ForceCommand PATH=/nowhere; $SSH_ORIGINAL_COMMAND'] })
      return {}
    },
  },
  'a machine without ssh': {
    says: /^There is no ssh program here\.[\s\S]*^To do: install it/m,
    words: /spawn ssh ENOENT/,
    async arrange(site) {
      const bin = mkdtempSync(join(site.folder, 'bin-'))
      await $`ln -s $(command -v bash) $(command -v git) ${bin}`
      return { PATH: bin }
    },
  },
  'a key for another repository only': {
    says: /^The server lets this key reach another repository only\./m,
    words: /This key may only push to \/another\.git/,
    async arrange(_, sshd) {
      await sshd.restart({ config: ['ForceCommand echo "This key may only push to /another.git" >&2; exit 126'] })
      return {}
    },
  },
  'a repository of another owner': {
    says: /^The repository on the server belongs to another user\.[\s\S]*^To do: on the server: chown/m,
    words: /detected dubious ownership/,
    skip: !isRoot && 'only root gives files away',
    arrange(site) {
      chownSync(site.repository, 12345, 12345)
      return {}
    },
  },
  'a hook that declines': {
    says: /^A hook on the server declined the push\./m,
    words: /remote: not on a Friday[\s\S]*\[remote rejected\].*pre-receive hook declined/,
    exitCode: 4,
    arrange(site) {
      writeFileSync(join(site.repository, 'hooks/pre-receive'), '#!/bin/sh\necho not on a Friday; exit 1\n', {
        mode: 0o755,
      })
      return {}
    },
  },
  'a branch that the server hides': {
    says: /^The server does not take pushes of this branch\./m,
    words: /deny updating a hidden ref/,
    exitCode: 4,
    async arrange(site) {
      await site.serverGit`git config receive.hideRefs refs/heads`
      return {}
    },
  },
}

/** A program that is no sshd listens at the server's port. */
async function listenInstead(site: Site, sshd: Sshd, t: CleansUp, answer: (end: () => void) => void) {
  const server = createServer(socket => {
    socket.on('error', () => {})
    answer(() => socket.end())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
  })
  const { port } = server.address() as { port: number }
  return {
    STAGING_REMOTE_REPO: urlOf(site, { port }),
    KNOWN_DEPLOYMENT_HOSTS: sshd.knownHosts.replace(`:${sshd.port}`, `:${port}`),
  }
}

describe('deploy says what is wrong, and what to do, with', async () => {
  const { newSite, sshd } = await startServer({ after })
  for (const [what, { says, words, exitCode: expected = 3, skip = false, arrange }] of Object.entries(failures)) {
    it(`${what}: exit ${expected}`, { skip }, async t => {
      const site = await newSite(t)
      await sshd.restart({ config: [] })
      await site.commit()
      const changes = await arrange(site, sshd, t)
      const { output } = assertExit(await site.deploy([], changes), expected)
      assert.match(output, says)
      assert.match(output, words)
      assert.match(output, /^To do: /m)
      assert.equal(await site.ref('refs/heads/main'), undefined)
    })
  }

  it('the same, where the connection cannot be shared', async t => {
    const site = await newSite(t)
    await sshd.restart({ config: [] })
    await site.commit()
    const PATH = pathWith(site, 'ssh', noSharing)
    for (const what of ['another host key', 'a key that is not authorized', 'nobody listening']) {
      const { arrange, says, words } = failures[what] as Failing
      const { output } = assertExit(await site.deploy([], { ...(await arrange(site, sshd, t)), PATH }), 3)
      assert.match(output, says)
      assert.match(output, words)
    }
  })

  it('a clone of another owner: exit 2', { skip: !isRoot && 'only root gives files away' }, async t => {
    const site = await newSite(t)
    await site.commit()
    chownSync(site.clone, 12345, 12345)
    const { output } = assertExit(await site.deploy(), 2)
    assert.match(output, /belongs to another user[\s\S]*To do: .*safe\.directory/)
  })

  it('a user without passwd entry: exit 3', { skip: !isRoot && 'only root becomes another user' }, async t => {
    const site = await newSite(t)
    await site.commit()
    await $`chown -R 12345 ${site.folder}; chmod 755 ${site.folder}`
    // As root, in a clone of somebody else's.
    assertExit(await site.deploy([], { PATH: pathWith(site, 'git', 'exec /usr/bin/git "$@"') }), 2)
    const deploying = zx({
      cwd: site.clone,
      env: { ...site.deployEnvironment, TMPDIR: newTemporaryFolderOf(12345, site) },
      quiet: true,
      nothrow: true,
    })
    const result = assertExit(await deploying`exec setpriv --reuid 12345 --clear-groups ${program('deploy')}`, 3)
    assert.match(
      result.stderr,
      /^ssh does not run for a user who is not in \/etc\/passwd\.\n {4}No user exists for uid/m,
    )
  })
})

function newTemporaryFolderOf(uid: number, site: Site): string {
  const folder = newTemporaryFolder(site)
  chownSync(folder, uid, uid)
  return folder
}

/** An ssh that fails as one does where it cannot make its socket, after it has logged in. */
const noSharing = `
for word; do
  if [ "$word" = -M ]; then echo 'unix_listener: cannot bind to path /x: Operation not supported' >&2; exit 255; fi
done
exec /usr/bin/ssh "$@"`

describe('The private ssh session', async () => {
  const { newSite, sshd } = await startServer({ after })
  const waiting =
    'install-deps:\n\t@touch "$$STEPS.running"; while ! test -e "$$STEPS.go"; do sleep 0.02; done\nupgrade-db:\n'
  const sleeping = 'install-deps:\n\t@touch "$$STEPS.running"; sleep 3\nupgrade-db:\n'

  it('has a folder and files of its owner alone while it lasts, and is gone after success and failure', async t => {
    const site = await newSite(t)
    const TMPDIR = newTemporaryFolder(site)
    await site.commit({ Makefile: sleeping })
    const deploying = site.startDeploy([], { TMPDIR })
    await waitFor('a step runs', () => existsSync(join(site.folder, 'steps.running')))
    const [folder = ''] = readdirSync(TMPDIR).map(name => join(TMPDIR, name))
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    const modes = Object.fromEntries(
      readdirSync(folder).map(name => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
    )
    assert.deepEqual(modes, { config: '600', key: '600', known_hosts: '600', log: '600', owner: '600', ssh: '600' })
    assertExit(await deploying, 0)
    assert.deepEqual(readdirSync(TMPDIR), [])
    assertExit(await site.deploy([], { TMPDIR, STAGING_REMOTE_REPO: `${site.url}.nowhere` }), 3)
    assert.deepEqual(readdirSync(TMPDIR), [])
  })

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`is gone after ${signal}, and so is its connection`, async t => {
      const site = await newSite(t)
      const TMPDIR = newTemporaryFolder(site)
      await site.commit({ Makefile: sleeping })
      const deploying = site.startDeploy([], { TMPDIR })
      await waitFor('a step runs', () => existsSync(join(site.folder, 'steps.running')))
      process.kill(deploying.pid as number, signal)
      assertExit(await deploying, { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal])
      assert.deepEqual(readdirSync(TMPDIR), [])
      await waitFor('ssh ends', () => processes().every(({ command }) => !command.includes(TMPDIR)))
    })

    it(`is gone after ${signal} while it connects`, async t => {
      const site = await newSite(t)
      const TMPDIR = newTemporaryFolder(site)
      await site.commit()
      let connects = false
      const silent = await listenInstead(site, sshd, t, () => {
        connects = true
      })
      const deploying = site.startDeploy([], { TMPDIR, ...silent })
      await waitFor('it connects', () => connects)
      process.kill(deploying.pid as number, signal)
      assertExit(await deploying, { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }[signal])
      assert.deepEqual(readdirSync(TMPDIR), [])
      await waitFor('ssh ends', () => processes().every(({ command }) => !command.includes(TMPDIR)))
    })
  }

  it('that a killed run has left is swept by the next, and that of a living run is not', async t => {
    const site = await newSite(t)
    const TMPDIR = newTemporaryFolder(site)
    await site.commit({ Makefile: waiting })
    const killed = site.startDeploy([], { TMPDIR })
    await waitFor('a step runs', () => existsSync(join(site.folder, 'steps.running')))
    process.kill(killed.pid as number, 'SIGKILL')
    await killed
    const [left = ''] = readdirSync(TMPDIR)
    assert.ok(existsSync(join(TMPDIR, left, 'key')))
    const others = ['pushlive-empty', 'pushlive-public', 'pushlive-elsewhere']
    for (const other of others) mkdirSync(join(TMPDIR, other), { mode: other === 'pushlive-public' ? 0o755 : 0o700 })
    writeFileSync(join(TMPDIR, 'pushlive-public/owner'), readFileSync(join(TMPDIR, left, 'owner')))
    writeFileSync(join(TMPDIR, 'pushlive-elsewhere/owner'), 'another-boot pid:[1] 1 1')

    const living = site.startDeploy([], { TMPDIR })
    await waitFor('the leftover is swept', () => !readdirSync(TMPDIR).includes(left))
    const alive = () => readdirSync(TMPDIR).filter(name => !others.includes(name))
    await waitFor('the living one has its folder', () => alive().length === 1)
    const [folder = ''] = alive()
    assertExit(await site.deploy(['status'], { TMPDIR }), 0)
    assert.ok(existsSync(join(TMPDIR, folder, 'key')))
    writeFileSync(join(site.folder, 'steps.go'), '')
    assertExit(await living, 0)
    assert.deepEqual(readdirSync(TMPDIR).sort(), others.sort())
  })

  it('lies in /tmp where the temporary folder has a name that ssh cannot take', async t => {
    const site = await newSite(t)
    await site.commit()
    for (const name of [`it's a folder`, 'long'.repeat(50)]) {
      const TMPDIR = join(site.folder, name)
      mkdirSync(TMPDIR)
      assertExit(await site.deploy([], { TMPDIR }), 0)
      assert.deepEqual(readdirSync(TMPDIR), [])
    }
  })

  it('cannot be made where there is no temporary folder: exit 2, and nothing is pushed', async t => {
    const site = await newSite(t)
    await site.commit()
    const { output } = assertExit(await site.deploy([], { TMPDIR: '/nowhere' }), 2)
    assert.match(output, /^The temporary folder \/nowhere cannot be used\.\n {4}ENOENT: .*\nTo do: .*TMPDIR/m)
    assert.deepEqual(await site.asks(), [])
  })

  it('cannot be made where the key does not fit on the disk: exit 2, and no part of it is left', async t => {
    const site = await newSite(t)
    await site.commit()
    const TMPDIR = newTemporaryFolder(site)
    const deploying = zx({ cwd: site.clone, env: { ...site.deployEnvironment, TMPDIR }, quiet: true, nothrow: true })
    // A limit on files in place of a small disk, which only root can make.
    const { stderr } = assertExit(await deploying`exec prlimit --fsize=200 ${program('deploy')}`, 2)
    assert.match(stderr, /^The temporary folder .* cannot be used\.\n {4}EFBIG: /m)
    assert.deepEqual(readdirSync(TMPDIR), [])
  })

  const straces = (await $`command -v strace`.nothrow()).ok
  it("opens nothing of the user's: no ~/.ssh, no agent", { skip: !straces && 'strace is not installed' }, async t => {
    const site = await newSite(t)
    await site.commit()
    const trace = join(site.folder, 'trace')
    const agent = join(site.folder, 'agent')
    const env = { ...site.deployEnvironment, SSH_AUTH_SOCK: agent }
    const tracing = zx({ cwd: site.clone, env, quiet: true })
    await tracing`strace -f -qq -e trace=file,connect -s 300 -o ${trace} ${program('deploy')}`
    const opened = readFileSync(trace, 'utf8')
    assert.match(opened, /pushlive-\w+\/known_hosts/)
    const homes = [site.home, userInfo().homedir].map(home => join(home, '.ssh'))
    const forbidden = [...homes, agent, '/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_config']
    for (const path of forbidden) assert.ok(!opened.includes(path), `${path} was looked at`)
  })

  it('does not hand the key on to the processes that it starts', async t => {
    const site = await newSite(t)
    await site.commit()
    const seen = join(site.folder, 'seen')
    const PATH = pathWith(site, 'git', `env >> ${seen}; exec /usr/bin/git "$@"`)
    assertExit(await site.deploy([], { PATH }), 0)
    assert.match(readFileSync(seen, 'utf8'), /GIT_SSH_COMMAND=/)
    assert.doesNotMatch(readFileSync(seen, 'utf8'), /PRIVATE KEY|SSH_DEPLOYMENT_KEY/)
  })

  it('works with HOME elsewhere, or without', async t => {
    const site = await newSite(t)
    await site.commit()
    for (const HOME of ['/nonexistent', undefined]) {
      assertExit(await site.deploy([], { HOME }), 0)
    }
  })
})

describe('One connection', async () => {
  const { newSite, sshd } = await startServer({ after })

  it('serves all git commands of a run', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: 'install-deps:\n\tfalse\n' })
    const connections = async (...args: string[]) => {
      const before = connectionsTo(sshd)
      const { output } = await site.deploy(args)
      return { count: connectionsTo(sshd) - before, output }
    }
    for (const args of [[], ['--again'], ['status'], ['history'], []]) {
      const { count, output } = await connections(...args)
      assert.equal(count, 1, `${args}: ${output}`)
    }
  })

  it('is not needed: where it is impossible each command makes its own', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const PATH = pathWith(site, 'ssh', noSharing)
    for (let time = 1; time <= 2; time++) {
      const { output } = assertExit(await site.deploy([], { PATH }), 0)
      assert.doesNotMatch(output, /unix_listener/)
    }
    assert.equal(await site.live(), commit)
    assert.match((await site.deploy(['status'], { PATH })).output, new RegExp(`^live +${commit}`))
  })

  it('holds nothing open: an ssh whose background process keeps its stderr does not keep deploy waiting', async t => {
    const site = await newSite(t)
    await site.commit()
    // As OpenSSH before 8.5 does.
    const PATH = pathWith(site, 'ssh', 'for word; do [ "$word" = -M ] && sleep 20 & done; exec /usr/bin/ssh "$@"')
    const started = Date.now()
    assertExit(await site.deploy([], { PATH }), 0)
    assert.ok(Date.now() - started < 15_000)
  })

  it('ends with the run', async t => {
    const site = await newSite(t)
    const TMPDIR = newTemporaryFolder(site)
    await site.commit()
    await site.deploy([], { TMPDIR })
    assert.deepEqual(
      processes().filter(({ command }) => command.includes(TMPDIR)),
      [],
    )
  })
})

describe('PROXY_JUMP', async () => {
  const { newSite, sshd, key } = await startServer({ after })
  const gate = await startSshd({ after })
  gate.authorize(key.publicKey)
  const PROXY_JUMP = `${gate.user}@${gate.host}:${gate.port}`
  const KNOWN_DEPLOYMENT_HOSTS = gate.knownHosts + sshd.knownHosts

  it('is the way to the server', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const before = connectionsTo(gate)
    for (let time = 1; time <= 2; time++) {
      assertExit(await site.deploy([], { PROXY_JUMP, KNOWN_DEPLOYMENT_HOSTS }), 0)
    }
    assert.equal(await site.live(), commit)
    assert.equal(connectionsTo(gate) - before, 2)
  })

  it('has to be known as well: exit 2 where its host key is missing', async t => {
    const site = await newSite(t)
    await site.commit()
    const { output } = assertExit(await site.deploy([], { PROXY_JUMP }), 2)
    assert.match(output, new RegExp(`KNOWN_DEPLOYMENT_HOSTS has no line for \\[127\\.0\\.0\\.1\\]:${gate.port}`))
  })

  it('with another host key is not passed: exit 3', async t => {
    const site = await newSite(t)
    await site.commit()
    const stranger = sshd.knownHosts.replace(`:${sshd.port}`, `:${gate.port}`) + sshd.knownHosts
    const before = connectionsTo(gate)
    const { output } = assertExit(await site.deploy([], { PROXY_JUMP, KNOWN_DEPLOYMENT_HOSTS: stranger }), 3)
    assert.match(output, /another host key than the known one[\s\S]*REMOTE HOST IDENTIFICATION HAS CHANGED/)
    assert.equal(connectionsTo(gate), before)
  })

  it('that does not forward is named: exit 3', async t => {
    const closed = await startSshd(t, { config: ['AllowTcpForwarding no'] })
    closed.authorize(key.publicKey)
    const site = await newSite(t)
    await site.commit()
    const { output } = assertExit(
      await site.deploy([], {
        PROXY_JUMP: `${closed.user}@${closed.host}:${closed.port}`,
        KNOWN_DEPLOYMENT_HOSTS: closed.knownHosts + sshd.knownHosts,
      }),
      3,
    )
    assert.match(output, /The host in PROXY_JUMP does not pass connections on/)
  })
})
