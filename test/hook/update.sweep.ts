import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { type Ask, askRef, verbNames } from '../../scripts/lib/protocol/asks.ts'
import { assertExit } from '../lib/exit.ts'
import { newPlace } from '../lib/place.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

describe('hooks/update', () => {
  const id = '0123456789012345678901234567890123456789'
  const unique = '0123456789abcdef'

  for (const branch of ['main', 'release/1.x', `fix/a;b$(x)'q"`, '-lead', 'HEAD', 'é#%&{x}']) {
    it(`lets in the branch, new tags and asks, and nothing else (${branch})`, async t => {
      const place = await newPlace(t)
      const quote = branch.includes("'") ? '`' : "'"
      writeFileSync(place.settings, `${place.minimal}BRANCH_NAME=${quote}${branch}${quote}\n`)
      assertExit(await place.install(), 0)
      const accepts = async (...refspecs: string[]) => {
        const { isAccepted, output } = await place.push(...refspecs)
        assert.ok(isAccepted, output)
      }
      /** Tries each of them. All are refused, and nothing has changed afterwards. */
      const refuses = async (refspecs: readonly string[], message: RegExp) => {
        const refs = async () => (await place.serverGit`git for-each-ref`).stdout
        const before = await refs()
        const { output } = await place.push(...refspecs)
        assert.equal(output.match(/^!\t/gm)?.length, refspecs.length, output)
        assert.equal(output.match(message)?.length, refspecs.length, output)
        assert.equal(await refs(), before)
      }

      await accepts(`HEAD:refs/heads/${branch}`, 'HEAD:refs/tags/v1', 'HEAD:refs/tags/v2')
      await place.commit()
      await accepts(`HEAD:refs/heads/${branch}`)
      await refuses(
        ['heads/other', `heads/${branch}x`, `heads/${branch}/x`, `heads/x${branch}`, 'notes/x', 'replace/x'].map(
          name => `HEAD:refs/${name}`,
        ),
        /^remote: Only .* can be pushed here, and new tags, not refs/gm,
      )
      await refuses(
        ['live', 'history', 'other'].map(name => `HEAD:refs/deploy/${branch}/${name}`),
        /\(deny updating a hidden ref\)/g,
      )
      await refuses([`:refs/heads/${branch}`], /deletion prohibited/g)
      await refuses(['+HEAD:refs/tags/v1', ':refs/tags/v2'], /^remote: A tag that is here can be neither moved nor/gm)
      await place.git`git commit --quiet --amend --allow-empty --message ${'Rewritten'}`
      await refuses([`+HEAD:refs/heads/${branch}`], /\(non-fast-forward\)/g)

      for (const verb of verbNames) await accepts(`HEAD:${askRef(branch, { verb, commit: id }, unique)}`)
      await accepts(`HEAD:${askRef(branch, { verb: 'rollback', commit: undefined }, unique)}`)
      const folder = `refs/deploy-ask/${branch}`
      await refuses(
        [
          'x',
          `deploy-${id}-${unique}/deeper`,
          `deploy-${id}-${unique}-more`,
          `deploy-${id}-UPPERCASE`,
          `deploy-${id}-short`,
          `deploy-${id.slice(1)}-${unique}`,
          `deploy-previous-${unique}`,
          `rollback-012-${unique}`,
          `rollback-${id}x-${unique}`,
          `destroy-${id}-${unique}`,
        ].map(name => `HEAD:${folder}/${name}`),
        /^remote: This is no way to ask for a deployment/gm,
      )
      await refuses(
        [folder, `refs/deploy-ask/other/deploy-${id}-${unique}`, `refs/deploy-ask/deploy-${id}-${unique}`].map(
          ref => `HEAD:${ref}`,
        ),
        /^remote: Only .* can be pushed here/gm,
      )
    })
  }

  it('lets no push delete or replace an ask', async t => {
    const place = await newPlace(t)
    await place.install()
    await place.push('HEAD:refs/heads/main')
    // One whose hook was killed before it could remove it.
    const ref = askRef('main', { verb: 'again', commit: id }, unique)
    await place.serverGit`git update-ref ${ref} refs/heads/main`
    await place.commit()
    for (const refspec of [`:${ref}`, `HEAD:${ref}`]) {
      assert.match((await place.push(refspec)).output, /This is no way to ask for a deployment/)
    }
  })

  it('starts no process, and lets nobody delete the branch', async t => {
    const place = await newPlace(t)
    await place.install()
    const asked: Ask = { verb: 'deploy', commit: id }
    for (const [ref, old] of [
      ['refs/heads/main', id],
      ['refs/tags/v1', '0'.repeat(40)],
      [askRef('main', asked, unique), '0'.repeat(40)],
    ] as const) {
      const traced = await $({
        nothrow: true,
        cwd: place.repository,
      })`strace -f -qq -e trace=process hooks/update ${ref} ${old} ${id}`
      assertExit(traced, 0)
      assert.equal(traced.stderr.match(/execve\(/g)?.length, 1, traced.stderr)
      assert.doesNotMatch(traced.stderr, /fork|clone/)
    }
    const run = $({ nothrow: true, cwd: place.repository })
    const deleted = assertExit(await run`hooks/update refs/heads/main ${id} ${'0'.repeat(40)}`, 1)
    assert.match(deleted.stderr, /main cannot be deleted here/)
  })

  it('runs the previous update hook after itself, for the branch and for tags', async t => {
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    const own = '#!/bin/sh\necho "own: $1"\ncase $1 in *friday*) echo "not on a Friday" >&2; exit 1 ;; esac\n'
    writeFileSync(place.update, own, { mode: 0o755 })
    const { output } = assertExit(await place.install(), 0)
    assert.match(output, /another update hook was there: it is in .*update\.local, and runs after this one/)
    assertExit(await place.install(), 0)
    assert.equal(readFileSync(`${place.update}.local`, 'utf8'), own)

    const pushed = await place.push('HEAD:refs/heads/main', 'HEAD:refs/tags/v1')
    assert.match(pushed.output, /own: refs\/heads\/main[\s\S]*own: refs\/tags\/v1/)
    const refused = await place.push('HEAD:refs/tags/friday')
    assert.match(refused.output, /not on a Friday[\s\S]*hook declined/)
    const asked = await place.push(`HEAD:${askRef('main', { verb: 'check', commit: id }, unique)}`)
    assert.ok(asked.isAccepted)
    assert.doesNotMatch(asked.output, /own: /)
  })

  it('protects another branch once the settings name one', async t => {
    const place = await newPlace(t)
    await place.install()
    await place.push('HEAD:refs/heads/main')
    writeFileSync(place.settings, `${place.minimal}BRANCH_NAME="production" # from now on\n`)
    const { output } = await place.install()
    assert.match(output, /only production can be pushed/)
    await place.commit()
    assert.match((await place.push('HEAD:refs/heads/main')).output, /Only production can be pushed here/)
    assert.match((await place.push('HEAD:refs/heads/production')).output, /is live/)
  })
})
