import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('The settings of deploy', async () => {
  const { newSite } = await startServer({ after })

  it('that are missing or malformed are all named: exit 2', async t => {
    const site = await newSite(t)
    await site.commit()
    const { output } = assertExit(
      await site.deploy([], {
        STAGING_REMOTE_REPO: undefined,
        BRANCH_NAME: '',
        PROXY_JUMP: 'a b',
        ACCEPT_NO_VERDICT: 'maybe',
      }),
      2,
    )
    assert.match(output, /^4 settings are wrong\./)
    assert.match(output, /STAGING_REMOTE_REPO is missing/)
    assert.match(output, /BRANCH_NAME is missing/)
    assert.match(output, /PROXY_JUMP is not user@host/)
    assert.match(output, /ACCEPT_NO_VERDICT is neither yes nor no/)
    for (const STAGING_REMOTE_REPO of ['https://example.org/x', 'ext::sh', '/a=b', '-x', 'host:'])
      assertExit(await site.deploy([], { STAGING_REMOTE_REPO }), 2)
    const alone = assertExit(await site.deploy([], { KNOWN_DEPLOYMENT_HOSTS: undefined }), 2)
    assert.match(alone.output, /SSH_DEPLOYMENT_KEY is there without KNOWN_DEPLOYMENT_HOSTS/)
    assertExit(await site.deploy(['--env-file', 'nowhere']), 2)
  })

  it('are refused where BRANCH_NAME is no name that git allows: exit 2', async t => {
    const site = await newSite(t)
    await site.commit()
    const wrong = [
      'a b',
      'main\n',
      'a*',
      'a:b',
      'a..b',
      '/a',
      'a/',
      'a//b',
      '.a',
      'a/.b',
      'a.lock',
      'a.',
      'a@{1}',
      'a\\b',
    ]
    for (const BRANCH_NAME of wrong) {
      const { output } = assertExit(await site.deploy([], { BRANCH_NAME }), 2)
      assert.match(output, /BRANCH_NAME is not a name that git allows for a branch/)
    }
  })

  it('come from .env and --env-file, and the environment wins', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ '.gitignore': '.env*\n' })
    const { STAGING_REMOTE_REPO } = site.deployEnvironment
    const absent = { STAGING_REMOTE_REPO: undefined, BRANCH_NAME: undefined }
    writeFileSync(join(site.clone, '.env'), `STAGING_REMOTE_REPO="${STAGING_REMOTE_REPO}"\nBRANCH_NAME=wrong\n`)
    assertExit(await site.deploy([], { ...absent, BRANCH_NAME: 'main' }), 0)
    assert.equal(await site.live(), commit)
    writeFileSync(join(site.clone, '.env.b'), `STAGING_REMOTE_REPO="${STAGING_REMOTE_REPO}"\nBRANCH_NAME=main\n`)
    assertExit(await site.deploy(['--env-file', '.env.b', 'status'], absent), 0)
  })

  it('are refused where dotenv would cut a value at a # that bash would keep: exit 2', async t => {
    const site = await newSite(t)
    await site.commit()
    const write = (line: string) => writeFileSync(join(site.clone, '.env'), `A='one\nAPP_URL=x#y\n'\n${line}\n`)
    const deploy = () => site.deploy(['check'], { BRANCH_NAME: undefined })
    for (const line of ['BRANCH_NAME=main#4', 'export BRANCH_NAME = main#', 'TOKEN=a#b#c\nBRANCH_NAME=main']) {
      write(line)
      const { output } = assertExit(await deploy(), 2, line)
      assert.match(output, /^(BRANCH_NAME|TOKEN) would end at the # in \.env\.\nTo do: put the value in quotes/m)
    }
    for (const line of [
      'BRANCH_NAME=main # the one',
      'BRANCH_NAME="main" #',
      '# a=b#c\nBRANCH_NAME=main',
      "BRANCH_NAME='main'#",
    ]) {
      write(line)
      const { output } = await deploy()
      assert.doesNotMatch(output, /would end|BRANCH_NAME/, line)
    }
  })

  it('may name files that hold the secrets, as GitLab does; an empty value counts as unset', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const { SSH_DEPLOYMENT_KEY: key, KNOWN_DEPLOYMENT_HOSTS: hosts } = site.deployEnvironment
    const file = (name: string, content: string) => {
      writeFileSync(join(site.home, name), content, { mode: 0o600 })
      return join(site.home, name)
    }
    const asFiles = { SSH_DEPLOYMENT_KEY: file('a key', key), KNOWN_DEPLOYMENT_HOSTS: file('hosts', hosts) }
    assertExit(await site.deploy([], asFiles), 0)
    assert.equal(await site.live(), commit)
    const inHome = { ...asFiles, SSH_DEPLOYMENT_KEY: '~/a key' }
    assertExit(await site.deploy([], inHome), 0)

    const local = { STAGING_REMOTE_REPO: site.repository }
    for (const empty of ['', ' \n', file('empty', '')]) {
      const unset = { SSH_DEPLOYMENT_KEY: empty, KNOWN_DEPLOYMENT_HOSTS: empty }
      const check = assertExit(await site.deploy(['check'], { ...local, ...unset }), 0)
      assert.match(check.output, /^Here {4}✓ your own key {2}✓ your own known hosts /m)
    }
    const nowhere = assertExit(await site.deploy([], { SSH_DEPLOYMENT_KEY: '/no/such/file' }), 2)
    assert.match(nowhere.output, /SSH_DEPLOYMENT_KEY/)
  })

  it('may name a path on this machine, which needs no ssh', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const noSecrets = { SSH_DEPLOYMENT_KEY: undefined, KNOWN_DEPLOYMENT_HOSTS: undefined }
    assertExit(await site.deploy([], { STAGING_REMOTE_REPO: ` ${site.repository}\n`, ...noSecrets }), 0)
    assert.equal(await site.live(), commit)
  })

  it('set the remote of the clone in each run, as DEPLOY.sh does', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    assert.equal((await site.git`git remote get-url staging`).stdout.trim(), site.url)
    await site.git`git remote set-url staging https://example.org/old.git`
    await site.deploy()
    assert.equal((await site.git`git remote get-url staging`).stdout.trim(), site.url)
    assert.equal((await site.git`git config remote.staging.fetch`).stdout, '+refs/heads/*:refs/remotes/staging/*\n')
  })
})

describe('deploy', async () => {
  const { newSite } = await startServer({ after })

  it('prints its version and its help', async t => {
    const site = await newSite(t)
    for (const args of [['--version'], ['status', '--version']])
      assert.match((await site.deploy(args)).output, /^pushlive deploy /)
    assert.match((await site.deploy(['--help'])).output, /^Usage: deploy \[--again/)
    const ofRollback = (await site.deploy(['help', 'rollback'])).output
    assert.match(ofRollback, /^Usage: deploy rollback .*\n\nIt goes back[\s\S]*^ {2}--database /m)
    assert.equal((await site.deploy(['rollback', '-h'])).output, ofRollback)
    assert.match(
      assertExit(await site.deploy(['statsu']), 2).output,
      /^deploy has no command 'statsu'\.\nTo do: did you mean status\?/,
    )
    assert.match(
      assertExit(await site.deploy(['rollback', '--dry-run']), 2).output,
      /^deploy rollback has no option --dry-run\./,
    )
  })
})
