import assert from 'node:assert/strict'
import { it } from 'node:test'
import { findForge } from '../../scripts/lib/deploy/forge.ts'

for (const [name, run, commit, compare] of [
  [
    'GitHub',
    'https://github.com/a/b/actions/runs/12',
    'https://github.com/a/b/commit/2',
    'https://github.com/a/b/compare/1...2',
  ],
  [
    'Gitea',
    'https://git.example.org/x/a/b/actions/runs/12/jobs/0',
    'https://git.example.org/x/a/b/commit/2',
    'https://git.example.org/x/a/b/compare/1...2',
  ],
  [
    'GitLab',
    'https://gitlab.com/a/g/b/-/jobs/12',
    'https://gitlab.com/a/g/b/-/commit/2',
    'https://gitlab.com/a/g/b/-/compare/1...2',
  ],
  [
    'Bitbucket',
    'https://bitbucket.org/a/b/pipelines/results/12',
    'https://bitbucket.org/a/b/commits/2',
    'https://bitbucket.org/a/b/branches/compare/2..1',
  ],
] as const) {
  it(`A run in ${name} tells where its commit, and what it changes, is shown`, () => {
    const forge = findForge(run)
    assert.deepEqual([forge?.commit('2'), forge?.compare('1', '2')], [commit, compare])
  })
}

it('A run elsewhere tells nothing', () => {
  for (const run of [undefined, 'https://ci.example.org/repos/1/pipeline/12', 'https://github.com/a/b']) {
    assert.equal(findForge(run), undefined)
  }
})
