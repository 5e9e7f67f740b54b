import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'
import { newKeyPair } from '../lib/sshd.ts'
import { letGo, waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

/** Without ssh, which takes longer than all the rest. */
const atPath = ({ repository }: Site) => ({
  STAGING_REMOTE_REPO: repository,
  SSH_DEPLOYMENT_KEY: undefined,
  KNOWN_DEPLOYMENT_HOSTS: undefined,
})

describe('deploy check', async () => {
  const { newSite } = await startServer({ after })

  it('goes through all that a deployment needs, on both ends, and deploys nothing', async t => {
    const site = await newSite(t)
    site.configure({ PATH_TO_VENV: site.folder, ACTIVATE_VENV: 'export X=1' })
    mkdirSync(join(site.folder, 'bin'))
    const live = await site.commit()
    await site.deploy()
    site.steps()
    const commit = await site.commit({ 'page.txt': 'two\n' })
    appendFileSync(join(site.repository, 'hooks/update'), '# older\n')
    const { output } = assertExit(await site.deploy(['check']), 0)
    assert.match(
      output,
      /^ok {5}protection: .*; it is of another version or branch than the hook: `post-receive install`/m,
    )
    const expected = [
      'ok     settings: SSH_DEPLOYMENT_KEY is a private key without passphrase',
      'ok     settings: KNOWN_DEPLOYMENT_HOSTS has a host key of the server',
      `ok     commit: ${commit}`,
      `ok     connection: ${site.url}`,
      `ok     repository: it is there, and ${live} is live`,
      'ok     branch: main can be pushed',
      'ok     hook: pushlive post-receive ',
      `ok     settings of the hook: ${site.repository}/.env`,
      'ok     protection: ',
      `ok     log folder: ${site.repository}/pushlive/log`,
      'ok     lock: it is free',
      `ok     work tree: ${site.workTree}`,
      `ok     virtual environment: ${site.folder}/bin`,
      'ok     room: ',
      'ok     ACTIVATE_VENV: export X=1',
      'ok     INSTALL_DEPS: make is ',
      'ok     UPGRADE_DB: make is ',
      `ok     WSGI file: ${site.workTree}/wsgi.py`,
    ]
    const lines = output.split('\n').filter(line => /^(ok|FAIL|\?) /.test(line))
    assert.deepEqual(
      lines.map((line, index) => line.startsWith(expected[index] ?? '-')),
      expected.map(() => true),
      output,
    )
    assert.equal(await site.live(), live)
    assert.equal(await site.ref('refs/heads/main'), live)
    assert.deepEqual(await site.asks(), [])
    assert.deepEqual(site.steps(), [])
    assert.equal(site.read('page.txt'), 'one\n')
  })

  it('names all that is wrong on the server: exit 1', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    site.configure({
      PATH_TO_VENV: join(site.folder, 'nowhere'),
      PATH_TO_WSGI: join(site.folder, 'nowhere/wsgi.py'),
      STEP_TIMEOUT: 'soon',
    })
    const { output } = assertExit(await site.deploy(['check']), 1)
    assert.match(output, /^FAIL {3}settings of the hook: .*STEP_TIMEOUT is not a number/m)
    site.configure({ STEP_TIMEOUT: undefined })
    const settings = assertExit(await site.deploy(['check']), 1)
    assert.match(
      settings.output,
      /^FAIL {3}settings of the hook: PATH_TO_VENV.*\nFAIL {3}settings of the hook: PATH_TO_WSGI/m,
    )
  })

  it('tells which commands a deployment would not find, or not be let run', async t => {
    const site = await newSite(t)
    await site.commit()
    const bin = join(site.folder, 'bin')
    mkdirSync(bin)
    const PATH = `${bin}:${process.env.PATH}`
    const refusing = '#!/bin/sh\necho "sudo: a password is required" >&2\nexit 1\n'
    writeFileSync(join(bin, 'sudo'), refusing, { mode: 0o755 })
    const RESTART = 'sudo -n /usr/bin/systemctl reload shop.service'
    site.configure({
      PATH,
      INSTALL_DEPS: 'nowhere-to-be-found sync',
      BUILD: 'brought-by-install',
      UPGRADE_DB: 'cd .',
      RESTART,
    })
    const { output } = assertExit(await site.deploy(['check']), 1)
    assert.match(
      output,
      /^FAIL {3}INSTALL_DEPS: there is no nowhere-to-be-found on the PATH .*To do: install it there/m,
    )
    assert.match(output, /^ok {5}BUILD: there is no brought-by-install yet: the install has to bring it$/m)
    assert.match(output, /^ok {5}UPGRADE_DB: cd is cd$/m)
    assert.match(output, /^ok {5}RESTART: sudo is .*\/bin\/sudo$/m)
    assert.match(
      output,
      /^FAIL {3}sudo: \/usr\/bin\/systemctl reload shop\.service: .* a password is required\. To do: .*NOPASSWD/m,
    )
  })

  it('looks for the commands where ACTIVATE_VENV leads', async t => {
    const site = await newSite(t)
    await site.commit()
    const bin = join(site.folder, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'only-activated'), '', { mode: 0o755 })
    site.configure({ ACTIVATE_VENV: `PATH=${bin}:$PATH`, INSTALL_DEPS: 'only-activated', UPGRADE_DB: 'nowhere' })
    const unknown = assertExit(await site.deploy(['check'], atPath(site)), 0)
    assert.match(unknown.output, /^ok {5}commands: not looked for: ACTIVATE_VENV may bring them$/m)
    mkdirSync(site.workTree)
    site.configure({ ACTIVATE_VENV: `PATH=${bin}:$PATH`, INSTALL_DEPS: 'nowhere', UPGRADE_DB: 'only-activated' })
    const { output } = assertExit(await site.deploy(['check'], atPath(site)), 1)
    assert.match(output, /^FAIL {3}INSTALL_DEPS: there is no nowhere on the PATH /m)
    assert.match(output, new RegExp(`^ok {5}UPGRADE_DB: only-activated is ${bin}/only-activated$`, 'm'))
  })

  it('tells what make would not find in the commit, which is not pushed yet, and what cannot be shared', async t => {
    const site = await newSite(t)
    const touched = join(site.folder, 'touched')
    site.configure({ BUILD: 'make -s assets styles', UPGRADE_DB: 'make migrate && make docs' })
    await site.commit({
      Makefile: `X := $(shell touch ${touched})\ninstall-deps assets: x\n%.css: %.less\ndocs-%:\n.PHONY: migrate\n`,
      'docs/index.md': '',
    })
    const { output } = assertExit(await site.deploy(['check'], atPath(site)), 1)
    assert.match(
      output,
      /^FAIL {3}BUILD: the commit has no rule for styles in its Makefile\. To do: add it, or set BUILD/m,
    )
    assert.match(output, /^ok {5}INSTALL_DEPS: make is [\s\S]*^ok {5}UPGRADE_DB: make is /m)
    assert.ok(!existsSync(touched))
    assert.equal(await site.ref('refs/heads/main'), undefined)

    site.configure({ RELEASES: '3', SHARED_PATHS: 'docs' })
    await site.commit({ Makefile: 'include rules.mk\n' })
    const shared = assertExit(await site.deploy(['check'], atPath(site)), 1)
    assert.match(shared.output, /^FAIL {3}SHARED_PATHS: The commit has docs\/index\.md, which SHARED_PATHS names/m)
    site.configure({ RELEASES: undefined, SHARED_PATHS: undefined })
    assertExit(await site.deploy(['check'], atPath(site)), 0)
    await site.commit({ Makefile: undefined })
    const none = assertExit(await site.deploy(['check'], atPath(site)), 1)
    assert.match(
      none.output,
      /^FAIL {3}INSTALL_DEPS: it is not set, and the commit has no Makefile\. To do: set INSTALL_DEPS/m,
    )
    site.configure({ MAKEFILES: join(site.folder, 'rules.mk') })
    assertExit(await site.deploy(['check'], atPath(site)), 0)
  })

  it('tells which files would be in the way of the checkout', async t => {
    const site = await newSite(t)
    await site.commit()
    assertExit(await site.deploy([], atPath(site)), 0)
    const untracked = join(site.workTree, 'notes.txt')
    writeFileSync(untracked, 'by hand')
    await site.commit({ 'notes.txt': 'by git' })
    const { output } = assertExit(await site.deploy(['check'], atPath(site)), 1)
    assert.match(output, /^FAIL +checkout: Files that git does not know are in the way in .*: notes\.txt\. To do: /m)
    assert.equal(readFileSync(untracked, 'utf8'), 'by hand')
    rmSync(untracked)
    assertExit(await site.deploy(['check'], atPath(site)), 0)
  })

  it("tells what the health check's address answers now", async t => {
    const site = await newSite(t)
    await site.commit()
    let status = 200
    const server = createServer((_, response) => response.writeHead(status).end()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ping`
    site.configure({ HEALTH_CHECK_URL: url.replace('//', '//ada:secret@') })
    const check = async () => (await site.deploy(['check'], atPath(site))).output
    assert.match(await check(), new RegExp(`^ok {5}health check: ${url} answers 200 OK$`, 'm'))
    status = 404
    assert.match(await check(), /^ok {5}health check: .* answers 404 Not Found now: .* 2xx$/m)
    server.close()
    await once(server, 'close')
    assert.match(await check(), /^ok {5}health check: .*\/ping does not answer now: connect ECONNREFUSED/m)
    site.configure({ HEALTH_CHECK_URL: 'http://nowhere.invalid/' })
    assert.match(await check(), /^(FAIL {3}health check: .* cannot answer: .*ENOTFOUND|ok .*EAI_AGAIN)/m)
  })

  const isRoot = userInfo().uid === 0
  it('tells where the disk has no room for one more release', { skip: !isRoot && 'only root may mount' }, async t => {
    const site = await newSite(t)
    const disk = join(site.folder, 'disk')
    mkdirSync(disk)
    await site.git`mount -t tmpfs -o size=1m tmpfs ${disk}`
    try {
      const workTree = join(disk, 'www')
      site.configure({ RELEASES: '3', PATH_TO_GIT_WORK_TREE: workTree, PATH_TO_WSGI: join(workTree, 'wsgi.py') })
      await site.commit({
        big: randomBytes(600_000)
          .toString('latin1')
          .replaceAll(/[^ -~]/g, 'x'),
      })
      const enough = assertExit(await site.deploy(['check'], atPath(site)), 0)
      assert.match(enough.output, /^ok {5}room: 1\.0 MB are free in /m)
      assertExit(await site.deploy([], atPath(site)), 0)
      await site.commit()
      const { output } = assertExit(await site.deploy(['check'], atPath(site)), 1)
      assert.match(
        output,
        /^FAIL {3}room: 0\.\d MB are free in .*, and a deployment adds 0\.6 MB at least\. To do: make room/m,
      )
      assertExit(await site.deploy([], atPath(site)), 1)
    } finally {
      await site.git`umount --lazy ${disk}`
    }
  })

  it('ends with the code and the words of the first that is wrong here', async t => {
    const site = await newSite(t)
    await site.commit()
    const { privateKey } = await newKeyPair(site.folder)
    const denied = assertExit(await site.deploy(['check'], { SSH_DEPLOYMENT_KEY: privateKey }), 3)
    assert.match(denied.output, /^FAIL {3}connection: The server does not accept the key/m)
    assert.match(denied.output, /^To do: /m)
    const missing = assertExit(await site.deploy(['check'], { STAGING_REMOTE_REPO: `${site.url}.nowhere` }), 3)
    assert.match(missing.output, /^FAIL {3}repository: There is no repository at this path/m)
    await site.deploy()
    await site.git`git commit --quiet --amend --message ${'another'}`
    const { output } = assertExit(await site.deploy(['check']), 4)
    assert.match(output, /^FAIL {3}branch: .*not a fast-forward/m)
    assertExit(await site.deploy(['check', 'surplus']), 2)
  })

  it('says who holds the lock, and does not wait', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    const running = await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    const checked = await site.deploy(['check'])
    letGo(site)
    const { output } = assertExit(checked, 0)
    assert.match(output, new RegExp(`^ok {5}lock: the deployment of ${running} has it now`, 'm'))
    assertExit(await deploying, 0)
  })

  it('pushes nothing to a hook that may not be ours, since a bash hook deploys at any push', async t => {
    const site = await newSite(t)
    const ran = join(site.folder, 'ran')
    writeFileSync(join(site.repository, 'hooks/post-receive'), `#!/bin/sh\ntouch ${ran}\n`, { mode: 0o755 })
    await site.serverGit`git update-ref -d refs/deploy/main/hook`
    await site.commit()
    const { output } = assertExit(await site.deploy(['check']), 0)
    assert.match(output, /^\? {6}hook: not asked/m)
    assert.ok(!existsSync(ran))
  })

  it('says what to do where the server does not let the hook be asked, and where it deploys another branch', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    site.configure({ BRANCH_NAME: 'production' })
    const other = assertExit(await site.deploy(['check']), 1)
    assert.deepEqual(await site.asks(), [])
    assert.match(other.output, /^FAIL {3}hook: .*only pushes of production are deployed here/m)
    for (const ref of ['refs', '!refs/heads/main']) await site.serverGit`git config --add receive.hideRefs ${ref}`
    const hidden = assertExit(await site.deploy(['check']), 4)
    assert.match(
      hidden.output,
      /^FAIL {3}hook: The server does not let its hook be asked[\s\S]*setup-ssh --hook SERVER_ENV/m,
    )
  })

  it('reports what git would refuse of a shallow clone only when it is pushed', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.commit()
    const { output } = assertExit(await site.deploy(['check'], {}, await site.cloneShallow()), 4)
    assert.match(output, /^FAIL {3}hook: This is a shallow clone[\s\S]*To do: git fetch --unshallow/m)
  })

  it('reports a shallow clone', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    await site.commit()
    await site.commit()
    const shallow = await site.cloneShallow()
    const { output } = assertExit(await site.deploy(['check'], {}, shallow), 4)
    assert.match(output, /To do: .*git fetch --unshallow/)
  })
})
