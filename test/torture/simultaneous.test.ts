import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { newKeyPair, startSshd } from '../lib/sshd.ts'
import { type Commit, contains } from './commits.ts'
import { plainCommit } from './live.ts'
import { newServer } from './server.ts'

const rounds = Number(process.env.PUSHLIVE_ROUNDS ?? 2)
const pushers = 10
const everybody = Array.from({ length: pushers }, (_, clone) => clone)

describe(`${pushers} pushers at once, ${rounds} rounds each`, async () => {
  const sshd = await startSshd({ after })
  const key = await newKeyPair(sshd.folder)
  sshd.authorize(key.publicKey)

  /** Runs the same call for all pushers at once, `rounds` times. Before each round two good commits are deployed. */
  function rally(
    title: string,
    args: readonly string[],
    prepare: (server: Server) => Promise<void>,
    verify: (round: Round) => void,
  ) {
    it(title, { timeout: 60_000 + rounds * 60_000 }, async t => {
      const server = await newServer(sshd, key.privateKey, { pushers })
      t.after(() => server.destroy())
      const deploy = (clone: number) => server.startDeploy(clone, args, () => {})
      for (let round = 0; round < rounds; round++) {
        for (const clone of [0, 1]) {
          await server.commit(clone, plainCommit)
          const { code, output } = await server.startDeploy(clone, [], () => {})
          assert.equal(code, 0, output)
        }
        const before = await server.look()
        const stepsBefore = server.steps().length
        await prepare(server)
        const called = await Promise.all(everybody.map(deploy))
        await server.untilIdle()
        const { served, loads, problems } = await server.look()
        const said = called.map(({ code, output }, clone) => `-- ${clone}: ${code}\n${output}`).join('\n')
        const meanwhile = loads.slice(before.loads.length - 1).map(({ version }) => version)
        verify({
          said,
          called,
          before: before.served,
          served,
          codes: called.map(({ code }) => code),
          asked: everybody.map(clone => server.heads[clone] as Commit),
          servedMeanwhile: server.commits.filter(({ files }) =>
            meanwhile.includes(files.get('version.txt')?.content ?? ''),
          ),
          begun: server.steps().length - stepsBefore,
        })
        assert.deepEqual(problems, [], said)
        assert.deepEqual(server.overlaps(), [], said)
      }
    })
  }

  const all = (code: number) => everybody.map(() => code)
  const sameCommit = (kind: Commit['kind']) => async (server: Server) => {
    const commit = await server.commit(0, { ...plainCommit, kind })
    for (const clone of everybody) await server.give(clone, commit)
  }

  rally(
    'of successive commits: each is live, or part of the live one',
    [],
    async server => {
      for (const clone of everybody) await server.commit(clone, plainCommit)
    },
    ({ codes, served, asked, said }) => {
      assert.deepEqual(codes, all(0), said)
      for (const commit of asked) assert.ok(contains(served, commit), said)
    },
  )

  rally('of one commit: it is live for all', [], sameCommit('good'), ({ codes, served, asked, said }) => {
    assert.deepEqual(codes, all(0), said)
    assert.equal(served, asked[0], said)
  })

  rally(
    'of --again: its steps ran for all',
    ['--again'],
    sameCommit('good'),
    ({ codes, served, asked, begun, said }) => {
      assert.deepEqual(codes, all(0), said)
      assert.equal(served, asked[0], said)
      assert.ok(begun >= 3, said)
    },
  )

  rally(
    'of a failing commit: it is live for none',
    [],
    sameCommit('fails upgrade'),
    ({ codes, served, before, said }) => {
      assert.deepEqual(codes, all(1), said)
      assert.equal(served, before, said)
    },
  )

  rally(
    'of rollback: each goes back to the commit that it names',
    ['rollback'],
    async server => {
      for (const clone of everybody) await server.give(clone, server.trunk() as Commit)
    },
    ({ called, before, served, servedMeanwhile, said }) => {
      for (const { code, output } of called) {
        // There is nothing left to go back to.
        if (code === 1) continue
        assert.equal(code, 0, said)
        const [, id] = /^([0-9a-f]{40,64}) IS (?:LIVE|IN PLACE)/m.exec(output) ?? []
        assert.ok(
          servedMeanwhile.some(commit => commit.id === id),
          `${id}\n${said}`,
        )
      }
      assert.notEqual(served, before, said)
    },
  )
})

type Server = Awaited<ReturnType<typeof newServer>>

interface Round {
  /** All that was printed, for messages. */
  readonly said: string
  readonly called: readonly { readonly code: number | string; readonly output: string }[]
  readonly codes: readonly (number | string)[]
  readonly asked: readonly Commit[]
  readonly before: Commit | undefined
  readonly served: Commit | undefined
  readonly servedMeanwhile: readonly Commit[]
  /** How many steps. */
  readonly begun: number
}
