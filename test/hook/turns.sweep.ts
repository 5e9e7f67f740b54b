import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { waitFor, waitForOutput } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { killHook, leftovers } from '../lib/kills.ts'
import { kill, processes, send, waitingFlocks, waitingHooks } from '../lib/processes.ts'
import { type Site, startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'
import { letGo, waitForStep, waitingCommand, waitingMakefile } from '../lib/waiting-step.ts'

describe('Deployments of one work tree', async () => {
  const { newSite } = await startServer({ after })

  it('take turns; one that waits says for which one, and the newest push wins', async t => {
    const site = await newSite(t)
    const first = await site.commit({ Makefile: waitingMakefile })
    const deploying = [site.startDeploy()]
    await waitForStep(site)
    let newest = first
    for (const page of ['two', 'three', 'four']) {
      newest = await site.commit({ 'page.txt': page })
      deploying.push(site.startDeploy())
      await waitFor(`${newest} is pushed`, async () => (await site.ref('refs/heads/main')) === newest)
    }
    await waitFor('all wait', () => waitingHooks(site.repository) === 3)
    letGo(site)
    const results = await Promise.all(deploying)
    for (const result of results) assertExit(result, 0)
    assert.equal(await site.live(), newest)
    assert.deepEqual(site.steps(), [`install ${first}`, `upgrade ${first}`, `install ${newest}`, `upgrade ${newest}`])
    assert.match(
      results[1]?.stderr ?? '',
      new RegExp(`WAITING FOR THE DEPLOYMENT OF ${first} \\(running since .*, process \\d+\\)`),
    )
    assert.match(results[1]?.stdout ?? '', new RegExp(`IS IN PLACE .*as part of ${newest}`))
  })

  it('wait until the step that a killed hook has left ends', async t => {
    const site = await newSite(t)
    await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    killHook(site)
    await deploying
    const commit = await site.commit({ 'page.txt': 'two\n' })
    const next = site.startDeploy()
    await waitForOutput(
      next.stderr,
      /WAITING FOR PROCESS \d+ \(make install-deps\), WHICH A KILLED DEPLOYMENT HAS LEFT/,
    )
    assert.equal(site.steps().length, 1)
    letGo(site)
    assertExit(await next, 0)
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
  })

  const slow = `${waitingCommand}; cat; echo late`
  const commands: Record<string, (site: Site) => Promise<unknown>> = {
    'a step': async site => site.configure({ INSTALL_DEPS: `sh -c '${slow} > page.txt' < /dev/null; true` }),
    'the checkout': site => site.git`git -C ${site.repository} config filter.slow.smudge ${slow}`,
  }
  for (const [name, configure] of Object.entries(commands)) {
    it(`end what is left of ${name} where its first process was killed with the hook`, async t => {
      const site = await newSite(t)
      await configure(site)
      await site.commit({ 'page.txt': 'one\n', '.gitattributes': 'page.txt filter=slow\n' })
      const deploying = site.startDeploy()
      await waitForStep(site)
      const [working] = leftovers(site).filter(
        ({ cwd, command }) => cwd === site.workTree && /^(\/bin\/)?sh -c/.test(command),
      )
      assert.ok(working)
      const { session } = working
      killHook(site)
      kill(session)
      await deploying
      site.configure({ INSTALL_DEPS: 'true' })
      const commit = await site.commit({ 'page.txt': 'two\n', '.gitattributes': '' })
      const { output } = assertExit(await site.deploy(), 0)
      letGo(site)
      await waitFor('nothing of it runs any more', () => !processes().some(process => process.session === session))
      assert.equal(site.read('page.txt'), 'two\n', output)
      assert.equal((await site.workTreeGit`git status --porcelain`).stdout, '', output)
      assert.equal(await site.live(), commit)
    })
  }

  it('end what is left of a step that failed, before what was live is put back', async t => {
    const site = await newSite(t)
    await site.commit({ 'page.txt': 'one\n' })
    assertExit(await site.deploy(), 0)
    const background = `sh -c '${slow} > page.txt' < /dev/null > /dev/null 2>&1 & echo $! > "$STEPS.pid"`
    site.configure({ INSTALL_DEPS: `test "$(cat page.txt)" = one || { ${background}; exit 1; }` })
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 1)
    const pid = Number(readFileSync(join(site.folder, 'steps.pid'), 'utf8'))
    assert.ok(!processes().some(process => process.pid === pid), output)
    assert.equal(site.read('page.txt'), 'one\n', output)
  })

  it('do not wait for a daemon that a step has started', async t => {
    const site = await newSite(t)
    const pidFile = join(site.folder, 'daemon')
    site.configure({ INSTALL_DEPS: `test -e ${pidFile} || { setsid sleep 600 & echo $! > ${pidFile}; }` })
    await site.commit()
    assertExit(await site.deploy(), 0)
    try {
      await site.commit()
      assertExit(await site.deploy(), 0)
    } finally {
      process.kill(Number(readFileSync(pidFile, 'utf8')))
    }
  })

  it('do not wait for a daemon of a step where the hook was killed in the next step', async t => {
    const site = await newSite(t)
    const pidFile = join(site.folder, 'daemon')
    site.configure({
      INSTALL_DEPS: `test -e ${pidFile} || { setsid sleep 600 & echo $! > ${pidFile}; }`,
      UPGRADE_DB:
        'test "$(cat page.txt)" = two || { touch "$STEPS.running"; sleep 600 & echo $! > "$STEPS.pid"; wait; }',
    })
    await site.commit()
    const deploying = site.startDeploy()
    await waitForStep(site)
    try {
      killHook(site)
      await deploying
      const [step] = processes().filter(
        ({ pid }) => pid === Number(readFileSync(join(site.folder, 'steps.pid'), 'utf8')),
      )
      if (step) process.kill(step.pid, 'SIGKILL')
      await site.commit({ 'page.txt': 'two' })
      assertExit(await site.deploy(), 0)
    } finally {
      process.kill(Number(readFileSync(pidFile, 'utf8')))
    }
  })

  it('do not wait for themselves: a step that pushes to its own repository gets an error', async t => {
    const site = await newSite(t)
    site.configure({
      INSTALL_DEPS: 'git push "$REPOSITORY" HEAD:refs/deploy-ask/main/again-$DEPLOY_COMMIT-0123456789 2>&1 | cat',
      REPOSITORY: site.repository,
    })
    await site.commit()
    const commit = await site.commit()
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /A deployment's own step has pushed this, and would wait for itself/)
    assert.equal(await site.live(), commit)
  })
})

describe('A push beside a rollback', async () => {
  const { newSite } = await startServer({ after })

  /** One commit is live, and the next one's deployment waits for the test. */
  async function newBusySite(t: CleansUp) {
    const site = await newSite(t)
    const first = await site.commit()
    assertExit(await site.deploy(), 0)
    await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    return { site, first, deploying }
  }

  /** Starts deploy, and waits until its hook waits for its turn. Returns what that waits in. */
  async function startWaiting(site: Site, args: readonly string[] = []) {
    const before = waitingFlocks(site.repository)
    const isNew = (pid: number) => !before.includes(pid)
    const deploying = site.startDeploy(args)
    await waitFor('it waits', () => waitingFlocks(site.repository).some(isNew))
    return { deploying, flock: waitingFlocks(site.repository).find(isNew) as number }
  }

  /** Lets the deployment end for which both wait. The second one's turn comes when the first one has ended. */
  async function takeTurns(site: Site, first: Waiting, second: Waiting) {
    send(second.flock, 'SIGSTOP')
    letGo(site)
    await first.deploying
    send(second.flock, 'SIGCONT')
    await second.deploying
  }

  type Waiting = Awaited<ReturnType<typeof startWaiting>>

  for (const isRollbackFirst of [true, false]) {
    it(`is live in the end where it came after it, if ${isRollbackFirst ? 'the rollback' : 'the push'} has its turn first`, async t => {
      const { site, first, deploying } = await newBusySite(t)
      const rollback = await startWaiting(site, ['rollback'])
      const newer = await site.commit()
      const push = await startWaiting(site)
      await (isRollbackFirst ? takeTurns(site, rollback, push) : takeTurns(site, push, rollback))
      assertExit(await deploying, 0)
      const [{ stdout }, rolledBack] = [assertExit(await push.deploying, 0), await rollback.deploying]
      assert.equal(await site.live(), newer)
      if (isRollbackFirst) {
        assertExit(rolledBack, 0)
        assert.match(stdout, new RegExp(`; it was pushed after the rollback to ${first} was asked for\\.`))
      } else {
        const { stderr } = assertExit(rolledBack, 1)
        assert.match(stderr, new RegExp(`${newer}, which was pushed after this rollback was asked for, is live`))
      }
    })
  }

  it('is not deployed where it came before it, until deploy runs again', async t => {
    const { site, first, deploying } = await newBusySite(t)
    const newer = await site.commit()
    const push = await startWaiting(site)
    const rollback = await startWaiting(site, ['rollback'])
    await takeTurns(site, rollback, push)
    for (const each of [deploying, rollback.deploying]) assertExit(await each, 0)
    const { stderr } = assertExit(await push.deploying, 1)
    assert.match(stderr, new RegExp(`has put ${first} live; to go forward again, run deploy again`))
    assert.equal(await site.live(), first)
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), newer)
  })

  it('does not undo it where it asks for what the rollback, which runs, goes back from', async t => {
    const site = await newSite(t)
    const first = await site.commit({ Makefile: waitingMakefile })
    letGo(site)
    assertExit(await site.deploy(), 0)
    await site.commit()
    assertExit(await site.deploy(), 0)
    for (const file of ['steps.go', 'steps.running']) rmSync(join(site.folder, file))
    const rollingBack = site.startDeploy(['rollback'])
    await waitForStep(site)
    const { deploying } = await startWaiting(site)
    letGo(site)
    assertExit(await rollingBack, 0)
    assert.match(assertExit(await deploying, 1).stderr, /to go forward again, run deploy again/)
    assert.equal(await site.live(), first)
  })
})

describe('The server finishes what a push began', async () => {
  const { newSite, sshd } = await startServer({ after })

  it('when deploy is interrupted; run again, it shows the log from the start, and the verdict', async t => {
    const site = await newSite(t)
    const commit = await site.commit({
      Makefile: waitingMakefile.replace('\t@echo', '\t@echo from the start\n\t@echo'),
    })
    const deploying = site.startDeploy()
    await waitForStep(site)
    process.kill(deploying.pid as number, 'SIGINT')
    assertExit(await deploying, 130)
    const again = site.startDeploy()
    await waitFor('the second one waits', () => waitingHooks(site.repository) === 1)
    letGo(site)
    const { stderr } = assertExit(await again, 0)
    assert.match(stderr, /It is being deployed already, since .*:\n(remote: {5}.*\n)*remote: {5}from the start/)
    assert.equal(await site.live(), commit)
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
  })

  it('when the connection breaks: exit 5, and the deployment goes on', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: waitingMakefile })
    const deploying = site.startDeploy()
    await waitForStep(site)
    sshd.dropConnections()
    assertExit(await deploying, 5)
    letGo(site)
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), commit)
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`])
  })

  it('when Ctrl-C interrupts a push to a local path', async t => {
    const site = await newSite(t)
    const commit = await site.commit({ Makefile: waitingMakefile })
    const pushing = spawn('git', ['push', site.repository, 'main'], {
      cwd: site.clone,
      detached: true,
      stdio: 'ignore',
    })
    await waitForStep(site)
    process.kill(-(pushing.pid as number), 'SIGINT')
    letGo(site)
    await waitFor('it is live', async () => (await site.live()) === commit)
  })
})
