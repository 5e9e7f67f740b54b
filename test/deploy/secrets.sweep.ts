import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { askRef } from '../../scripts/lib/protocol/asks.ts'
import { restrictionTo } from '../../scripts/lib/setup/authorized-key.ts'
import { parseRemote, type Remote } from '../../scripts/lib/ssh/remote.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
import { processes } from '../lib/processes.ts'
import { startServer } from '../lib/site.ts'
import { pathWith } from '../lib/ssh-session.ts'
import { newKeyPair } from '../lib/sshd.ts'
import { letGo, waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

const $ = zx({ quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })

describe("The private key's text", async () => {
  const { newSite, key } = await startServer({ after })
  const body = key.privateKey.split('\n').slice(1, -2)
  const needles = [...body, Buffer.from(key.privateKey).toString('base64').slice(0, 60)]
  const assertAbsent = (text: string, where: string) => {
    for (const needle of needles) assert.ok(!text.includes(needle), `a part of the key is in ${where}`)
  }

  function assertNotOnDisk(folder: string) {
    for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const path = join(file.parentPath, file.name)
      if (file.isFile()) assertAbsent(readFileSync(path, 'latin1'), path)
    }
  }

  it('is in nothing that deploy prints or leaves, however the deployment ends', async t => {
    const site = await newSite(t)
    const TMPDIR = join(site.folder, 'tmp')
    mkdirSync(TMPDIR)
    // A step that shows its environment, as steps do.
    await site.commit({ Makefile: 'install-deps:\n\tenv; test ! -e "$$STEPS.broken"\nupgrade-db:\n' })
    const runs: Record<string, Record<string, string | undefined>> = {
      success: {},
      'success again': {},
      'wrong path': { STAGING_REMOTE_REPO: `${site.url}.nowhere` },
      'unknown host': { KNOWN_DEPLOYMENT_HOSTS: `elsewhere.example.org ${body}` },
      'no host known': { KNOWN_DEPLOYMENT_HOSTS: undefined },
      'in the place of the known hosts': { KNOWN_DEPLOYMENT_HOSTS: key.privateKey },
      'cut off': { SSH_DEPLOYMENT_KEY: key.privateKey.slice(0, -60) },
      'without its marks': { SSH_DEPLOYMENT_KEY: body.join('\n') },
      damaged: { SSH_DEPLOYMENT_KEY: key.privateKey.replace(/.(?=.{50}\n-----END)/, '?') },
      'local path': { STAGING_REMOTE_REPO: site.repository },
    }
    for (const [name, changes] of Object.entries(runs)) {
      const { output } = await site.deploy(['--again'], { TMPDIR, ...changes })
      assertAbsent(output, `what deploy prints: ${name}`)
    }
    writeFileSync(join(site.folder, 'steps.broken'), '')
    const { output } = assertExit(await site.deploy(['--again'], { TMPDIR }), 1)
    assertAbsent(output, 'what a failing deployment prints')
    for (const command of ['status', 'history'])
      assertAbsent((await site.deploy([command], { TMPDIR })).output, command)
    assertNotOnDisk(site.folder)
  })

  it('is in no argument and no environment of a process that deploy starts', async t => {
    const site = await newSite(t)
    await site.commit()
    const log = join(site.folder, 'log-of-processes')
    const recording = (name: string) => `{ printf '%s\\n' ${name} "$@"; env; } >> ${log}; exec /usr/bin/${name} "$@"`
    const PATH = pathWith(site, { git: recording('git'), ssh: recording('ssh') })
    for (const args of [[], ['--again'], ['check'], ['status'], ['rollback']]) await site.deploy(args, { PATH })
    const seen = readFileSync(log, 'utf8')
    assert.match(seen, /^rev-parse$/m)
    assert.match(seen, /^-M$/m)
    assertAbsent(seen, 'an argument or an environment')
    assert.doesNotMatch(seen, /^SSH_DEPLOYMENT_KEY=/m)
  })

  it('is in no argument of any process during a deployment', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    for (const { command } of processes()) assertAbsent(command, 'an argument')
    letGo(site)
    assertExit(await deploying, 0)
  })
})

describe('A stolen deploy key, as setup-ssh and post-receive install restrict it,', async () => {
  const { newSite, sshd } = await startServer({ after })
  const site = await newSite({ after })
  const other = await newSite({ after })
  const { privateKey, publicKey, file } = await newKeyPair(sshd.folder)
  sshd.authorize(publicKey, restrictionTo(parseRemote(site.url) as Remote))
  const config = sshd.clientConfig(file)
  const stolen = { SSH_DEPLOYMENT_KEY: privateKey }
  const git = site.git({ env: { ...site.deployEnvironment, GIT_SSH_COMMAND: `ssh -F ${config}` }, nothrow: true })
  await site.commit()
  await site.commit()

  it('deploys', async () => {
    assertExit(await site.deploy([], stolen), 0)
  })

  const refusal = /This key may only push to/
  it('opens no shell and runs no command', async () => {
    for (const command of [[], ['id'], ['git-receive-pack', "'/r.git';", 'id'], ['git', 'archive', 'HEAD']]) {
      const { stdout, stderr } = assertFails(
        await $`ssh -F ${config} ${command.length ? '-T' : '-tt'} 127.0.0.1 ${command}`,
      )
      assert.doesNotMatch(stdout, /uid=/)
      assert.match(stdout + stderr, command.length ? refusal : /PTY allocation request failed/)
    }
  })

  it('copies no file: not by scp, old or new, nor by sftp', async () => {
    const copy = join(site.folder, 'copy')
    for (const options of [['-O'], ['-s'], []]) {
      const taken = assertFails(await $`scp ${options} -F ${config} 127.0.0.1:/etc/passwd ${copy}`)
      assert.match(taken.stderr, /Connection closed|This key may only push to/)
      const there = join(site.folder, 'there')
      assertFails(await $`scp ${options} -F ${config} /etc/passwd ${`127.0.0.1:${there}`}`)
      assert.ok(!existsSync(there))
    }
    assertFails(await $`sftp -F ${config} ${`127.0.0.1:/etc/passwd`} ${copy}`)
    assert.ok(!existsSync(copy))
  })

  it('forwards no port, in neither direction', async () => {
    const forwarded = assertFails(await $`ssh -F ${config} -W ${`127.0.0.1:${sshd.port}`} 127.0.0.1`)
    assert.doesNotMatch(forwarded.stdout, /SSH-2\.0/)
    assert.match(forwarded.stderr, /administratively prohibited/)
    const back = assertExit(
      await $`timeout 20 ssh -F ${config} -N -o ExitOnForwardFailure=yes -R 0:127.0.0.1:22 127.0.0.1`,
      255,
    )
    assert.match(back.stderr, /remote port forwarding failed/)
  })

  it('reaches no other repository', async () => {
    const { output } = assertExit(await site.deploy([], { ...stolen, STAGING_REMOTE_REPO: other.url }), 3)
    assert.match(output, refusal)
    assert.equal(await other.ref('refs/heads/main'), undefined)
    for (const path of [`${site.repository}/../${'x'}`, `${site.repository}/`, `/~${site.repository}`]) {
      assertFails(await git`git ls-remote ${`ssh://127.0.0.1${path}`}`, path)
    }
    assertFails(await git`git archive --remote ${site.url} HEAD`)
  })

  /** Tries to push each. The server has to refuse all of them with these words. */
  async function refuses(specs: readonly string[], words: RegExp) {
    const refs = async () => (await site.serverGit`git for-each-ref`).stdout
    const before = await refs()
    const { stdout, stderr } = await git`git push --porcelain ${site.url} ${specs}`
    assert.equal(stdout.match(/^!\t/gm)?.length, specs.length, stdout + stderr)
    assert.match(stdout + stderr, words)
    assert.equal(await refs(), before)
  }

  it('pushes no other branch, writes no record, and deletes nothing', async () => {
    await refuses(['HEAD:refs/heads/other', 'HEAD:refs/notes/x'], /Only main can be pushed here/)
    await refuses(['HEAD:refs/deploy/main/failed', '+HEAD~1:refs/deploy/main/live'], /deny updating a hidden ref/)
    await refuses([':refs/deploy/main/history'], /deny (updating|deleting) a hidden ref/)
    await refuses(['+HEAD~1:refs/heads/main'], /non-fast-forward/)
    await refuses([':refs/heads/main'], /deletion prohibited/)
  })

  it('moves no tag and deletes none', async () => {
    const tagged = await git`git push ${site.url} HEAD:refs/tags/v1`
    assert.ok(tagged.ok, tagged.stderr)
    await refuses(['+HEAD~1:refs/tags/v1'], /A tag that is here can be neither moved nor deleted: v1/)
    await refuses([':refs/tags/v1'], /A tag that is here can be neither moved nor deleted: v1/)
  })

  it('leaves nothing that blocks later asks', async () => {
    const folder = 'refs/deploy-ask/main'
    const ask = askRef('main', { verb: 'again', commit: '0'.repeat(40) }, '0123456789abcdef')
    await refuses([`HEAD:${folder}`, `HEAD:${folder}/x`, `HEAD:${ask}/deeper`], /no way to ask|Only main can be pushed/)
    assertExit(await site.deploy(['--again'], stolen), 0)
  })

  it('cannot use a rollback to deploy a commit that is not on the branch', async () => {
    const live = await site.live()
    const tree = (await git`git rev-parse ${'HEAD^{tree}'}`).stdout.trim()
    const orphan = (await git`git commit-tree -m ${'Orphan'} ${tree}`).stdout.trim()
    // A new tag is accepted, and brings the commit with it. A tree or a blob could do so, too.
    await git`git tag orphan ${orphan}`
    for (const commit of [orphan, tree]) {
      const ref = askRef('main', { verb: 'rollback', commit }, `${commit.slice(0, 8)}`)
      const { stdout, stderr } = await git`git push --porcelain ${site.url} refs/tags/orphan ${`${commit}:${ref}`}`
      assert.match(stdout + stderr, new RegExp(`^remote: pushlive: ${commit} is not live`, 'm'))
      assert.equal(await site.live(), live)
    }
  })
})
