// What people see, as files that a reviewer reads. UPDATE_CAPTURES=1 writes them anew.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { type DeploymentRecord, formatRecord } from '../../scripts/lib/protocol/record.ts'
import { type Site, startServer } from '../lib/site.ts'
import { newKeyPair } from '../lib/sshd.ts'
import { showAtTerminal } from './terminal.ts'

/** Times, ids and addresses differ from run to run, and take the same room. */
function steady(shown: string, site: Site): string {
  const ids = [...new Set(shown.match(/\b[0-9a-f]{10}(?=[0-9a-f]{30}\b|\b)/g))]
  return shown
    .replace(/\b([0-9a-f]{10})([0-9a-f]{30})?\b/g, (_, id, rest = '') =>
      `${ids.indexOf(id) + 1}`.padEnd(10 + rest.length, 'c'),
    )
    .replaceAll(site.folder, '/tmp/site-000000')
    .replaceAll(`${userInfo().username}@`, 'root@')
    .replace(/127\.0\.0\.1:\d{5}/g, '127.0.0.1:22222')
    .replace(/\d+\.\d s(?=$|\n)/g, '0.0 s')
    .replace(/\bhook (source|\d+\.\d+\.\d+)/g, 'hook 0.0.0')
    .replace(/ +$/gm, '')
}

async function compare(
  name: string,
  site: Site,
  args: readonly string[],
  env: Record<string, string | undefined> = {},
) {
  for (const columns of [80, 120]) {
    const typed = ['$ deploy', ...args].join(' ')
    const shown = steady(`${typed}\n${await showAtTerminal(site, args, { columns, ...env })}`, site)
    const file = join(import.meta.dirname, `${columns}`, `${name}.txt`)
    if (process.env.UPDATE_CAPTURES) {
      mkdirSync(join(import.meta.dirname, `${columns}`), { recursive: true })
      writeFileSync(file, shown)
    } else assert.equal(shown, readFileSync(file, 'utf8'))
  }
}

describe('What a person at a terminal sees', async () => {
  const server = await startServer({ after })
  /** Without ssh, so that no address is shown. */
  const here = { STAGING_REMOTE_REPO: '../app.git', SSH_DEPLOYMENT_KEY: undefined, KNOWN_DEPLOYMENT_HOSTS: undefined }

  async function commit(site: Site, page: string, subject: string) {
    await site.commit({ 'page.txt': `${page}\n` })
    await site.git`git commit --quiet --amend --message ${subject}`
    return (await site.git`git rev-parse HEAD`).stdout.trim()
  }

  it('of deployments that are green, red, overtaken and rolled back', async t => {
    const site = await server.newSite(t)
    site.configure({
      RELEASES: '3',
      INSTALL_DEPS: 'echo one; echo two >&2; ! grep -q bad page.txt',
      HEALTH_CHECK_URL: '',
    })
    await commit(site, 'one', 'Version 1')
    await compare('again', site, ['--again'], here)
    const first = await commit(
      site,
      'two',
      'Version 2 of the page, whose subject is longer than any line of this kind should be',
    )
    await site.deploy()
    await compare('already-live', site, [], here)
    await commit(site, 'three', 'Version 3')
    await site.deploy()
    await site.git`git checkout --quiet --detach ${first}`
    await compare('overtaken', site, [], here)
    await site.git`git checkout --quiet main`
    await compare('rolled-back', site, ['rollback', first], here)
    await commit(site, 'bad', 'Break the page')
    await compare('red', site, [], here)
  })

  it('of status and history', async t => {
    const site = await server.newSite(t)
    const commits: string[] = []
    for (const subject of ['Version 1', 'Remove Python 3.8', 'Add a map, and 地図 in Japanese 🗺️', 'Version 2']) {
      commits.push(await commit(site, subject, subject))
    }
    await site.deploy()
    const [one = '', undone = '', bad = '', two = ''] = commits
    const minute = 60_000
    const shared = { who: 'deploy from 10.0.0.1', by: 'ada', steps: [] }
    const at = (minutes: number, seconds: number) => {
      const ended = Date.now() - minutes * minute - 30_000
      return { started: ended - seconds * 1000, ended }
    }
    const records: DeploymentRecord[] = [
      { commit: one, live: true, ...shared, ...at(3000, 8.1) },
      { commit: undone, previous: one, live: true, ...shared, ...at(2000, 12.1) },
      { commit: one, previous: undone, live: true, request: 'rollback', ...shared, ...at(1900, 0.3) },
      { commit: two, previous: one, live: true, ...shared, ...at(130, 12.1) },
      {
        commit: bad,
        previous: two,
        live: false,
        explanation: 'INSTALLING DEPENDENCIES failed: `make install-deps` exited with 2.',
        ...shared,
        ...at(10, 3),
        kept: [
          { release: 1, commit: one },
          { release: 2, commit: two },
        ],
      },
    ]
    let parent: string[] = []
    const tree = (await site.serverGit`git rev-parse ${two}^{tree}`).stdout.trim()
    for (const record of records) {
      const written = await site.serverGit({
        env: site.deployEnvironment,
      })`git commit-tree ${tree} ${parent} -m ${formatRecord(record)}`
      parent = ['-p', written.stdout.trim()]
    }
    await site.serverGit`git update-ref refs/deploy/main/history ${parent[1] ?? ''}`
    await compare('status', site, ['status'], { ...here, APP_URL: 'https://shop.example.org' })
    await compare('history', site, ['history'], here)
    await compare('history-two', site, ['history', '-n', '2'], here)
  })

  it('of a check', async t => {
    const site = await server.newSite(t)
    await commit(site, 'one', 'Version 1')
    site.configure({ HEALTH_CHECK_URL: '' })
    await compare('check', site, ['check'])
    site.configure({ HEALTH_CHECK_URL: undefined, INSTALL_DEPS: 'nowhere-to-be-found sync', PATH: '/usr/bin:/bin' })
    await site.commit({ Makefile: 'install-deps:\n' })
    await compare('check-problems', site, ['check'])
    const { privateKey } = await newKeyPair(site.folder)
    await compare('check-wrong-key', site, ['check'], { SSH_DEPLOYMENT_KEY: privateKey })
  })

  it('of what is wrong before anything is sent', async t => {
    const site = await server.newSite(t)
    await commit(site, 'one', 'Version 1')
    await compare('no-settings', site, [], { STAGING_REMOTE_REPO: undefined, BRANCH_NAME: undefined })
    const { privateKey } = await newKeyPair(site.folder)
    await compare('wrong-key', site, [], { SSH_DEPLOYMENT_KEY: privateKey })
    await compare('mistyped', site, ['stauts'], here)
    await compare('help-of-status', site, ['status', '--help'], here)
    await compare('nothing-live', site, ['status'], here)
  })
})
