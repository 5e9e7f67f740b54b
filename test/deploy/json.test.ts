import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { parseJson } from '../lib/json-schema.ts'
import { type Site, startServer } from '../lib/site.ts'

describe('deploy --json', async () => {
  const { sshd, newSite } = await startServer({ after })

  /** Standard output is JSON, and its exit code is the program's. */
  async function deployForJson(site: Site, args: string[] = [], changes: Record<string, string | undefined> = {}) {
    const { exitCode, stdout, stderr } = await site.startDeploy([...args, '--json'], changes)
    const { exitCode: told, ...result } = parseJson('deploy', stdout)
    assert.equal(told, exitCode, stdout + stderr)
    return { exitCode, stdout, stderr, result }
  }

  it('says whether the commit is live, and whether it went live now', async t => {
    const site = await newSite(t)
    const first = await site.commit()
    const { result, stderr } = assertExit(await deployForJson(site), 0)
    const { explanation, ...rest } = result
    assert.deepEqual(rest, { commit: first, live: true, changed: true })
    assert.match(explanation, /^in [\d.]+ s$/)
    assert.match(stderr, /^PUSHING /m)
    assert.match(stderr, new RegExp(`^${first} IS IN PLACE`, 'm'))

    const already = { commit: first, live: true, changed: false, explanation: 'already live' }
    assert.deepEqual((await deployForJson(site)).result, already)
    assert.equal((await deployForJson(site, ['--again'])).result.changed, true)

    const second = await site.commit()
    assert.equal((await deployForJson(site)).result.commit, second)
    const back = await deployForJson(site, ['rollback'])
    assert.deepEqual([back.result.commit, back.result.live, back.result.changed], [first, true, true], back.stderr)
    const none = await deployForJson(site, ['rollback'])
    assertExit(none, 1)
    assert.deepEqual([none.result.commit, none.result.live, none.result.changed], [null, false, false])
    assert.match(none.stderr, /^NOTHING WAS ROLLED BACK\.$/m)
  })

  it('says why a commit is not live', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'echo "##[error]"; exit 1' })
    const commit = await site.commit()
    const { result, stderr } = assertExit(await deployForJson(site), 1)
    assert.deepEqual([result.commit, result.live, result.changed], [commit, false, false])
    assert.match(result.explanation, /^INSTALLING DEPENDENCIES failed: `echo "##\[error\]"; exit 1` exited with 1\./)
    assert.match(stderr, new RegExp(`^${commit} IS NOT LIVE\\.$`, 'm'))
  })

  for (const [code, what, changes, args, explanation] of [
    [2, 'settings are wrong', { BRANCH_NAME: ' ' }, [], /BRANCH_NAME/],
    [2, 'there is no such commit', {}, ['rollback', 'no-such-name'], /no-such-name is not a commit/],
    [
      3,
      'the server cannot be reached',
      {
        STAGING_REMOTE_REPO: 'ssh://ada@127.0.0.1:1/app.git',
        KNOWN_DEPLOYMENT_HOSTS: `[127.0.0.1]:1 ${sshd.knownHosts.split(' ').slice(1).join(' ')}`,
      },
      [],
      /refuses connections/,
    ],
    [4, 'git refuses the push', { BRANCH_NAME: 'other' }, [], /declined/],
    [5, 'no hook answers', {}, [], /no pushlive hook answered/],
  ] as const) {
    it(`says that nothing is known where ${what}: exit ${code}`, async t => {
      const site = await newSite(t)
      const commit = await site.commit()
      await site.git`git branch other`
      if (code === 5) await site.serverGit`rm hooks/post-receive`
      const { result } = assertExit(await deployForJson(site, [...args], changes), code)
      const { explanation: said, ...rest } = result
      assert.deepEqual(rest, { commit: code === 2 ? null : commit, live: null, changed: false })
      assert.match(said, explanation)
    })
  }

  it('does not go with --dry-run', async t => {
    const site = await newSite(t)
    assertExit(await site.deploy(['--json', '--dry-run']), 2)
  })
})
