import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('deploy', async () => {
  const { newSite } = await startServer({ after })

  it('takes nothing from INPUT_* variables, which are for the action alone', async t => {
    const site = await newSite(t)
    await site.commit()
    assertExit(await site.deploy(), 0)
    const live = await site.commit()
    // As an action has them that wraps a command, such as one that tries it again.
    for (const INPUT_COMMAND of ['', './deploy', 'rollback']) {
      assertExit(await site.deploy([], { INPUT_COMMAND, 'INPUT_BRANCH-NAME': 'another' }), 0)
      assert.equal(await site.live(), live)
    }
  })
})
