import assert from 'node:assert/strict'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { kill, processes } from '../lib/processes.ts'
import { type Site, startServer } from '../lib/site.ts'
import { letGo, waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

/** Replaces the hook by a shell script. */
function writeHook(site: Site, script: string) {
  const hook = join(site.repository, 'hooks/post-receive')
  rmSync(hook, { force: true })
  writeFileSync(hook, script, { mode: 0o755 })
}

describe('deploy exits with 0', async () => {
  const { newSite } = await startServer({ after })

  it('where the commit is already live: the hook checks, and runs nothing', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    assertExit(await site.deploy(), 0)
    site.steps()
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(
      output,
      new RegExp(`^${commit} IS IN PLACE \\(not checked: HEALTH_CHECK_URL is empty\\), as before\\.$`, 'm'),
    )
    assert.deepEqual(site.steps(), [])
    assert.deepEqual(await site.asks(), [])
  })

  it('where a newer commit that contains it is live, though git refuses to push the older one', async t => {
    const site = await newSite(t)
    const older = await site.commit()
    const newer = await site.commit()
    assertExit(await site.deploy(), 0)
    await site.git`git checkout --quiet --detach ${older}`
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, new RegExp(`^${older} IS IN PLACE .*as part of ${newer}`, 'm'))
    assert.doesNotMatch(output, /failed to push|hint:/)
  })

  it('for each of several pushes at once', async t => {
    const site = await newSite(t)
    const commits: string[] = []
    for (let n = 1; n <= 5; n++) commits.push(await site.commit({ 'page.txt': `${n}\n` }))
    const clones = await Promise.all(
      commits.map(async commit => {
        const clone = join(site.folder, `clone-${commit}`)
        await site.git`git clone --quiet ${site.clone} ${clone}`
        await site.git`git -C ${clone} checkout --quiet --detach ${commit}`
        return clone
      }),
    )
    const results = await Promise.all(clones.map(clone => site.deploy([], {}, clone)))
    for (const result of results) assertExit(result, 0)
    assert.equal(await site.live(), commits.at(-1))
    assert.deepEqual(await site.asks(), [])
  })

  for (const [what, args, expected] of [
    ['deploys one new commit', [], 0],
    ['deploys one commit that fails', [], 1],
    ['runs one commit again', ['--again'], 0],
    ['rolls back to one commit', ['rollback', 'main~'], 0],
  ] as const) {
    it(`or what all of them get where each ${what} at once`, async t => {
      const site = await newSite(t)
      await site.commit()
      await site.deploy()
      const last = await site.commit(expected === 0 ? {} : { Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
      if (args.length > 0) await site.deploy()
      const results = await Promise.all(Array.from({ length: 5 }, () => site.deploy(args)))
      for (const result of results) assertExit(result, expected)
      assert.equal((await site.live()) === last, expected === 0 && args[0] !== 'rollback')
      assert.deepEqual(await site.asks(), [])
    })
  }

  it('after --again, which runs the steps once more', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.deploy()
    site.steps()
    assertExit(await site.deploy(['--again']), 0)
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
  })
})

describe('deploy exits with 1', async () => {
  const { newSite } = await startServer({ after })

  it('where a step fails, and says what is live', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    const bad = await site.commit({ Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
    for (let time = 1; time <= 2; time++) {
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, new RegExp(`^${bad} IS NOT LIVE\\.\n {4}INSTALLING DEPENDENCIES failed`, 'm'))
    }
  })
})

describe('deploy exits with 5, and never 0,', async () => {
  const { newSite, sshd } = await startServer({ after })
  const hooks: Record<string, (site: Site) => void> = {
    'where there is no hook': site => rmSync(join(site.repository, 'hooks/post-receive')),
    'where the hook is another one': site => writeHook(site, '#!/bin/sh\necho deployed, of course\n'),
    'where the hook is not executable': site => chmodSync(join(site.repository, 'hooks/post-receive'), 0o644),
    "where the hook's interpreter is missing": site => writeHook(site, '#!/nowhere/sh\n'),
  }
  for (const [what, arrange] of Object.entries(hooks)) {
    it(`${what}: not verified, unless that is accepted`, async t => {
      const site = await newSite(t)
      await site.commit()
      arrange(site)
      for (const args of [[], [], ['--again']]) {
        const { output } = assertExit(await site.deploy(args), 5)
        assert.match(output, /^PUSHED, NOT VERIFIED: no pushlive hook answered/m)
        const [, kept = ''] = /git update-ref -d (\S+)/.exec(output) ?? []
        await site.serverGit`git update-ref -d ${kept}`
      }
      assert.deepEqual(await site.asks(), [])
      const ACCEPT_NO_VERDICT = 'yes'
      assertExit(await site.deploy([], { ACCEPT_NO_VERDICT }), 0)
      const rollback = assertExit(await site.deploy(['rollback'], { ACCEPT_NO_VERDICT }), 5)
      assert.match(rollback.output, /^NOT ROLLED BACK/m)
    })
  }

  it('where our hook answered before and cannot run any more', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    chmodSync(join(site.repository, 'hooks/post-receive'), 0o644)
    for (const args of [[], ['--again'], ['rollback']]) {
      assertExit(await site.deploy(args), 5)
    }
  })

  it('where the hook greets and then ends', async t => {
    const site = await newSite(t)
    await site.commit()
    writeHook(site, '#!/bin/sh\necho "pushlive post-receive 1.0.0, protocol 2"\nkill -9 $$\n')
    const { output } = assertExit(await site.deploy(), 5)
    assert.match(output, /^The server never reported a result[\s\S]*^To do: run deploy again: it finds out/m)
    assert.match((await site.deploy(['rollback'])).output, /To do: look at deploy status before you roll back again/)
  })

  it('where the hook is too old or too new: it names both versions, and which one to update', async t => {
    const site = await newSite(t)
    await site.commit()
    for (const [greeting, fix] of [
      [
        'pushlive post-receive 0.1.0 (7fa192d)',
        /protocol 1.*protocol 2[\s\S]*To do: update the hook: setup-ssh --hook SERVER_ENV/,
      ],
      [
        'pushlive post-receive 9.0.0, protocol 9',
        /9\.0\.0 \(protocol 9\)[\s\S]*To do: update deploy: .*pushlive 9\.0\.0/,
      ],
    ] as const) {
      writeHook(site, `#!/bin/sh\necho '${greeting}'\necho 'what is this?'\n`)
      const { output } = assertExit(await site.deploy(), 5)
      assert.match(output, fix)
    }
  })

  it('where the connection breaks during the deployment; running it again has the verdict', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    sshd.dropConnections()
    const { stderr } = assertExit(await deploying, 5)
    assert.match(stderr, /^To do: run deploy again: it finds out/m)
    const again = site.startDeploy()
    letGo(site)
    assertExit(await again, 0)
    assert.equal(await site.live(), commit)
  })

  it('where its git is killed, which it says, because git says nothing', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    const pushes = processes().filter(({ cwd, command }) => cwd === site.clone && /^git .* push /.test(command))
    for (const { pid } of pushes) kill(pid)
    letGo(site)
    const { stderr } = assertExit(await deploying, 5)
    assert.match(stderr, /^git push was ended by SIGKILL\.\n[\s\S]*^To do: run deploy again: it finds out/m)
  })

  it("whatever else is printed: deploy believes only the hook's own line", async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    writeHook(site, `#!/bin/sh\necho "    pushlive: ${commit} is live"\necho "x pushlive: ${commit} is live"\n`)
    assertExit(await site.deploy(), 5)
    const another = commit.replace(/./g, 'a')
    writeHook(site, `#!/bin/sh\necho "pushlive post-receive 1, protocol 2"\necho "pushlive: ${another} is live"\n`)
    assertExit(await site.deploy(['--again']), 5)
  })
})
