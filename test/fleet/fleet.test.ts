import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { restrictionTo } from '../../scripts/lib/setup/authorized-key.ts'
import { parseRemote, type Remote } from '../../scripts/lib/ssh/remote.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
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

  it('gets a collection that passes ansible-lint', async () => {
    const env = {
      ...process.env,
      HOME: home,
      PATH: `${ansible}:${process.env.PATH}`,
      ANSIBLE_COLLECTIONS_PATH: join(folder, 'collections'),
      NO_COLOR: '1',
    }
    const cwd = join(folder, 'collections/ansible_collections/pushlive/pushlive')
    assertExit(await $({ env, cwd })`ansible-lint --offline --profile production`, 0)
  })

  it('is set up by the role, which changes nothing when it runs again', async () => {
    const first = assertExit(await play('server'), 0)
    assert.ok(!first.output.includes('quoted'), first.output)
    const [{ user }] = hosts
    const line = readFileSync(`/home/${user}/.ssh/authorized_keys`, 'utf8')
    const remote = parseRemote(`ssh://${user}@127.0.0.1/home/${user}/app.git`) as Remote
    assert.equal(line, `${restrictionTo(remote)} ${key.publicKey}\n`)
    const second = assertExit(await play('server'), 0)
    assert.equal(second.changed, 0, second.output)
    assertExit(await play('server', '--check', '--diff'), 0)
  })

  it('gets a commit, host by host, with one migration; a second run changes nothing', async () => {
    const live = await commit({ version: '1' })
    const first = assertExit(await play('deploy'), 0)
    assert.deepEqual(await serving(), [live, live, live], first.output)
    assert.equal(readFileSync(database, 'utf8'), `one ${live}\n`)
    for (const { name } of hosts) assert.match(first.output, new RegExp(`${name} +${live.slice(0, 10)}  since 20`))
    const second = assertExit(await play('deploy'), 0)
    assert.equal(second.changed, 0, second.output)
  })

  it('is not changed where the first host fails', async () => {
    const before = await serving()
    await commit({ version: '2', 'fail-on': 'one\n' })
    const { output } = assertFails(await play('deploy'))
    assert.deepEqual(await serving(), before, output)
    assert.match(output, /INSTALLING DEPENDENCIES failed/)
    assert.equal(output.match(/^ +"PUSHING/gm)?.length, 1, output)
  })

  it('goes back where a later host fails, and changes no further host; or keeps the new commit', async () => {
    const before = await serving()
    const bad = await commit({ version: '3', 'fail-on': 'two\n' })
    const back = assertFails(await play('deploy'))
    assert.deepEqual(await serving(), before, back.output)
    const kept = assertFails(await play('deploy', '-e', 'pushlive_on_red=keep'))
    assert.deepEqual(await serving(), [bad, ...before.slice(1)], kept.output)
    assert.match(kept.output, new RegExp(`one +${bad.slice(0, 10)} .*DIFFERS`))
    assert.match(kept.output, /two is red/)
  })

  it('names a host that cannot be reached', async () => {
    const good = await commit({ version: '4' })
    const before = await serving()
    await hosts[1].sshd.stop()
    const failed = await play('deploy')
    await hosts[1].sshd.restart()
    const { output } = assertFails(failed)
    assert.match(output, /two +UNKNOWN/)
    assert.deepEqual(await serving(), before, output)
    const again = assertExit(await play('deploy'), 0)
    assert.deepEqual(await serving(), [good, good, good], again.output)
  })

  it('is not changed where another host than the first would upgrade the database', async () => {
    const before = await serving()
    await commit({ version: '5' })
    const { output } = assertFails(
      await play('deploy', '-e', '{"server_upgrades_database": "{{ inventory_hostname == \\"two\\" }}"}'),
    )
    assert.deepEqual(await serving(), before, output)
    assert.match(output, /two upgrades the database, but one would serve the new code before/)
  })

  it('is rolled back together', async () => {
    const { output } = assertExit(await play('rollback'), 0)
    assert.equal(new Set((await serving()).slice(1)).size, 1, output)
  })

  it('is removed by the role', async () => {
    assertExit(await play('server', '-e', '{"server_state": "absent", "server_purge": true}'), 0)
    assert.deepEqual(readdirSync('/home'), [])
    const { stdout } = await $`getent passwd`
    for (const { user } of hosts) assert.ok(!stdout.includes(user), stdout)
  })
})
