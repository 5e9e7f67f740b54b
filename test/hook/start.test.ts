import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whatIsLoadedBy } from '../lib/loaded.ts'

// Each push to the repository runs the hook, and most pushes deploy nothing: to load zx or node:net takes longer than all
// that the hook does then. So what only a deployment needs is behind an import().
test('A push that deploys nothing loads no step, no zx and nothing of the network', () => {
  const { atStart } = whatIsLoadedBy('scripts/post-receive.ts')
  const ofDeployments =
    /hook\/steps\/|hook\/(relay|repository|releases|work-tree)\.ts|\/zx\/|^node:(net|https?|crypto)$/
  assert.deepEqual(
    atStart.filter(path => ofDeployments.test(path)),
    [],
  )
  assert.ok(atStart.includes('scripts/lib/hook/pushed-refs.ts'), atStart.join('\n'))
})
