import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { program } from '../lib/programs.ts'
import { environmentOf } from '../lib/site.ts'
import { newKeyPair } from '../lib/sshd.ts'
import { ansible, ansibleEnvironment, installCollection } from './fleet.ts'

const $ = zx({ quiet: true, nothrow: true })
const skip = userInfo().uid === 0 ? false : 'only root may make a root'
const folder = mkdtempSync(join(tmpdir(), 'debians-'))
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

describe('The role makes a server of a Debian that has nothing but Python and sshd', {
  concurrency: true,
  skip,
}, async () => {
  const home = join(folder, 'home')
  const collections = join(folder, 'collections')
  mkdirSync(home)
  await installCollection(folder, collections)
  const key = await newKeyPair(folder)

  for (const suite of ['bullseye', 'bookworm', 'trixie']) {
    it(`${suite}: a push goes live, a second run changes nothing, and the role removes it again`, {
      timeout: 8 * 60_000,
    }, async t => {
      const machine = join(folder, suite)
      assertExit(await $`debootstrap --variant=minbase --include=python3,openssh-server ${suite} ${machine}`, 0)
      const port = await holdPort()
      await startSshd(t, machine, port, key.publicKey)
      const hostKey = readFileSync(join(machine, 'etc/ssh/ssh_host_ed25519_key.pub'), 'utf8')
      const knownHosts = `[127.0.0.1]:${port} ${hostKey}`
      writeFileSync(join(machine, 'known_hosts'), knownHosts)
      const clone = join(machine, 'clone')
      const git = zx({ env: environmentOf(home), quiet: true })
      await git`git init --quiet --initial-branch=main ${clone}`
      writeFileSync(join(clone, 'Makefile'), 'install-deps:\n\t@true\n\nupgrade-db:\n\t@true\n')
      await git`git -C ${clone} add --all && git -C ${clone} commit --quiet --message ${'The first'}`
      const vars = {
        ansible_host: '127.0.0.1',
        ansible_port: port,
        ansible_user: 'root',
        ansible_python_interpreter: '/usr/bin/python3',
        ansible_ssh_private_key_file: key.file,
        ansible_ssh_common_args: `-F /dev/null -o UserKnownHostsFile=${machine}/known_hosts -o ControlMaster=no`,
        ansible_become_method: 'su',
        server_user: 'shop',
        server_program: program('post-receive')[0],
        server_deploy_keys: [key.publicKey],
        server_settings: { PATH_TO_GIT_WORK_TREE: '/home/shop/www', RELEASES: 3, RESTART: 'true' },
        pushlive_deploy: program('deploy')[0],
        pushlive_clone: clone,
        pushlive_key: key.file,
        pushlive_known_hosts: knownHosts,
      }
      const inventory = join(machine, 'inventory.yml')
      writeFileSync(inventory, JSON.stringify({ pushlive: { hosts: { [suite]: {} }, vars } }))
      const env = ansibleEnvironment(home, collections)
      const play = async (playbook: string, ...args: string[]) => {
        const run = $({ env, cwd: machine })
        const played = assertExit(
          await run`${ansible}/ansible-playbook -i ${inventory} pushlive.pushlive.${playbook} ${args}`,
          0,
        )
        return played.stdout
      }

      await play('server')
      assert.match(await play('deploy'), new RegExp(`${suite} +[0-9a-f]{10}  since`))
      assert.match(await play('server'), new RegExp(`${suite} +: ok=\\d+ +changed=0 `))
      await play('server', '-e', '{"server_state": "absent", "server_purge": true}')
      assert.doesNotMatch(readFileSync(join(machine, 'etc/passwd'), 'utf8'), /^shop:/m)
    })
  }
})

/** Runs the Debian's own sshd during the test. */
async function startSshd(
  t: { after(fn: () => Promise<void>): void },
  machine: string,
  port: number,
  publicKey: string,
): Promise<void> {
  mkdirSync(join(machine, 'root/.ssh'), { mode: 0o700, recursive: true })
  mkdirSync(join(machine, 'run/sshd'), { recursive: true })
  appendFileSync(join(machine, 'root/.ssh/authorized_keys'), `${publicKey}\n`, { mode: 0o600 })
  const options = [`ListenAddress=127.0.0.1:${port}`, 'UsePAM=no'].flatMap(option => ['-o', option])
  const sshd = $`exec setpriv --pdeathsig KILL chroot ${machine} /usr/sbin/sshd -D -e ${options}`
  t.after(async () => {
    await sshd.kill('SIGTERM')
    await sshd
  })
  let said = ''
  sshd.stderr.on('data', text => {
    said += text
  })
  await waitFor(`sshd of ${machine} listens`, () => said.includes('Server listening'))
}
