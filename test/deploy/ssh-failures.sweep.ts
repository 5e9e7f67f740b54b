import assert from 'node:assert/strict'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { program } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'
import {
  cannotMount,
  deployWithoutSharing,
  listenInstead,
  newTemporaryFolder,
  pathWith,
  urlOf,
} from '../lib/ssh-session.ts'
import { type CleansUp, newKeyPair, type Sshd } from '../lib/sshd.ts'

const $ = zx({ quiet: true })
const isRoot = userInfo().uid === 0

interface Failing {
  /** Our message. */
  says: RegExp
  /** git's or ssh's own words. */
  words: RegExp
  exitCode?: number
  skip?: string | false
  /** Causes the failure. @returns the changes of deploy's environment */
  arrange(site: Site, sshd: Sshd, t: CleansUp): Promise<Record<string, string>> | Record<string, string>
}

/**
 * How a push fails, with what OpenSSH 9.2 and git 2.39 print then. git exits with 128 for all but the last two, so only
 * these words tell the reasons apart.
 */
const failures: Record<string, Failing> = {
  'another host key': {
    says: /^The server shows another host key than the known one: it was set up again, or someone intercepts the connection\. Nothing was sent\.\n[\s\S]*^To do: ask the administrator of the server/m,
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
      // A line that names the host, but not as the name that ssh looks for.
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
  'a port where no server listens': {
    says: /^The server refuses connections at this port\./m,
    words: /Connection refused/,
    async arrange(site, sshd) {
      const port = await holdPort()
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
    skip: !isRoot && 'without being root sshd lets only its own user in',
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

describe('deploy says what is wrong and what to do for', async () => {
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
      // Nobody can edit a file that is gone by now.
      assert.doesNotMatch(output, /pushlive-\w{6}\/|remove with/)
      assert.equal(await site.ref('refs/heads/main'), undefined)
    })
  }

  it('each of these where the connection cannot be shared', { skip: cannotMount }, async t => {
    const site = await newSite(t)
    await sshd.restart({ config: [] })
    await site.commit()
    for (const what of ['another host key', 'a key that is not authorized', 'a port where no server listens']) {
      const { arrange, says, words } = failures[what] as Failing
      const { output } = assertExit(await deployWithoutSharing(site, [], await arrange(site, sshd, t)), 3)
      assert.match(output, says)
      assert.match(output, words)
    }
  })

  it('a user without passwd entry: exit 3', { skip: !isRoot && 'only root becomes another user' }, async t => {
    const site = await newSite(t)
    await site.commit()
    await $`chown -R 12345 ${site.folder}; chmod 755 ${site.folder}`
    // Root is in a clone of another user.
    assertExit(await site.deploy([], { PATH: pathWith(site, { git: 'exec /usr/bin/git "$@"' }) }), 2)
    const deploying = zx({
      cwd: site.clone,
      env: { ...site.deployEnvironment, HOME: undefined, TMPDIR: newTemporaryFolderOf(12345, site) },
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
