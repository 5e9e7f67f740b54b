import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { restrictionTo } from '../../scripts/lib/setup/authorized-key.ts'
import { parseRemote, type Remote } from '../../scripts/lib/ssh/remote.ts'

import { program } from '../lib/programs.ts'
import { environmentOf } from '../lib/site.ts'
import { newKeyPair, type Sshd, startSshd } from '../lib/sshd.ts'

const root = join(import.meta.dirname, '../..')
const ansible = join(root, 'dist/ansible/bin')
const $ = zx({ quiet: true, nothrow: true })
// with-own-etc has emptied it.
const skip = userInfo().uid === 0 && readdirSync('/home').length === 0 ? false : 'make test-fleet makes users, as root'

/** Fails on the host that the file fail-on names; a migration counts itself, and fails beside another one. */
const makefile = `\
install-deps:
\t@test "$$(cat fail-on)" != "$$HOST"

upgrade-db:
\t@mkdir "$$DATABASE.lock"; echo "$$HOST $$DEPLOY_COMMIT" >> "$$DATABASE"; rmdir "$$DATABASE.lock"
`

interface Host {
  readonly name: string
  readonly user: string
}

describe('A fleet of three servers', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-'))
  const clone = join(folder, 'clone')
  const home = join(folder, 'home')
  const database = join(folder, 'database/migrations')
  const hosts = ['one', 'two', 'three'].map(name => ({ name, user: `fleet-${name}` })) as [Host, Host, Host]
  const sshds: Sshd[] = []
  after(() => rmSync(folder, { recursive: true, force: true }))
  const git = zx({ cwd: clone, env: environmentOf(home), quiet: true })
  chmodSync(folder, 0o755)
  for (const path of [clone, home, join(folder, 'database')]) mkdirSync(path)
  chmodSync(join(folder, 'database'), 0o777)
  const key = await newKeyPair(folder)
  for (const { user } of hosts) {
    const setEnv = { HOME: `/home/${user}` }
    sshds.push(await startSshd({ after }, { setEnv, config: ['AuthorizedKeysFile .ssh/authorized_keys'] }))
  }
  const inventory = {
    pushlive: {
      hosts: Object.fromEntries(
        hosts.map(({ name, user }, index) => [
          name,
          {
            ansible_connection: 'local',
            server_user: user,
            server_upgrades_database: index === 0,
            pushlive_remote: `ssh://${user}@127.0.0.1:${sshds[index]?.port}/home/${user}/app.git`,
            pushlive_known_hosts: sshds[index]?.knownHosts,
            server_settings: {
              PATH_TO_GIT_WORK_TREE: `/home/${user}/www`,
              RELEASES: 3,
              RESTART: 'true',
              HOST: name,
              DATABASE: database,
              SECRET: 'it\'s "quoted"',
            },
          },
        ]),
      ),
      vars: {
        ansible_python_interpreter: '/usr/bin/python3',
        ansible_become_method: 'su',
        server_program: program('post-receive')[0],
        server_folder: join(folder, 'lib'),
        server_deploy_keys: [key.publicKey],
        server_packages: ['git', 'make'],
        pushlive_deploy: program('deploy')[0],
        pushlive_clone: clone,
        pushlive_key: key.file,
        pushlive_serial: 1,
      },
    },
  }
  // JSON is YAML.
  writeFileSync(join(folder, 'inventory.yml'), JSON.stringify(inventory))
  await git`git init --quiet --initial-branch=main`
  const built = await $`${ansible}/ansible-galaxy collection build ${root}/ansible --output-path ${folder}
    ${ansible}/ansible-galaxy collection install --offline -p ${folder}/collections ${folder}/pushlive-pushlive-1.0.0.tar.gz`
  assert.equal(built.exitCode, 0, built.text())

  async function play(playbook: string, ...args: string[]) {
    const env = {
      ...environmentOf(home),
      LC_ALL: 'C.UTF-8',
      ANSIBLE_COLLECTIONS_PATH: join(folder, 'collections'),
      ANSIBLE_NOCOLOR: '1',
      ANSIBLE_LOCALHOST_WARNING: 'false',
    }
    const inventory = join(folder, 'inventory.yml')
    const { exitCode, stdout, stderr } = await $({
      env,
      cwd: folder,
    })`exec ${ansible}/ansible-playbook -i ${inventory} pushlive.pushlive.${playbook} ${args}`
    const output = stdout + stderr
    const changed = [...output.matchAll(/^\w+ +: ok=\d+ +changed=(\d+)/gm)].reduce((sum, [, n]) => sum + Number(n), 0)
    return { exitCode, output, changed }
  }

  async function commit(files: Record<string, string>) {
    for (const [file, content] of Object.entries({ Makefile: makefile, 'fail-on': 'none\n', ...files }))
      writeFileSync(join(clone, file), content)
    await git`git add --all`
    await git`git commit --quiet --allow-empty --message ${'A change'}`
    return (await git`git rev-parse HEAD`).stdout.trim()
  }

  async function serving() {
    const found: (string | undefined)[] = []
    for (const { user } of hosts) {
      const { ok, stdout } =
        await $`git --git-dir /home/${user}/app.git -c safe.directory=* rev-parse --verify --quiet refs/deploy/main/live`
      found.push(ok ? stdout.trim() : undefined)
    }
    return found
  }

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
    await sshds[1]?.stop()
    const { exitCode, output } = await play('deploy')
    await sshds[1]?.restart()
    assert.notEqual(exitCode, 0, output)
    assert.match(output, /two +UNKNOWN/)
    assert.deepEqual(await serving(), before, output)
    const again = await play('deploy')
    assert.equal(again.exitCode, 0, again.output)
    assert.deepEqual(await serving(), [good, good, good], again.output)
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
