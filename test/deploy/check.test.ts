import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'
import { newKeyPair } from '../lib/sshd.ts'
import { letGo, waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

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
    const { output } = assertExit(await site.deploy(['check']), 0)
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
      'ok     ACTIVATE_VENV: export X=1',
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
