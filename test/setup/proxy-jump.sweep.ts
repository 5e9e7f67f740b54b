import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { fingerprint } from '../../scripts/lib/ssh/key-blob.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { modeOf, snapshot, startSite } from '../lib/setup-site.ts'
import { canHaveOwnFiles, type SshdOptions, startSshd } from '../lib/sshd.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

/** Where the machine allows it, only the gate can resolve the server's name: no connection can avoid the gate. */
const host = (await canHaveOwnFiles()) ? 'inside.test' : '127.0.0.1'
const ownFiles: Record<string, string> = host === '127.0.0.1' ? {} : { '/etc/hosts': `127.0.0.1 localhost ${host}\n` }

/** A server behind a gate, and an operator who can log in at both. */
async function startSiteBehindGate(t: TestContext, options: SshdOptions = {}) {
  const gate = await startSshd(t, { ...options, ownFiles })
  const site = await startSite(t, { host })
  gate.authorize(site.own.publicKey)
  const gateFingerprint = fingerprint(gate.hostPublicKeys.ed25519?.split(' ')[1] ?? '')
  return {
    gate,
    site,
    gateAlias: `${site.alias}-jump`,
    knownHosts: gate.knownHosts + site.sshd.knownHosts.replace('127.0.0.1', host),
    env: {
      PROXY_JUMP: `${gate.user}@${gate.host}:${gate.port}`,
      HOST_FINGERPRINT: `${gateFingerprint} ${site.hostFingerprint}`,
    },
  }
}

describe('setup-ssh with PROXY_JUMP', { concurrency: 2 }, () => {
  test('learns both hosts, and lets the key pass through the one and push to the other', async t => {
    const { gate, site, env, gateAlias, knownHosts } = await startSiteBehindGate(t)
    const secrets = join(site.folder, 'secrets')
    const { table, ...result } = await site.setupSsh({ env, args: ['--print-secrets', secrets] })
    assertExit(result, 0)
    assert.match(table, /^host keys +created +1 of 1 for \S+ in .*\nhost keys +created +1 of 1 for /m)
    assert.match(table, /^authorized_keys +created +.* lets it connect to \S+, and refuses a shell$/m)
    assert.match(table, /^authorized_keys +created +.* lets it push to this repository, and refuses a shell$/m)
    assert.match(result.stdout, /^SCANNING HOST KEYS \(\S+, through \S+@\[127\.0\.0\.1\]:\d+\)/m)

    const stored = snapshot(secrets).map(([name, mode, content]) => [name, [mode, content]])
    assert.deepEqual(Object.fromEntries(stored), {
      STAGING_REMOTE_REPO: [0o600, site.url],
      KNOWN_DEPLOYMENT_HOSTS: [0o600, knownHosts],
      SSH_DEPLOYMENT_KEY: [0o600, readFileSync(site.deployKey, 'utf8')],
      PROXY_JUMP: [0o600, env.PROXY_JUMP],
    })
    assert.equal(modeOf(secrets), 0o700)

    const before = [snapshot(site.sshFolder), site.authorizedKeys(), readFileSync(gate.authorizedKeys, 'utf8')]
    const again = assertExit(await site.setupSsh({ env }), 0)
    assert.doesNotMatch(again.table, / created /)
    const after = [snapshot(site.sshFolder), site.authorizedKeys(), readFileSync(gate.authorizedKeys, 'utf8')]
    assert.deepEqual(after, before)

    const ssh = ['ssh', '-F', site.in('pushlive.conf')]
    const listed = await $({
      env: { ...process.env, GIT_SSH_COMMAND: ssh.join(' ') },
    })`git ls-remote ${site.alias}:${site.repository}`
    assertExit(listed, 0)
    const other = await startSshd(t)
    const { stderr } = await $`${ssh} -R 0:127.0.0.1:${gate.port} ${gateAlias} id`
    assert.match(stderr, /^Warning: remote port forwarding failed/m)
    for (const stolen of [
      $`${ssh} ${gateAlias}`,
      $`${ssh} ${gateAlias} id`,
      $`${ssh} -W ${other.host}:${other.port} ${gateAlias}`,
      $`${ssh} -W ${gate.host}:${gate.port} ${gateAlias}`,
      $`sftp -b /dev/null -F ${site.in('pushlive.conf')} ${gateAlias}`,
      $`${ssh} -o ExitOnForwardFailure=yes -R 0:127.0.0.1:${gate.port} ${gateAlias} id`,
    ]) {
      const { stdout } = assertFails(await stolen)
      assert.equal(stdout, '')
    }

    // As earlier versions wrote it.
    writeFileSync(gate.authorizedKeys, readFileSync(gate.authorizedKeys, 'utf8').replace(/permitlisten="[^"]*",/, ''))
    const listening = assertExit(await site.setupSsh({ env }), 1)
    assert.match(listening.table, /lets the key forward connections: put the line above in place of line 2 of /)
  })

  test('prints settings that deploy accepts', async t => {
    const { site, env } = await startSiteBehindGate(t)
    const secrets = join(site.folder, 'secrets')
    assertExit(await site.setupSsh({ env, args: ['--print-secrets', secrets] }), 0)
    const clone = join(site.folder, 'clone')
    await $`git init --quiet --initial-branch main ${clone}`
    await $`git -C ${clone} -c user.name=x -c user.email=x commit --quiet --allow-empty -m first`
    const settings = Object.fromEntries(snapshot(secrets).map(([name, , content]) => [name, content]))
    const deploy = $({
      cwd: clone,
      env: { PATH: process.env.PATH, HOME: site.folder, BRANCH_NAME: 'main', ...settings },
    })
    const { stdout, stderr } = await deploy`${program('deploy')}`
    const { stdout: pushed } = await $`git -C ${site.repository} rev-parse main`
    const { stdout: made } = await $`git -C ${clone} rev-parse HEAD`
    assert.equal(pushed, made, stdout + stderr)
  })

  test('installs the hook behind the gate', async t => {
    const { site, env } = await startSiteBehindGate(t)
    const file = join(site.folder, 'server.env')
    writeFileSync(file, `PATH_TO_GIT_WORK_TREE='${site.folder}/www'\nRESTART=\n`)
    const HOOK_BINARY = join(site.folder, 'hook')
    writeFileSync(HOOK_BINARY, `#!/bin/sh\nexec '${program('post-receive').join("' '")}' "$@"\n`, { mode: 0o755 })
    const install = () => site.setupSsh({ env: { ...env, HOOK_BINARY }, args: ['--hook', file] })
    const { stderr } = assertExit(await install(), 3)
    assert.match(stderr, /To do: log in there by hand; if its host key is not known yet, run setup-ssh without --hook/)
    assertExit(await site.setupSsh({ env }), 0)
    assertExit(await install(), 0)
    assert.equal(readFileSync(join(site.repository, '.env'), 'utf8'), readFileSync(file, 'utf8'))
  })

  test("stops where the gate's host key is not the listed one, before it connects through it", async t => {
    const { site, env } = await startSiteBehindGate(t)
    const before = snapshot(site.sshFolder)
    const { stderr } = assertExit(await site.setupSsh({ env: { ...env, HOST_FINGERPRINT: site.hostFingerprint } }), 3)
    assert.match(stderr, /^None of the keys that \[127\.0\.0\.1\]:\d+ shows is in HOST_FINGERPRINT/)
    assert.deepEqual(snapshot(site.sshFolder), before)
  })

  test('says so where the operator cannot log in at the gate', async t => {
    const { gate, site, env } = await startSiteBehindGate(t)
    writeFileSync(gate.authorizedKeys, '')
    const { stderr } = assertExit(await site.setupSsh({ env }), 3)
    assert.match(
      stderr,
      /^\S+@\[127\.0\.0\.1\]:\d+ could not be asked for the host keys of \[\S+\]:\d+\.\n.*Permission denied/,
    )
    assert.match(stderr, /To do: .* ssh \S+ ssh-keyscan /)
  })

  test('says which of the two hosts does not accept the key', async t => {
    const { site, env } = await startSiteBehindGate(t)
    writeFileSync(site.sshd.authorizedKeys, '')
    const { table } = assertExit(await site.setupSsh({ env }), 3)
    assert.match(table, /^authorized_keys +created .* lets it connect to \S+, and refuses a shell$/m)
    assert.match(table, /^authorized_keys +TO DO +you cannot log in as \S+: have the line above added there$/m)
  })

  test('says so where the gate forwards no connection', async t => {
    const { site, env } = await startSiteBehindGate(t, { config: ['AllowTcpForwarding no'] })
    const { stdout, table } = assertExit(await site.setupSsh({ env }), 3)
    assert.match(stdout, /administratively prohibited/)
    assert.match(table, /^authorized_keys +TO DO .* lets the key in, but it cannot connect to \S+: see above$/m)
  })

  test('exits with 2 where PROXY_JUMP is wrong, and takes an empty one for none', async t => {
    const site = await startSite(t)
    for (const [PROXY_JUMP, problem] of [
      ['gate', /PROXY_JUMP names no user/],
      ['-oProxyCommand=x', /PROXY_JUMP is not user@host/],
      ['a@gate/x', /PROXY_JUMP is not user@host/],
      ['a%40b@gate', /PROXY_JUMP is not user@host/],
      ['a@gate,b@gate', /PROXY_JUMP is not user@host/],
    ] as const) {
      const { stderr } = assertExit(await site.setupSsh({ env: { PROXY_JUMP } }), 2)
      assert.match(stderr, problem)
    }
    const { table, ...result } = await site.setupSsh({ env: { PROXY_JUMP: ' ' } })
    assertExit(result, 0)
    assert.doesNotMatch(table, /jump/)
  })
})
