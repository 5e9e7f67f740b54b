import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { restrictionTo } from '../../scripts/lib/setup/authorized-key.ts'
import { parseRemote, type Remote } from '../../scripts/lib/ssh/remote.ts'
import { ansible, type Host, skip, startFleet } from './fleet.ts'

const $ = zx({ quiet: true, nothrow: true })

/** Fails on the host that the file fail-on names; a migration counts itself, and fails beside another one. */
const Makefile = `\
install-deps:
\t@test "$$(cat fail-on)" != "$$HOST"

upgrade-db:
\t@mkdir "$$DATABASE.lock"; echo "$$HOST $$DEPLOY_COMMIT" >> "$$DATABASE"; rmdir "$$DATABASE.lock"
`

describe('A fleet of three servers', { skip }, async () => {
  const fleet = await startFleet({ after }, ['one', 'two', 'three'])
  const { folder, home, key, play, serving } = fleet
  const hosts = fleet.hosts as [Host, Host, Host]
  const database = join(folder, 'database/migrations')
  mkdirSync(join(folder, 'database'))
  chmodSync(join(folder, 'database'), 0o777)
  const settings = { RESTART: 'true', DATABASE: database, SECRET: 'it\'s "quoted"' }
  fleet.configure(() => settings, { pushlive_serial: 1 })
  const commit = (files: Record<string, string>) => fleet.commit({ Makefile, 'fail-on': 'none\n', ...files })

  it('gets a collection that ansible-lint has nothing against', async () => {
    const env = {
      ...process.env,
      HOME: home,
      PATH: `${ansible}:${process.env.PATH}`,
      ANSIBLE_COLLECTIONS_PATH: join(folder, 'collections'),
      NO_COLOR: '1',
    }
    const cwd = join(folder, 'collections/ansible_collections/pushlive/pushlive')
    const linted = await $({ env, cwd })`ansible-lint --offline --profile production`
    assert.equal(linted.exitCode, 0, linted.text())
  })

  it('is set up by the role, which changes nothing when it runs again', async () => {
    const first = await play('server')
    assert.equal(first.exitCode, 0, first.output)
    assert.ok(!first.output.includes('quoted'), first.output)
    const [{ user }] = hosts
    const line = readFileSync(`/home/${user}/.ssh/authorized_keys`, 'utf8')
    const remote = parseRemote(`ssh://${user}@127.0.0.1/home/${user}/app.git`) as Remote
    assert.equal(line, `${restrictionTo(remote)} ${key.publicKey}\n`)
    const second = await play('server')
    assert.equal(second.exitCode, 0, second.output)
    assert.equal(second.changed, 0, second.output)
    const checked = await play('server', '--check', '--diff')
    assert.equal(checked.exitCode, 0, checked.output)
  })

  it('gets a commit, host by host, with one migration; a second run changes nothing', async () => {
    const live = await commit({ version: '1' })
    const first = await play('deploy')
    assert.equal(first.exitCode, 0, first.output)
    assert.deepEqual(await serving(), [live, live, live], first.output)
    assert.equal(readFileSync(database, 'utf8'), `one ${live}\n`)
    for (const { name } of hosts) assert.match(first.output, new RegExp(`${name} +${live.slice(0, 10)}  since 20`))
    const second = await play('deploy')
    assert.equal(second.exitCode, 0, second.output)
    assert.equal(second.changed, 0, second.output)
  })

  it('is left alone where the first host is red', async () => {
    const before = await serving()
    await commit({ version: '2', 'fail-on': 'one\n' })
    const { exitCode, output } = await play('deploy')
    assert.notEqual(exitCode, 0, output)
    assert.deepEqual(await serving(), before, output)
    assert.match(output, /INSTALLING DEPENDENCIES failed/)
    assert.equal(output.match(/^ +"PUSHING/gm)?.length, 1, output)
  })

  it('goes back where a later host is red, and no further one is touched; or keeps what is live', async () => {
    const before = await serving()
    const bad = await commit({ version: '3', 'fail-on': 'two\n' })
    const back = await play('deploy')
    assert.notEqual(back.exitCode, 0, back.output)
    assert.deepEqual(await serving(), before, back.output)
    const kept = await play('deploy', '-e', 'pushlive_on_red=keep')
    assert.notEqual(kept.exitCode, 0, kept.output)
    assert.deepEqual(await serving(), [bad, ...before.slice(1)], kept.output)
    assert.match(kept.output, new RegExp(`one +${bad.slice(0, 10)} .*DIFFERS`))
    assert.match(kept.output, /two is red/)
  })

  it('names a host that cannot be reached', async () => {
    const good = await commit({ version: '4' })
    const before = await serving()
    await hosts[1].sshd.stop()
    const { exitCode, output } = await play('deploy')
    await hosts[1].sshd.restart()
    assert.notEqual(exitCode, 0, output)
    assert.match(output, /two +UNKNOWN/)
    assert.deepEqual(await serving(), before, output)
    const again = await play('deploy')
    assert.equal(again.exitCode, 0, again.output)
    assert.deepEqual(await serving(), [good, good, good], again.output)
  })

  it('is not touched where another than the first host would upgrade the database', async () => {
    const before = await serving()
    await commit({ version: '5' })
    const { exitCode, output } = await play(
      'deploy',
      '-e',
      '{"server_upgrades_database": "{{ inventory_hostname == \\"two\\" }}"}',
    )
    assert.notEqual(exitCode, 0, output)
    assert.deepEqual(await serving(), before, output)
    assert.match(output, /two upgrades the database, but one would serve the new code before/)
  })

  it('is taken back as one', async () => {
    const { exitCode, output } = await play('rollback')
    assert.equal(exitCode, 0, output)
    assert.equal(new Set((await serving()).slice(1)).size, 1, output)
  })

  it('is taken apart by the role', async () => {
    const { exitCode, output } = await play('server', '-e', '{"server_state": "absent", "server_purge": true}')
    assert.equal(exitCode, 0, output)
    assert.deepEqual(readdirSync('/home'), [])
    const { stdout } = await $`getent passwd`
    for (const { user } of hosts) assert.ok(!stdout.includes(user), stdout)
  })
})
