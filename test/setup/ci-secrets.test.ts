import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { modeOf, type Site, snapshot, startSite } from '../lib/setup-site.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

describe('setup-ssh and the secrets of the CI', { concurrency: 4 }, () => {
  /** A gh that records its arguments and input: the real one would need GitHub. */
  function installGh(site: Site, exitCode = 0) {
    const folder = mkdtempSync(join(site.folder, 'bin-'))
    const lines = [
      '#!/bin/sh',
      `printf '%s\\n' "$*" >> '${folder}/arguments'`,
      `cat > '${folder}/stdin'-"$3"`,
      `test ${exitCode} = 0 || echo 'HTTP 403: no' >&2`,
      `exit ${exitCode}`,
    ]
    writeFileSync(join(folder, 'gh'), `${lines.join('\n')}\n`, { mode: 0o755 })
    return { folder, PATH: `${folder}${delimiter}${process.env.PATH}` }
  }

  test('prints the name and value of each secret, but never the key', async t => {
    const site = await startSite(t)
    const { stdout, stderr } = await site.setupSsh()
    assert.match(stdout, new RegExp(`^ {2}STAGING_REMOTE_REPO\\n {4}${site.url}\\n`, 'm'))
    assert.ok(stdout.includes(`  KNOWN_DEPLOYMENT_HOSTS\n    ${site.sshd.knownHosts}`))
    assert.ok(stdout.includes(`    gh secret set SSH_DEPLOYMENT_KEY -R OWNER/REPO < '${site.deployKey}'\n`))
    for (const line of keyLines(readFileSync(site.deployKey, 'utf8'))) assert.ok(!(stdout + stderr).includes(line))
  })

  test('stores them with gh, and passes none of them as an argument', async t => {
    const site = await startSite(t)
    const { folder, PATH } = installGh(site)
    const { table, ...result } = await site.setupSsh({ env: { PATH }, args: ['--github', 'seita/flexmeasures'] })
    assertExit(result, 0)
    assert.match(table, /^secrets of the CI +created +seita\/flexmeasures$/m)
    const names = ['STAGING_REMOTE_REPO', 'KNOWN_DEPLOYMENT_HOSTS', 'SSH_DEPLOYMENT_KEY']
    const calls = readFileSync(join(folder, 'arguments'), 'utf8')
    const kinds = ['variable', 'variable', 'secret']
    assert.equal(calls, names.map((name, i) => `${kinds[i]} set ${name} -R seita/flexmeasures\n`).join(''))
    const stored = names.map(name => readFileSync(join(folder, `stdin-${name}`), 'utf8'))
    assert.deepEqual(stored, [site.url, site.sshd.knownHosts, readFileSync(site.deployKey, 'utf8')])
    for (const line of keyLines(stored[2] ?? '')) assert.ok(!result.stdout.includes(line))
  })

  test('says what is left to do where gh refuses or is missing', async t => {
    const site = await startSite(t)
    const refused = assertExit(
      await site.setupSsh({ env: { PATH: installGh(site, 1).PATH }, args: ['--github', 'a/b'] }),
      1,
    )
    assert.match(refused.stdout, /gh variable set STAGING_REMOTE_REPO: HTTP 403: no/)
    assert.match(refused.table, /^secrets of the CI +TO DO/m)

    const PATH = join(site.folder, 'bin without gh')
    mkdirSync(PATH)
    for (const name of ['bash', 'sh', 'git', 'ssh', 'ssh-keygen', 'ssh-keyscan']) {
      symlinkSync((await $`command -v ${name}`).stdout.trim(), join(PATH, name))
    }
    const missing = assertExit(await site.setupSsh({ env: { PATH }, args: ['--github', 'a/b'] }), 1)
    assert.equal(missing.stderr, '')
    assert.match(missing.stdout, /gh is not installed/)
  })

  test('writes them to private files', async t => {
    const site = await startSite(t)
    const folder = join(site.folder, 'new', 'secrets')
    for (let run = 0; run < 2; run++) {
      const { table, ...result } = await site.setupSsh({ args: ['--print-secrets', folder] })
      assertExit(result, 0)
      assert.match(table, /^secrets in files +created +.*: delete it once they are stored$/m)
      assert.equal(modeOf(folder), 0o700)
      assert.deepEqual(snapshot(folder), [
        ['KNOWN_DEPLOYMENT_HOSTS', 0o600, site.sshd.knownHosts],
        ['SSH_DEPLOYMENT_KEY', 0o600, readFileSync(site.deployKey, 'utf8')],
        ['STAGING_REMOTE_REPO', 0o600, site.url],
      ])
    }
  })

  test('refuses a folder that others can read, and overwrites no file', async t => {
    const site = await startSite(t)
    const open = join(site.folder, 'open')
    mkdirSync(open, { mode: 0o755 })
    const shared = assertExit(await site.setupSsh({ args: ['--print-secrets', open] }), 2)
    assert.match(shared.stderr, /Others can read /)
    assert.deepEqual(readdirSync(open), [])

    const taken = join(site.folder, 'taken')
    mkdirSync(taken, { mode: 0o700 })
    writeFileSync(join(taken, 'STAGING_REMOTE_REPO'), 'mine')
    const { stderr } = assertExit(await site.setupSsh({ args: ['--print-secrets', taken] }), 2)
    assert.match(stderr, /is there already, with another content/)
    assert.equal(readFileSync(join(taken, 'STAGING_REMOTE_REPO'), 'utf8'), 'mine')
  })
})

function keyLines(privateKey: string): string[] {
  return privateKey.trim().split('\n').slice(1, -1)
}
