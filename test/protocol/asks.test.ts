import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import {
  askFolder,
  askRef,
  branchOf,
  commitInUnknownAsk,
  isAskInSh,
  isAskRef,
  isRollback,
  parseAsk,
  verbNames,
} from '../../scripts/lib/protocol/asks.ts'

const [sha1, sha256] = ['a1'.repeat(20), 'b2'.repeat(32)]
const needCommit = ['deploy', 'again', 'check']

describe('An ask', () => {
  it('has a name that tells verb, commit and run, below its branch', () => {
    const ask = { verb: 'deploy', commit: sha1 } as const
    assert.equal(askRef('main', ask, 'k2j3h4g5'), `refs/deploy-ask/main/deploy-${sha1}-k2j3h4g5`)
    assert.equal(askFolder('main'), 'refs/deploy-ask/main')
  })

  it('is known by its folder alone', () => {
    assert.ok(isAskRef('refs/deploy-ask/main/anything'))
    assert.ok(!isAskRef('refs/heads/refs/deploy-ask/main/x'))
  })

  for (const verb of verbNames) {
    for (const commit of [sha1, sha256, ...(needCommit.includes(verb) ? [] : ['a1b2', undefined])]) {
      it(`to ${verb} ${commit ?? 'no commit by name'} is read as it was made`, () => {
        const ask = { verb, commit }
        assert.deepEqual(parseAsk(askRef('a/branch', ask, 'abcd0189'), 'a/branch'), ask)
      })
    }
  }

  it('goes back for rollback and downgrade only', () => {
    assert.deepEqual(verbNames.filter(isRollback), ['rollback', 'downgrade'])
    for (const none of [undefined, '', 'constructor']) assert.ok(!isRollback(none))
  })

  for (const ref of [
    `refs/deploy-ask/main2/deploy-${sha1}-abcd0189`,
    `refs/deploy-ask/main/more/deploy-${sha1}-abcd0189`,
    `refs/deploy-ask/beta/deploy-${sha1}-abcd0189`,
    `refs/deploy-ask/mainx/deploy-${sha1}-abcd0189`,
    `refs/deploy-ask/main`,
    `refs/heads/main`,
  ]) {
    it(`to another branch is none to main: ${ref}`, () => assert.equal(parseAsk(ref, 'main'), undefined))
  }

  const names = [
    ...[...verbNames, 'force', 'deployed', 'constructor', ''].flatMap(verb =>
      [sha1, sha256, 'a1b2', 'a1b', `${sha256}0`, 'previous', 'previous0', 'A1B2', `${sha1}0`, '', 'g1b2', '-a1b2'].map(
        commit => `${verb}-${commit}-abcd0189`,
      ),
    ),
    ...[
      '',
      'abcd018',
      'abcd0189',
      'z'.repeat(64),
      'z'.repeat(65),
      'ABCD0189',
      'abcd-0189',
      'abcd0189 ',
      'abcd0189\n',
    ].map(unique => `deploy-${sha1}-${unique}`),
    `deploy-${sha1}`,
    `x-deploy-${sha1}-abcd0189`,
    ` deploy-${sha1}-abcd0189`,
    `deploy--${sha1}-abcd0189`,
  ]

  it('is let in by hooks/update exactly where the hook understands it', () => {
    const script = `${isAskInSh}\nfor name; do is_ask "$name" && echo yes || echo no; done`
    const said = execFileSync('sh', ['-c', script, 'sh', ...names], { encoding: 'utf8' })
      .trim()
      .split('\n')
    const understood = names.map(name => parseAsk(`refs/deploy-ask/main/${name}`, 'main') !== undefined)
    for (const [index, name] of names.entries()) assert.equal(said[index] === 'yes', understood[index], name)
    // Each verb with both whole ids, those that need no commit with a part of one or none, and two lengths of a run's name.
    assert.equal(
      understood.filter(Boolean).length,
      verbNames.length * 2 + (verbNames.length - needCommit.length) * 3 + 2,
    )
  })

  it('of a form that is not known here still tells whose answer is waited for', () => {
    assert.equal(commitInUnknownAsk(`refs/deploy-ask/main/later-${sha1}-abcd`), sha1)
    assert.equal(commitInUnknownAsk(`refs/deploy-ask/main/later-${sha256}-abcd`), sha256)
    for (const other of [`later-${sha1}`, `later-${sha1}-ab cd`, `later-${sha1}0-abcd`, `later-${sha1}-abcd/x`])
      assert.equal(commitInUnknownAsk(other), undefined, other)
  })
})

describe('The branch of a ref', () => {
  for (const [ref, branch] of [
    ['refs/heads/main', 'main'],
    ['refs/heads/a/b', 'a/b'],
    ['refs/deploy-ask/main/deploy-1', 'main'],
    ['refs/deploy-ask/a/b/deploy-1', 'a/b'],
    ['refs/deploy-ask/a/b/', undefined],
    ['refs/heads/', undefined],
    ['refs/tags/v1', undefined],
    ['x/refs/heads/main', undefined],
    ['x/refs/deploy-ask/main/deploy-1', undefined],
  ] as const) {
    it(`${ref} is ${branch ?? 'none'}`, () => assert.equal(branchOf(ref), branch))
  }
})
