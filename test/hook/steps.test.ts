import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { leftovers } from '../lib/kills.ts'
import { hookProcesses, processes } from '../lib/processes.ts'
import { type Site, startServer } from '../lib/site.ts'
import { waitForStep, waitingMakefile } from '../lib/waiting-step.ts'

const $ = zx({ quiet: true })

describe('A step with _IF_CHANGED', async () => {
  const { newSite } = await startServer({ after })
  const conditions = { INSTALL_DEPS_IF_CHANGED: 'requirements *.lock', UPGRADE_DB_IF_CHANGED: 'migrations' }

  it('runs where its pathspecs have changed since the last live commit, or says that it does not run', async t => {
    const site = await newSite(t)
    site.configure(conditions)
    const first = await site.commit()
    await site.deploy()
    assert.deepEqual(site.steps(), [`install ${first}`, `upgrade ${first}`])
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.deepEqual(site.steps(), [])
    assert.match(output, /NOT INSTALLING DEPENDENCIES: nothing under requirements \*\.lock differs from/)
    const locked = await site.commit({ 'sub/uv.lock': 'x' })
    await site.deploy()
    assert.deepEqual(site.steps(), [`install ${locked}`])
    const migrated = await site.commit({ 'migrations/1.sql': 'x' })
    await site.deploy()
    assert.deepEqual(site.steps(), [`upgrade ${migrated}`])
  })

  it('runs in doubt: with --again, other settings or no venv; an upgrade after a failure, a rollback or a checkout by hand', async t => {
    const site = await newSite(t)
    const venv = join(site.workTree, '.venv')
    mkdirSync(join(venv, 'bin'), { recursive: true })
    site.configure({ ...conditions, PATH_TO_VENV: '.venv', RESTART: 'test ! -e "$STEPS.broken"' })
    const first = await site.commit()
    await site.deploy()
    site.steps()
    const runs = async (args: string[] = []) => {
      await site.deploy(args)
      return site.steps().map(step => step.split(' ')[0])
    }
    const both = ['install', 'upgrade']
    await site.commit()
    assert.deepEqual(await runs(), [])
    assert.deepEqual(await runs(['--again']), both)
    await site.commit()
    assert.deepEqual(await runs(), [])
    writeFileSync(join(site.folder, 'steps.broken'), '')
    await site.commit()
    assert.deepEqual(await runs(), [])
    rmSync(join(site.folder, 'steps.broken'))
    assert.deepEqual(await runs(), ['upgrade'])
    assert.deepEqual(await runs(['rollback']), ['install'])
    await site.commit()
    assert.deepEqual(await runs(), ['upgrade'])
    await $`git -C ${site.workTree} checkout --quiet ${first}`
    await site.commit()
    assert.deepEqual(await runs(), ['upgrade'])
    site.configure({ MORE: 'x' })
    await site.commit()
    assert.deepEqual(await runs(), both)
    rmSync(venv, { recursive: true })
    await site.commit()
    assert.deepEqual(await runs(), ['install'])
  })
})

describe('A default command', async () => {
  const { newSite } = await startServer({ after })

  it('whose target the commit lacks is refused before anything is done, and the settings to make are named', async t => {
    const site = await newSite(t)
    const none = await site.commit({ Makefile: undefined })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(
      output,
      new RegExp(`INSTALL_DEPS and UPGRADE_DB are not set, and ${none} has no Makefile\\. Nothing was`),
    )
    assert.match(
      output,
      /^remote: To do: set INSTALL_DEPS to the command that .*, and UPGRADE_DB to .*, or to nothing, in /m,
    )
    assert.ok(!existsSync(join(site.workTree, 'page.txt')))
    assert.doesNotMatch(output, /CHECKING OUT/)
    site.configure({ INSTALL_DEPS: 'true' })
    await site.commit({ Makefile: 'upgrade-db-later:\n' })
    const other = assertExit(await site.deploy(), 1)
    assert.match(other.output, /UPGRADE_DB is not set, and the Makefile of \w+ has no target upgrade-db\. Nothing was/)
  })

  it('runs where make may know the target: by an include, or beside the commit', async t => {
    const site = await newSite(t)
    site.configure({ RESTART: '' })
    const [makefile, rules] = ['include rules.mk\n', readFileSync(join(site.clone, 'Makefile'), 'utf8')]
    await site.commit({ Makefile: makefile, 'rules.mk': rules })
    assertExit(await site.deploy(), 0)
    assert.equal(site.steps().length, 2)
    writeFileSync(join(site.workTree, 'GNUmakefile'), rules)
    await site.commit({ Makefile: undefined })
    assertExit(await site.deploy(), 0)
    assert.equal(site.steps().length, 2)
  })
})

describe('A step that fails', async () => {
  const { newSite } = await startServer({ after })

  it('is explained to people and to NOTIFY, but not at any length', async t => {
    const site = await newSite(t)
    const told = join(site.folder, 'told')
    site.configure({
      INSTALL_DEPS: `exit 3; : ${'x'.repeat(100_000)}`,
      NOTIFY: `printf %s "$DEPLOY_EXPLANATION" > ${told}.new; mv ${told}.new ${told}`,
    })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(
      output,
      /INSTALLING DEPENDENCIES failed: `exit 3; : x{1000,5000} \.\.\. \(cut: the log has all of it\)/,
    )
    await waitFor('NOTIFY has run', () => existsSync(told))
    assert.match(readFileSync(told, 'utf8'), /^INSTALLING DEPENDENCIES failed: `exit 3; : x{1000,5000} \.\.\. \(cut/)
  })
})

describe('A step that hangs', { concurrency: true }, async () => {
  const { newSite } = await startServer({ after })

  it('fails after STEP_TIMEOUT, and is ended with all processes that it started', async t => {
    const site = await newSite(t)
    const pids = join(site.folder, 'pids')
    site.configure({
      STEP_TIMEOUT: '2',
      INSTALL_DEPS: `setsid sleep 300 & echo $! >> ${pids}; echo $$ >> ${pids}; sleep 300`,
    })
    await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /did not end within 2 s \(STEP_TIMEOUT\)/)
    const started = readFileSync(pids, 'utf8').trim().split('\n').map(Number)
    assert.equal(started.length, 2)
    assert.deepEqual(
      processes().filter(({ pid }) => started.includes(pid)),
      [],
    )
  })

  const sleeping = 'sleep 300.125'
  const others: Record<string, (site: Site) => unknown> = {
    VERIFY: site => site.configure({ VERIFY: sleeping }),
    ACTIVATE_VENV: site => site.configure({ ACTIVATE_VENV: sleeping }),
    DB_REVISION: site => site.configure({ DB_REVISION: sleeping }),
    'A filter of git': site => site.serverGit`git config filter.slow.smudge ${sleeping}`,
  }
  for (const [name, configure] of Object.entries(others)) {
    it(`${name} that hangs is ended, too`, async t => {
      const site = await newSite(t)
      site.configure({ STEP_TIMEOUT: '2' })
      await configure(site)
      await site.commit({ '.gitattributes': 'page.txt filter=slow\n' })
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /did not end within 2 s \(STEP_TIMEOUT\) and was killed/)
      assert.ok(!leftovers(site).some(({ command }) => command.includes(sleeping)), output)
    })
  }

  it('is one whose process has not exited, and not one that has left its output to another', async t => {
    const site = await newSite(t)
    const leave = 'setsid sleep 300.25 &'
    site.configure({
      ACTIVATE_VENV: `${leave} export LONG="$(seq 20000)"`,
      INSTALL_DEPS: 'test "$(echo "$LONG" | wc --bytes)" -gt 100000',
      DB_REVISION: `${leave} echo 1`,
    })
    writeFileSync(join(site.repository, 'hooks/post-checkout'), `#!/bin/sh\n${leave}\n`, { mode: 0o755 })
    await site.commit()
    assertExit(await site.deploy(), 0)
    assertExit(await site.deploy(['check']), 0)
  })

  it('is ended when the server ends the hook, and the previous code is put back', async t => {
    const site = await newSite(t)
    const good = await site.commit()
    await site.deploy()
    await site.commit({
      Makefile: waitingMakefile.replace('\t@touch', '\t@test "$$(cat page.txt)" = one || touch'),
      'page.txt': 'two\n',
    })
    site.configure({ INSTALL_DEPS: 'test "$(cat page.txt)" = one || { touch "$STEPS.running"; sleep 300; }' })
    const deploying = site.startDeploy()
    await waitForStep(site)
    for (const pid of hookProcesses(site.repository)) process.kill(pid, 'SIGTERM')
    const { stderr } = assertExit(await deploying, 1)
    assert.match(stderr, /shutting the hook down/)
    assert.equal(site.read('page.txt'), 'one\n')
    assert.equal(await site.live(), good)
  })
})

describe('A step that cannot be started', async () => {
  const { newSite } = await startServer({ after })

  it('because the step before has removed the folder says so, and the previous code is put back', async t => {
    const site = await newSite(t)
    const good = await site.commit()
    await site.deploy()
    await site.commit({ 'page.txt': 'two\n' })
    site.configure({ INSTALL_DEPS: `test "$(cat page.txt)" = one || rm -rf '${site.workTree}'` })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(
      output,
      /UPGRADING.* failed: Its process could not be started: the folder .* is gone\. .* is back in place/,
    )
    assert.equal(site.read('page.txt'), 'one\n')
    assert.equal(await site.live(), good)
  })
})
