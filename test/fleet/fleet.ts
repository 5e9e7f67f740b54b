import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { environmentOf } from '../lib/site.ts'
import { type CleansUp, newKeyPair, type Sshd, startSshd } from '../lib/sshd.ts'

const root = join(import.meta.dirname, '../..')
export const ansible = join(root, 'dist/ansible/bin')
const $ = zx({ quiet: true, nothrow: true })

/** Whether with-own-etc has run: it has emptied /home. */
export const skip =
  userInfo().uid === 0 && readdirSync('/home').length === 0 ? false : 'make test-fleet makes users, as root'

export interface Host {
  readonly name: string
  readonly user: string
  readonly sshd: Sshd
}

export type Fleet = Awaited<ReturnType<typeof startFleet>>

/**
 * Servers that an inventory names, each with an sshd and a user of its own that the role makes; and a control node with
 * the collection and a clone. The machine's own users stay as they are where with-own-etc has been before.
 */
export async function startFleet(t: CleansUp, names: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-'))
  const clone = join(folder, 'clone')
  const home = join(folder, 'home')
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const git = zx({ cwd: clone, env: environmentOf(home), quiet: true })
  chmodSync(folder, 0o755)
  for (const path of [clone, home]) mkdirSync(path)
  const key = await newKeyPair(folder)
  const hosts: Host[] = []
  for (const name of names) {
    const user = `fleet-${name}`
    const setEnv = { HOME: `/home/${user}` }
    const sshd = await startSshd(t, { setEnv, config: ['AuthorizedKeysFile .ssh/authorized_keys'] })
    hosts.push({ name, user, sshd })
  }
  await git`git init --quiet --initial-branch=main`
  await installCollection(folder, join(folder, 'collections'))

  const shared = {
    ansible_python_interpreter: '/usr/bin/python3',
    ansible_become_method: 'su',
    server_program: program('post-receive')[0],
    server_folder: join(folder, 'lib'),
    server_deploy_keys: [key.publicKey],
    server_packages: ['git', 'make'],
    pushlive_deploy: program('deploy')[0],
    pushlive_clone: clone,
    pushlive_key: key.file,
  }

  const fleet = {
    folder,
    clone,
    home,
    key,
    hosts,
    git,

    /** Writes the inventory; a group `workers` is a part of the whole. */
    configure(settings: (host: Host) => object, vars: object = {}, workers: readonly string[] = []) {
      const entries = hosts.map(host => {
        const { name, user, sshd } = host
        const own = {
          ansible_connection: 'local',
          server_user: user,
          pushlive_remote: `ssh://${user}@127.0.0.1:${sshd.port}/home/${user}/app.git`,
          pushlive_known_hosts: sshd.knownHosts,
          server_settings: { PATH_TO_GIT_WORK_TREE: `/home/${user}/www`, RELEASES: 3, HOST: name, ...settings(host) },
        }
        return [name, own] as const
      })
      const [some, others] = [false, true].map(isWorker =>
        Object.fromEntries(entries.filter(([name]) => workers.includes(name) === isWorker)),
      )
      const children = workers.length > 0 ? { children: { pushlive_workers: { hosts: others } } } : {}
      const inventory = { pushlive: { hosts: some, ...children, vars: { ...shared, ...vars } } }
      // JSON is YAML.
      writeFileSync(join(folder, 'inventory.yml'), JSON.stringify(inventory))
    },

    /** Starts a playbook of the collection; a promise of zx's, with the process behind it. */
    startPlay(playbook: string, ...args: string[]) {
      const env = ansibleEnvironment(home, join(folder, 'collections'))
      const inventory = join(folder, 'inventory.yml')
      const start = $({ env, cwd: folder })
      return start`exec ${ansible}/ansible-playbook -i ${inventory} pushlive.pushlive.${playbook} ${args}`
    },

    async play(playbook: string, ...args: string[]) {
      const { exitCode, stdout, stderr } = await fleet.startPlay(playbook, ...args)
      const output = stdout + stderr
      const changed = [...output.matchAll(/^\w+ +: ok=\d+ +changed=(\d+)/gm)].reduce((sum, [, n]) => sum + Number(n), 0)
      return { exitCode, output, changed }
    },

    async commit(files: Record<string, string>) {
      for (const [file, content] of Object.entries(files)) writeFileSync(join(clone, file), content)
      await git`git add --all`
      await git`git commit --quiet --allow-empty --message ${'A change'}`
      return (await git`git rev-parse HEAD`).stdout.trim()
    },

    /** The live commit of each host, by its own records. */
    async serving() {
      const found: (string | undefined)[] = []
      for (const { user } of hosts) {
        const { ok, stdout } = await inRepository(user)`git rev-parse --verify --quiet refs/deploy/main/live`
        found.push(ok ? stdout.trim() : undefined)
      }
      return found
    },

    /** When a host's last deployment ran, in milliseconds since 1970. */
    async lastDeployment({ user }: Host): Promise<{ started: number; ended: number }> {
      return JSON.parse((await inRepository(user)`git log -1 --format=%b refs/deploy/main/history`).stdout)
    },
  }
  return fleet
}

/** The environment of Ansible, without anything of the user who runs the tests. */
export const ansibleEnvironment = (home: string, collections: string) => ({
  ...environmentOf(home),
  LC_ALL: 'C.UTF-8',
  ANSIBLE_COLLECTIONS_PATH: collections,
  ANSIBLE_NOCOLOR: '1',
  ANSIBLE_LOCALHOST_WARNING: 'false',
})

/** Packs the collection and installs it, as its users do. */
export async function installCollection(folder: string, collections: string): Promise<void> {
  const built = await $`${ansible}/ansible-galaxy collection build ${root}/ansible --output-path ${folder}
    ${ansible}/ansible-galaxy collection install --offline -p ${collections} ${folder}/pushlive-pushlive-1.0.0.tar.gz`
  assertExit(built, 0)
}

const inRepository = (user: string) =>
  $({ env: { ...process.env, GIT_DIR: `/home/${user}/app.git`, GIT_CONFIG_PARAMETERS: "'safe.directory=*'" } })
