import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { $ as zx } from 'zx/core'
import { ansible, ansibleEnvironment, installCollection } from '../test/fleet/fleet.ts'
import { type Site, startServer } from '../test/lib/site.ts'
import type { CleansUp } from '../test/lib/sshd.ts'
import { median } from './report.ts'
import { binaries } from './sites.ts'

const { values } = parseArgs({
  options: { hosts: { type: 'string', default: '50' }, runs: { type: 'string', default: '3' } },
})
const count = Number(values.hosts)
const runs = Number(values.runs)
/** The same steps with Ansible's own git module, without pushlive. */
const playbookWithGit = join(import.meta.dirname, 'peers/playbook.yml')
const $ = zx({ quiet: true })

const cleanups: (() => void | Promise<void>)[] = []
const t: CleansUp = { after: fn => void cleanups.push(fn) }

/** What Ansible's documentation advises for speed. */
const configuration = '[defaults]\nhost_key_checking = true\n[connection]\npipelining = true\n'

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'bench-fleet-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  chmodSync(folder, 0o755)
  const { sshd, key, newSite } = await startServer(t, {
    config: ['KexAlgorithms +curve25519-sha256', 'MaxStartups 300'],
  })
  const home = join(folder, 'home')
  mkdirSync(home)
  const clientConfig = sshd.clientConfig(key.file)
  const sites: Site[] = []
  for (let number = 0; number < count; number++) sites.push(await newSite(t, { name: `host${number}` }))
  const [first] = sites as [Site]
  const forge = join(folder, 'forge.git')
  await $`git init --quiet --bare --initial-branch=main ${forge}`
  const inventory = {
    pushlive: {
      hosts: Object.fromEntries(
        sites.map((site, number) => [
          `host${number}`,
          { pushlive_remote: site.url, work_tree: join(site.folder, 'by-ansible') },
        ]),
      ),
      vars: {
        ansible_host: '127.0.0.1',
        ansible_port: sshd.port,
        ansible_user: sshd.user,
        ansible_ssh_common_args: `-F ${clientConfig}`,
        ansible_python_interpreter: '/usr/bin/python3',
        server_user: sshd.user,
        pushlive_known_hosts: sshd.knownHosts,
        pushlive_key: key.file,
        pushlive_clone: first.clone,
        pushlive_deploy: join(binaries, 'deploy'),
      },
    },
  }
  writeFileSync(join(folder, 'inventory.yml'), JSON.stringify(inventory))
  const nothing = join(folder, 'nothing')
  writeFileSync(nothing, '#!/bin/sh\necho "{}"\n', { mode: 0o755 })
  writeFileSync(join(folder, 'ansible.cfg'), configuration)
  await installCollection(folder, join(folder, 'collections'))

  async function play(playbook: string, serial: number, more: object = {}): Promise<number> {
    const env = {
      ...ansibleEnvironment(home, join(folder, 'collections')),
      ANSIBLE_CONFIG: join(folder, 'ansible.cfg'),
      FORGE: forge,
    }
    const variables = JSON.stringify({ pushlive_serial: serial, ...more })
    const started = performance.now()
    const played = await $({ env, cwd: folder, nothrow: true })`
      ${ansible}/ansible-playbook -i inventory.yml --forks ${Math.max(serial, 5)} ${playbook} -e ${variables}`
    assert.equal(played.exitCode, 0, played.text())
    return (performance.now() - started) / 1000
  }

  const change = async () => {
    await first.commit({ 'page.txt': `${performance.now()}\n` })
    await first.git`git push --quiet ${forge} HEAD:main`
  }

  first.write({ Makefile: 'install-deps:\n\t@true\n\nupgrade-db:\n\t@true\n' })
  await change()
  await play('pushlive.pushlive.deploy', 25)
  await play(playbookWithGit, 25)
  console.log(
    `| hosts at once | pushlive, s | ansible.builtin.git, s | ratio | the playbook alone, s |\n|---|---|---|---|---|`,
  )
  for (const serial of [1, 5, 10, 25, 50].filter(serial => serial <= count)) {
    const times: { pushlive: number; git: number; alone: number }[] = []
    for (let run = 0; run < runs; run++) {
      await change()
      const pushlive = await play('pushlive.pushlive.deploy', serial)
      const git = await play(playbookWithGit, serial)
      // The playbook alone.
      times.push({
        pushlive,
        git,
        alone: await play('pushlive.pushlive.deploy', serial, { pushlive_deploy: nothing }),
      })
    }
    const [pushlive, git, alone] = (['pushlive', 'git', 'alone'] as const).map(name =>
      median(times.map(each => each[name])).toFixed(1),
    )
    const ratio = median(times.map(each => each.pushlive / each.git)).toFixed(2)
    console.log(`| ${serial} | ${pushlive} | ${git} | ${ratio} | ${alone} |`)
  }
  console.log(`\n${count} hosts on one machine of ${cpus().length} cores; medians of ${runs}.`)
}

try {
  await main()
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup()
}
