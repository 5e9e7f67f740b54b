import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('deploy exits with 2', async () => {
  const { newSite } = await startServer({ after })

  it('outside a repository, and where there is no such branch', async t => {
    const site = await newSite(t)
    assertExit(await site.deploy([], {}, site.home), 2)
    await site.commit()
    const { output } = assertExit(await site.deploy([], { BRANCH_NAME: 'nowhere' }), 2)
    assert.match(output, /refs\/heads\/nowhere is not to be found/)
  })

  it('for options and arguments that a command does not know, and changes nothing', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    const live = await site.commit()
    await site.deploy()
    const wrong = [
      ['--no-such-option'],
      ['stauts'],
      ['check', '--verbose'],
      ['--again', '--dry-run'],
      ['--force', '--dry-run'],
      ['--force', 'nowhere'],
      ['--force', 'HEAD', 'HEAD'],
      ['rollback', '--force'],
      ['rollback', '--dry-run'],
      ['rollback', '--again'],
      ['rollback', 'HEAD', 'HEAD'],
      ['rollback', ''],
      ['check', '--again'],
      ['--again', 'status'],
      ['status', 'main'],
      ['history', '--dry-run'],
      ['toString'],
    ]
    for (const args of wrong) {
      const { output } = assertExit(await site.deploy(args), 2, `${args}`)
      assert.match(output, /^To do: /m)
    }
    assert.equal(await site.live(), live)
  })
})

describe('deploy rollback exits with 1', async () => {
  const { newSite } = await startServer({ after })

  it('where nothing was ever pushed, also where no hook answers, and names the ask that is left', async t => {
    const site = await newSite(t)
    await site.commit()
    writeFileSync(join(site.repository, 'hooks/post-receive'), '#!/bin/sh\n')
    const { output } = assertExit(await site.deploy(['rollback']), 1)
    assert.match(output, /^NOTHING WAS ROLLED BACK\.\n {4}Nothing was ever live: main was never pushed there\./m)
    const [ask = ''] = await site.asks()
    assert.match(output, new RegExp(`^To do: .*git update-ref -d ${ask.split('\t')[1]}$`, 'm'))
  })
})

describe('deploy exits with 4', async () => {
  const { newSite } = await startServer({ after })

  it('where the push is no fast-forward, and says what is live', async t => {
    const site = await newSite(t)
    const live = await site.commit()
    await site.deploy()
    await site.git`git commit --quiet --amend --message ${'another'}`
    const { output } = assertExit(await site.deploy(), 4)
    assert.match(output, /^The branch on the server has commits that this one lacks: not a fast-forward\./m)
    assert.match(output, new RegExp(`^ {4}.*${live} is what was live last`, 'm'))
    assert.match(output, /^To do: fetch, then merge or rebase/m)
    assert.equal(await site.live(), live)
  })

  it('where --force is asked of a server whose branch only grows, and pushes nothing at all', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    const refs = async () => (await site.serverGit`git for-each-ref`).stdout
    const before = await refs()
    await site.git`git commit --quiet --amend --message ${'another'}`
    await site.git`git tag --annotate --message ${'x'} new`
    const { output } = assertExit(await site.deploy(['--force']), 4)
    assert.match(output, /^The server does not take --force: its branch only grows\. Nothing was pushed\./m)
    assert.match(output, /^To do: .*set ACCEPT=any in \.env there and run there: post-receive install REPOSITORY/m)
    assert.equal(await refs(), before)
  })

  it('where the clone is shallow', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.commit()
    const shallow = await site.cloneShallow()
    const { output } = assertExit(await site.deploy([], {}, shallow), 4)
    assert.match(output, /^To do: git fetch --unshallow/m)
  })

  it('where a hook on the server declines', async t => {
    const site = await newSite(t)
    await site.commit()
    const script = `#!/bin/sh\nprintf '\\033]0;mine\\007\\033[2Jnot on a Friday\\r\\n'; exit 1\n`
    writeFileSync(join(site.repository, 'hooks/pre-receive'), script, { mode: 0o755 })
    const { output } = assertExit(await site.deploy(), 4)
    // Its control characters reach no terminal.
    assert.doesNotMatch(output, /[^\P{Cc}\n]/u)
    assert.match(output, /^remote: not on a Friday[\s\S]*^A hook on the server declined the push\./m)
  })

  it('where the ref cannot be written, after several attempts, since another push may have locked it', async t => {
    const site = await newSite(t)
    await site.commit()
    writeFileSync(join(site.repository, 'refs/heads/main.lock'), '')
    const { output } = assertExit(await site.deploy(), 4)
    assert.equal(output.match(/^ANOTHER PUSH CAME FIRST, PUSHING AGAIN \.\.\.$/gm)?.length, 19)
    assert.match(output, /^The server declined the push\.\n {4}\[remote rejected\] \(failed to update ref\)/m)
  })

  it('where the server accepts no asks, because an older pushlive protects it', async t => {
    const site = await newSite(t)
    await site.commit()
    for (const ref of ['refs', '!refs/heads/main', '!refs/tags']) {
      await site.serverGit`git config --add receive.hideRefs ${ref}`
    }
    writeFileSync(join(site.repository, 'hooks/post-receive'), '#!/bin/sh\n')
    assertExit(await site.deploy(), 5)
    const { output } = assertExit(await site.deploy(), 4)
    assert.match(
      output,
      /^The server does not let its hook be asked\.[\s\S]*^To do: update the hook.*setup-ssh --hook SERVER_ENV/m,
    )
    assertExit(await site.deploy(['rollback']), 4)
  })

  it('where --dry-run finds it out beforehand, and sends nothing', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const first = assertExit(await site.deploy(['--dry-run']), 0)
    assert.match(first.output, /The server would take it\. Nothing was pushed/)
    assert.equal(await site.ref('refs/heads/main'), undefined)
    await site.deploy()
    assert.match((await site.deploy(['--dry-run'])).output, /The server has this commit already/)
    await site.git`git commit --quiet --amend --message ${'another'}`
    assertExit(await site.deploy(['--dry-run']), 4)
    assert.equal(await site.live(), commit)
  })
})
