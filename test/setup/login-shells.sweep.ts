import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { type ProcessOutput, $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { startSite } from '../lib/setup-site.ts'
import { canHaveOwnFiles } from '../lib/sshd.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

const mayNotSet = (await canHaveOwnFiles()) ? '' : 'needs root, to give a server another login shell'

/** A server whose user has this login shell. @returns undefined where the test has been skipped */
async function startSiteWith(t: TestContext, loginShell: string, path?: string) {
  const reason = mayNotSet || (existsSync(loginShell) ? '' : `${loginShell} is not installed`)
  if (reason) return t.skip(reason)
  // PAM sets it on servers. Without it fish garbles non-ASCII characters in a variable.
  const entry = new RegExp(`^(${userInfo().username}:.*:).*$`, 'm')
  const passwd = readFileSync('/etc/passwd', 'utf8').replace(entry, `$1${loginShell}`)
  return startSite(t, { ownFiles: { '/etc/passwd': passwd }, setEnv: { LANG: 'C.UTF-8' }, ...(path && { path }) })
}

describe('setup-ssh, where the login shell is', { concurrency: 2 }, () => {
  for (const name of ['bash', 'dash', 'zsh', 'fish', 'tcsh']) {
    test(`${name}, lets the key push to the repository, and to nothing else`, async t => {
      const site = await startSiteWith(t, `/usr/bin/${name}`, 'srv/my *app*, [new] & ~ü; #1%.git')
      if (site === undefined) return
      const { table, ...result } = await site.setupSsh()
      assertExit(result, 0)
      assert.match(table, /^authorized_keys +created +.* lets it push to this repository, and refuses a shell$/m)

      const clone = join(site.folder, 'clone')
      const git = $({ env: { ...process.env, GIT_SSH_COMMAND: `ssh -F ${site.in('pushlive.conf')}` } })
      const alias = /^Host (.*)$/m.exec(site.read('pushlive.conf'))?.[1] ?? ''
      const url = `${alias}:${site.repository}`
      await git`git init --quiet ${clone}`
      await git`git -C ${clone} -c user.name=x -c user.email=x commit --quiet --allow-empty -m first`
      assertExit(await git`git -C ${clone} push ${url} HEAD:refs/heads/main`, 0)
      const { stdout } = await git`git ls-remote ${url}`
      assert.match(stdout, /\trefs\/heads\/main\n/)

      const { stdout: shell } = await $`ssh -F ${site.config} ${site.loginWithOwnKey} ${'echo $SHELL'}`
      assert.equal(shell, `/usr/bin/${name}\n`)
      const push = `git-receive-pack '${site.repository}'`
      for (const command of [
        '',
        'id',
        `${push}; id`,
        `${push}\nid`,
        `git-upload-archive '${site.repository}'`,
        `git-receive-pack '${site.repository.replaceAll('*', 'x')}'`,
        `git-receive-pack --stateless-rpc '${site.repository}'`,
        `${push}$(id)`,
        "'; id; '",
        '"; id; "',
        '!!',
      ]) {
        const { stdout, stderr }: ProcessOutput = assertExit(
          await $`ssh -F ${site.in('pushlive.conf')} -T ${alias} -- ${command ? [command] : []}`,
          126,
          command,
        )
        assert.equal(stdout, '', command)
        assert.match(stderr, /^This key may only push to /, command)
      }
    })
  }

  for (const loginShell of ['/usr/sbin/nologin', '/usr/bin/git-shell', '/bin/false']) {
    test(`${loginShell}, names it as the reason`, async t => {
      const site = await startSiteWith(t, loginShell)
      if (site === undefined) return
      const expected = /^authorized_keys +TO DO +\S+ runs no commands: its login shell is .* chsh -s \/bin\/sh \w+/m
      const own = assertExit(await site.setupSsh(), 3)
      assert.match(own.table, expected)
      assert.doesNotMatch(own.table, /chsh -s \S*git-shell/)

      // Another user has added the line that setup-ssh showed.
      const line = /^ {2}(restrict,command=.*)$/m.exec(own.stdout)?.[1]
      writeFileSync(site.sshd.authorizedKeys, `${line}\n`)
      const { table } = assertExit(await site.setupSsh(), 3)
      assert.match(table, expected)
      assert.equal(readFileSync(site.sshd.authorizedKeys, 'utf8'), `${line}\n`)
    })
  }
})
