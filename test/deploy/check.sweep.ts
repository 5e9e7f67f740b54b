import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { check } from '../lib/checks.ts'
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
    const { found, said, answer } = await check(site, 0)
    const expected = [
      'ok key: SSH_DEPLOYMENT_KEY is a private key without passphrase',
      'ok known hosts: KNOWN_DEPLOYMENT_HOSTS has a host key of the server',
      `ok commit: ${commit}`,
      `ok connection: ${site.url}`,
      `ok repository: it is there, and ${live} is live`,
      'ok branch: main can be pushed',
      'ok hook: pushlive post-receive ',
      `ok settings of the hook: ${site.repository}/.env`,
      'ok HEALTH_CHECK_URL: it is not set. To do: set it, ',
      `ok protection: hooks/update is of another version or branch than the hook. To do: post-receive install ${site.repository}`,
      `ok log folder: ${site.repository}/pushlive/log`,
      'ok lock: it is free',
      `ok work tree: ${site.workTree}`,
      `ok virtual environment: ${site.folder}/bin`,
      'ok room: ',
      'ok ACTIVATE_VENV: export X=1',
      'ok INSTALL_DEPS: make is ',
      'ok UPGRADE_DB: make is ',
      `ok WSGI file: ${site.workTree}/wsgi.py`,
    ]
    const lines = found.split('\n')
    assert.deepEqual(
      lines.map((line, index) => line.startsWith(expected[index] ?? '-')),
      expected.map(() => true),
      found,
    )
    const { checks, ...whole } = answer
    assert.deepEqual(whole, { commit, ready: true, exitCode: 0 })
    assert.deepEqual(
      checks.map(({ where }) => where),
      lines.map((_, index) => (index < 3 ? 'here' : 'server')),
    )
    const id = commit.slice(0, 10)
    assert.match(
      said,
      new RegExp(`^Here {4}✓ key {2}✓ known hosts {2}✓ commit ${id}\nServer {2}✓ connection {2}✓ repo`),
    )
    assert.match(said, /^ {8}! HEALTH_CHECK_URL: it is not set\n {10}To do: set it, so that /m)
    assert.match(said, /\n✓ Nothing is in the way of a deployment\.\n$/)
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
    const { found } = await check(site, 1)
    assert.match(found, /^wrong settings of the hook: .*STEP_TIMEOUT is not a number/m)
    site.configure({ STEP_TIMEOUT: undefined })
    const settings = await check(site, 1)
    assert.match(
      settings.found,
      /^wrong settings of the hook: PATH_TO_VENV.*\nwrong settings of the hook: PATH_TO_WSGI/m,
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
    const { found } = await check(site, 1)
    assert.match(found, /^wrong INSTALL_DEPS: there is no nowhere-to-be-found on the PATH .*To do: install it there/m)
    assert.match(found, /^ok BUILD: there is no brought-by-install yet: the install has to bring it$/m)
    assert.match(found, /^ok UPGRADE_DB: cd is cd$/m)
    assert.match(found, /^ok RESTART: sudo is .*\/bin\/sudo$/m)
    assert.match(
      found,
      /^wrong sudo: \/usr\/bin\/systemctl reload shop\.service: .* a password is required\. To do: .*NOPASSWD/m,
    )
  })

  it('looks for the commands where ACTIVATE_VENV leads', async t => {
    const site = await newSite(t)
    await site.commit()
    const bin = join(site.folder, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'only-activated'), '', { mode: 0o755 })
    site.configure({ ACTIVATE_VENV: `PATH=${bin}:$PATH`, INSTALL_DEPS: 'only-activated', UPGRADE_DB: 'nowhere' })
    const unknown = await check(site, 0, atPath(site))
    assert.match(unknown.found, /^ok commands: not looked for: ACTIVATE_VENV may bring them$/m)
    mkdirSync(site.workTree)
    site.configure({ ACTIVATE_VENV: `PATH=${bin}:$PATH`, INSTALL_DEPS: 'nowhere', UPGRADE_DB: 'only-activated' })
    const { found } = await check(site, 1, atPath(site))
    assert.match(found, /^wrong INSTALL_DEPS: there is no nowhere on the PATH /m)
    assert.match(found, new RegExp(`^ok UPGRADE_DB: only-activated is ${bin}/only-activated$`, 'm'))
  })

  it('tells what make would not find in the commit, which is not pushed yet, and what cannot be shared', async t => {
    const site = await newSite(t)
    const touched = join(site.folder, 'touched')
    site.configure({ BUILD: 'make -s assets styles', UPGRADE_DB: 'make migrate && make docs' })
    await site.commit({
      Makefile: `X := $(shell touch ${touched})\ninstall-deps assets: x\n%.css: %.less\ndocs-%:\n.PHONY: migrate\n`,
      'docs/index.md': '',
    })
    const { found } = await check(site, 1, atPath(site))
    assert.match(
      found,
      /^wrong BUILD: the commit has no rule for styles in its Makefile\. To do: add it, or set BUILD/m,
    )
    assert.match(found, /^ok INSTALL_DEPS: make is [\s\S]*^ok UPGRADE_DB: make is /m)
    assert.ok(!existsSync(touched))
    assert.equal(await site.ref('refs/heads/main'), undefined)

    site.configure({ RELEASES: '3', SHARED_PATHS: 'docs' })
    await site.commit({ Makefile: 'include rules.mk\n' })
    const shared = await check(site, 1, atPath(site))
    assert.match(shared.found, /^wrong SHARED_PATHS: The commit has docs\/index\.md, which SHARED_PATHS names/m)
    site.configure({ RELEASES: undefined, SHARED_PATHS: undefined })
    await check(site, 0, atPath(site))
    await site.commit({ Makefile: undefined })
    const none = await check(site, 1, atPath(site))
    assert.match(
      none.found,
      /^wrong INSTALL_DEPS: it is not set, and the commit has no Makefile\. To do: set INSTALL_DEPS/m,
    )
    site.configure({ MAKEFILES: join(site.folder, 'rules.mk') })
    await check(site, 0, atPath(site))
  })

  it('tells which files would be in the way of the checkout', async t => {
    const site = await newSite(t)
    await site.commit()
    assertExit(await site.deploy([], atPath(site)), 0)
    const untracked = join(site.workTree, 'notes.txt')
    writeFileSync(untracked, 'by hand')
    await site.commit({ 'notes.txt': 'by git' })
    const { found } = await check(site, 1, atPath(site))
    assert.match(found, /^wrong checkout: Files that git does not know are in the way in .*: notes\.txt\. To do: /m)
    assert.equal(readFileSync(untracked, 'utf8'), 'by hand')
    rmSync(untracked)
    await check(site, 0, atPath(site))
  })

  it("tells what the health check's address answers now", async t => {
    const site = await newSite(t)
    await site.commit()
    let status = 200
    const server = createServer((_, response) => response.writeHead(status).end()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ping`
    site.configure({ HEALTH_CHECK_URL: url.replace('//', '//ada:secret@') })
    const look = async (code = 0) => (await check(site, code, atPath(site))).found
    assert.match(await look(), new RegExp(`^ok health check: ${url} answers 200 OK$`, 'm'))
    status = 404
    assert.match(await look(), /^ok health check: .* answers 404 Not Found now: .* 2xx$/m)
    server.close()
    await once(server, 'close')
    assert.match(await look(), /^ok health check: .*\/ping does not answer now: connect ECONNREFUSED/m)
    site.configure({ HEALTH_CHECK_URL: 'http://nowhere.invalid/' })
    const { exitCode } = await site.deploy(['check'], atPath(site))
    assert.match(await look(Number(exitCode)), /^(wrong health check: .* cannot answer: .*ENOTFOUND|ok .*EAI_AGAIN)/m)
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
      const enough = await check(site, 0, atPath(site))
      assert.match(enough.found, /^ok room: 1\.0 MB are free in /m)
      assertExit(await site.deploy([], atPath(site)), 0)
      await site.commit()
      const { found } = await check(site, 1, atPath(site))
      assert.match(
        found,
        /^wrong room: 0\.\d MB are free in .*, and a deployment adds 0\.6 MB at least\. To do: make room/m,
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
    const denied = await check(site, 3, { SSH_DEPLOYMENT_KEY: privateKey })
    assert.match(denied.found, /^wrong connection: The server does not accept the key/m)
    assert.match(
      denied.said,
      /^Server {2}✗ connection: The server does not .*\n {10}To do: .*\n1 problem: a deployment would fail\.\n$/m,
    )
    const missing = await check(site, 3, { STAGING_REMOTE_REPO: `${site.url}.nowhere` })
    assert.match(missing.found, /^wrong repository: There is no repository at this path/m)
    await site.deploy()
    await site.git`git commit --quiet --amend --message ${'another'}`
    const { found } = await check(site, 4)
    assert.match(found, /^wrong branch: .*not a fast-forward/m)
    assertExit(await site.deploy(['check', 'surplus']), 2)
  })

  it('says who holds the lock, and does not wait', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    const running = await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    const { found } = await check(site, 0)
    letGo(site)
    assert.match(found, new RegExp(`^ok lock: the deployment of ${running} has it now`, 'm'))
    assertExit(await deploying, 0)
  })

  it('pushes nothing to a hook that may not be ours, since a bash hook deploys at any push', async t => {
    const site = await newSite(t)
    const ran = join(site.folder, 'ran')
    writeFileSync(join(site.repository, 'hooks/post-receive'), `#!/bin/sh\ntouch ${ran}\n`, { mode: 0o755 })
    await site.serverGit`git update-ref -d refs/deploy/main/hook`
    await site.commit()
    const { found } = await check(site, 0)
    assert.match(found, /^\? hook: not asked/m)
    assert.ok(!existsSync(ran))
  })

  it('says what to do where the server does not let the hook be asked, and where it deploys another branch', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    site.configure({ BRANCH_NAME: 'production' })
    const other = await check(site, 1)
    assert.deepEqual(await site.asks(), [])
    assert.match(other.found, /^wrong hook: .*only pushes of production are deployed here/m)
    for (const ref of ['refs', '!refs/heads/main']) await site.serverGit`git config --add receive.hideRefs ${ref}`
    const hidden = await check(site, 4)
    assert.match(
      hidden.found,
      /^wrong hook: The server does not let its hook be asked[\s\S]*setup-ssh --hook SERVER_ENV/m,
    )
  })

  it('reports what git would refuse of a shallow clone only when it is pushed', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.commit()
    const { found } = await check(site, 4, {}, await site.cloneShallow())
    assert.match(found, /^wrong hook: This is a shallow clone[\s\S]*To do: git fetch --unshallow/m)
  })

  it('reports a shallow clone', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    await site.commit()
    await site.commit()
    const shallow = await site.cloneShallow()
    const { found } = await check(site, 4, {}, shallow)
    assert.match(found, /To do: .*git fetch --unshallow/)
  })
})
