import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import type { Context } from '../../scripts/lib/hook/context.ts'
import { findAnswer, verdictOn } from '../../scripts/lib/hook/find-answer.ts'
import type { Arrival, JournalEntry } from '../../scripts/lib/hook/journal.ts'
import type { ReleaseProcess } from '../../scripts/lib/hook/release-processes.ts'
import type { Releases } from '../../scripts/lib/hook/releases.ts'
import { Repository } from '../../scripts/lib/hook/repository.ts'
import type { HookSettings } from '../../scripts/lib/hook/settings.ts'
import type { Ask, Verb } from '../../scripts/lib/protocol/asks.ts'
import { emptyTrees } from '../../scripts/lib/protocol/ids.ts'
import { type DeploymentRecord, formatRecord } from '../../scripts/lib/protocol/record.ts'
import type { Verdict } from '../../scripts/lib/protocol/verdict.ts'
import { environmentOf } from '../lib/site.ts'

/** Commits A, B, C and D, each on the one before, and X on B. */
type Name = 'A' | 'B' | 'C' | 'D' | 'X'

/** What is on the server when an ask has its turn. Commits by their names. */
interface State {
  readonly ask: readonly [verb: Verb, commit?: Name | 'unknown']
  /** Where the branch is. */
  readonly tip?: Name | undefined
  readonly live?: Name | undefined
  /** What the release holds, where that is not what is live. */
  readonly serving?: Name | undefined
  /** Whether the application's address answers nobody. */
  readonly isSilent?: boolean
  /** Whether the server that listens runs from another release. */
  readonly isServedElsewhere?: boolean
  /** Whether the ask names only a part of the commit's id. */
  readonly isAbbreviated?: boolean
  readonly last?: Partial<Omit<JournalEntry, 'commit' | 'tip' | 'previous'>> & {
    commit?: Name
    tip?: Name
    previous?: Name
  }
  /** By default the ask came after the last deployment. */
  readonly arrival?: Arrival | undefined
  readonly tipAtArrival?: Name
  readonly history?: readonly (Pick<Partial<DeploymentRecord>, 'live' | 'request'> & {
    commit: Name
    previous?: Name
  })[]
  readonly accept?: 'any'
}
/** Commits by their names, too. */
type Expected =
  | { deploy: Name; problem?: RegExp; wentBackTo?: Name }
  | { live: string; notChecked?: string }
  | { notLive: string }
  | { elsewhere: string }

const elsewhere = {
  ...{ pid: 7, command: 'gunicorn', listens: true, sockets: [] },
  ...{ releases: new Set([2]), startedFrom: undefined, hasTerminal: false, session: 7 },
} as unknown as ReleaseProcess
const before7: Arrival = { number: 6, hasEnded: true }
const during7: Arrival = { number: 7, hasEnded: false }
const after7: Arrival = { number: 7, hasEnded: true }

const liveC = { tip: 'C', live: 'C', last: { commit: 'C', previous: 'B', tip: 'C' } } as const
const liveB = { tip: 'C', live: 'B', last: { commit: 'B', previous: 'A', tip: 'B' } } as const
const behindB = { ...liveB.last, touched: { database: true }, known: { by: { commit: 'away', to: 'away' } } } as const
const failedC = {
  tip: 'C',
  live: 'B',
  last: { commit: 'C', previous: 'B', tip: 'C', outcome: 'failed', explanation: 'BUILD failed' },
} as const
const wentBack = { tip: 'C', live: 'B', last: { commit: 'B', previous: 'C', tip: 'C', verb: 'rollback' } } as const
const history = [{ commit: 'A' }, { commit: 'B' }, { commit: 'C' }] as const
const historyWithRollback = [...history, { commit: 'B', request: 'rollback' }] as const
const unchecked = { notChecked: 'HEALTH_CHECK_URL is empty' }
const rollbackSays = 'a rollback, asked for after it was pushed, has put B live; to go forward again, run deploy again'

const answers: Record<string, readonly [State, Expected]> = {
  'A deploy of the first commit deploys it': [{ ask: ['deploy', 'A'], tip: 'A' }, { deploy: 'A' }],
  'of a new commit deploys it': [{ ask: ['deploy', 'C'], ...liveB }, { deploy: 'C' }],
  'of a new commit does not ask what serves': [{ ask: ['deploy', 'C'], ...liveB, isSilent: true }, { deploy: 'C' }],
  'of an older commit deploys the tip': [{ ask: ['deploy', 'C'], ...liveB, tip: 'D' }, { deploy: 'D' }],
  'of what serves is answered': [
    { ask: ['deploy', 'C'], ...liveC },
    { live: 'already live', ...unchecked },
  ],
  'of a part of what serves is answered': [
    { ask: ['deploy', 'A'], ...liveC },
    { live: 'as part of C, which is newer', ...unchecked },
  ],
  'of what is live, but not there, deploys it': [{ ask: ['deploy', 'C'], ...liveC, serving: 'B' }, { deploy: 'C' }],
  'of a part of what is not there deploys the tip': [{ ask: ['deploy', 'A'], ...liveC, serving: 'B' }, { deploy: 'C' }],
  'of what is live, but does not answer, deploys it, and says why': [
    { ask: ['deploy', 'C'], ...liveC, isSilent: true },
    { deploy: 'C', problem: /^the application does not answer 2xx: .*connect ECONNREFUSED 127\.0\.0\.1:1$/ },
  ],
  'of what is live, but another release serves, deploys it, and says why': [
    { ask: ['deploy', 'C'], ...liveC, isServedElsewhere: true },
    { deploy: 'C', problem: /^The application still runs from .*\/2: process 7 \(gunicorn\)\.$/ },
  ],
  'of what the last deployment left half-done deploys it': [
    { ask: ['deploy', 'C'], ...liveC, last: { ...liveC.last, touched: { application: true } } },
    { deploy: 'C' },
  ],
  'of what a killed deployment was about deploys it': [
    { ask: ['deploy', 'C'], ...liveC, last: { ...liveC.last, outcome: undefined } },
    { deploy: 'C' },
  ],
  'of what is live where nothing is known of the last deployment deploys it': [
    { ask: ['deploy', 'C'], tip: 'C', live: 'C' },
    { deploy: 'C' },
  ],
  'of what is live is answered where only others have moved the database': [
    {
      ask: ['deploy', 'B'],
      ...liveB,
      last: { ...liveB.last, touched: { database: true }, known: { by: { commit: 'away' } } },
    },
    { live: 'already live', ...unchecked },
  ],
  'of what is live deploys that, not the tip, where its database was taken back': [
    {
      ask: ['deploy', 'B'],
      ...liveB,
      last: behindB,
    },
    { deploy: 'B' },
  ],
  'of a part of what is live deploys what is live, where its database was taken back': [
    { ask: ['deploy', 'A'], ...liveB, last: behindB },
    { deploy: 'B' },
  ],
  'of a newer commit deploys the tip, where the database was taken back': [
    { ask: ['deploy', 'C'], ...liveB, tip: 'D', last: behindB },
    { deploy: 'D' },
  ],
  'of the tip deploys it, where what is live is newer, and its database was taken back': [
    { ask: ['deploy', 'B'], ...liveC, tip: 'B', last: { ...behindB, commit: 'C' } },
    { deploy: 'B' },
  ],
  'An again of what is live deploys the tip, where its database was taken back': [
    { ask: ['again', 'B'], ...liveB, last: behindB },
    { deploy: 'C' },
  ],
  'of what is live says what is wrong with the database': [
    {
      ask: ['deploy', 'C'],
      ...liveC,
      last: { ...liveC.last, touched: { database: true }, databaseProblem: 'It is ahead.' },
    },
    { live: 'already live. It is ahead.', ...unchecked },
  ],
  'of what is live says nothing of a database that was put right': [
    { ask: ['deploy', 'C'], ...liveC, last: { ...liveC.last, databaseProblem: 'It is ahead.' } },
    { live: 'already live', ...unchecked },
  ],
  'of a commit beside the branch is elsewhere': [
    { ask: ['deploy', 'X'], ...liveC },
    { elsewhere: 'main on the server does not contain it; C is what was live last' },
  ],
  'of a commit beside the branch may be forced on a staging server': [
    { ask: ['deploy', 'X'], ...liveC, accept: 'any' },
    {
      elsewhere:
        'main on the server does not contain it; C is what was live last; deploy --force puts it there all the same',
    },
  ],
  'without a branch is elsewhere': [
    { ask: ['deploy', 'A'] },
    { elsewhere: 'main on the server does not contain it; nothing was ever live' },
  ],
  'of what serves beside its branch is answered': [
    { ask: ['deploy', 'X'], tip: 'C', live: 'X', last: { commit: 'X', tip: 'X' } },
    { live: 'already live', ...unchecked },
  ],

  // Answered by a deployment in between.
  'that waited for one of the same commit is answered by it': [
    { ask: ['deploy', 'C'], ...liveC, arrival: before7, last: { ...liveC.last, explanation: 'in 4 s' } },
    { live: 'in 4 s' },
  ],
  'that came while one of the same commit ran is answered by it': [
    { ask: ['deploy', 'C'], ...failedC, arrival: during7 },
    { notLive: 'BUILD failed' },
  ],
  'that came after one of the same commit failed tries it': [
    { ask: ['deploy', 'C'], ...failedC, arrival: after7 },
    { deploy: 'C' },
  ],
  'that came at a time nobody knows tries it': [
    { ask: ['deploy', 'C'], ...failedC, arrival: undefined },
    { deploy: 'C' },
  ],
  'of an older commit is answered by the newer one that serves': [
    { ask: ['deploy', 'B'], ...liveC, arrival: during7 },
    { live: 'as part of C, which is newer' },
  ],
  'of an older commit deploys the tip, where the newer one is not there': [
    { ask: ['deploy', 'B'], ...liveC, tip: 'D', serving: 'A', arrival: before7 },
    { deploy: 'D' },
  ],
  'of what still serves is answered though a newer one failed': [
    { ask: ['deploy', 'B'], ...failedC, arrival: during7 },
    { live: 'already live', ...unchecked },
  ],
  'of a part of what still serves is answered though a newer one failed': [
    { ask: ['deploy', 'A'], ...failedC, arrival: during7 },
    { live: 'as part of B, which is newer', ...unchecked },
  ],
  'of what should still serve, and is not there, deploys the tip': [
    { ask: ['deploy', 'B'], ...failedC, arrival: during7, serving: 'A' },
    { deploy: 'C' },
  ],
  'of what a failed one left half put back deploys the tip': [
    { ask: ['deploy', 'B'], ...failedC, arrival: during7, last: { ...failedC.last, touched: { code: true } } },
    { deploy: 'C' },
  ],
  'that waited behind one of another commit deploys the tip': [
    { ask: ['deploy', 'D'], ...liveC, tip: 'D', arrival: before7 },
    { deploy: 'D' },
  ],

  // --again
  'An again runs all steps, also of what serves': [{ ask: ['again', 'C'], ...liveC }, { deploy: 'C' }],
  'An again that came while one ran runs once more': [
    { ask: ['again', 'C'], ...liveC, arrival: during7 },
    { deploy: 'C' },
  ],
  'An again that waited for another is answered by it': [
    { ask: ['again', 'C'], ...liveC, arrival: before7, last: { ...liveC.last, explanation: 'in 4 s' } },
    { live: 'in 4 s' },
  ],
  'An again of what is not on the branch is elsewhere': [
    { ask: ['again', 'X'], ...liveC },
    { elsewhere: 'main on the server does not contain it; C is what was live last' },
  ],

  // Behind a rollback.
  'A deploy that waited behind a rollback does not undo it': [
    { ask: ['deploy', 'C'], ...wentBack, arrival: before7 },
    { notLive: rollbackSays },
  ],
  'An again that waited behind a rollback does not undo it': [
    { ask: ['again', 'C'], ...wentBack, arrival: during7 },
    { notLive: rollbackSays },
  ],
  'A deploy of what a rollback went back to is answered by it': [
    { ask: ['deploy', 'B'], ...wentBack, arrival: before7, last: { ...wentBack.last, explanation: 'in 1 s' } },
    { live: 'in 1 s' },
  ],
  'A deploy that waited behind a rollback that failed says so': [
    {
      ask: ['deploy', 'C'],
      ...wentBack,
      arrival: before7,
      last: { ...wentBack.last, outcome: 'failed', explanation: 'RESTART failed' },
    },
    { notLive: 'overtaken by B, which failed: RESTART failed' },
  ],
  'A deploy of a newer commit goes forward from a rollback, and says so': [
    { ask: ['deploy', 'D'], ...wentBack, tip: 'D', arrival: before7 },
    { deploy: 'D', wentBackTo: 'B' },
  ],
  'A deploy of a newer commit than a failed rollback says nothing of it': [
    { ask: ['deploy', 'D'], ...wentBack, tip: 'D', arrival: before7, last: { ...wentBack.last, outcome: 'failed' } },
    { deploy: 'D' },
  ],
  'A deploy after a rollback goes forward': [{ ask: ['deploy', 'C'], ...wentBack, arrival: after7 }, { deploy: 'C' }],

  // Rollbacks.
  'A rollback goes to what was live before': [{ ask: ['rollback'], ...liveC, history }, { deploy: 'B' }],
  'A rollback by name goes there': [{ ask: ['rollback', 'A'], ...liveC, history }, { deploy: 'A' }],
  'A rollback to what serves is answered': [
    { ask: ['rollback', 'C'], ...liveC, history },
    { live: 'already live', ...unchecked },
  ],
  'A rollback to what is live, but not there, puts it there': [
    { ask: ['rollback', 'C'], ...liveC, serving: 'B', history },
    { deploy: 'C' },
  ],
  'A rollback to what is live, but half put back, puts it there': [
    { ask: ['rollback', 'C'], ...liveC, history, last: { ...liveC.last, touched: { code: true } } },
    { deploy: 'C' },
  ],
  'A rollback to what is live, but does not answer, says why': [
    { ask: ['rollback', 'C'], ...liveC, history, isSilent: true },
    { deploy: 'C', problem: /^the application does not answer 2xx: / },
  ],
  'A rollback to what is there, and is not what is live, runs': [
    { ask: ['rollback', 'A'], ...liveC, serving: 'A', history },
    { deploy: 'A' },
  ],
  'A rollback to a commit beside the branch that another program had put live goes there': [
    { ask: ['rollback', 'X'], ...liveC, history: [{ commit: 'C', previous: 'X' }] },
    { deploy: 'X' },
  ],
  'A rollback with the database to what serves runs': [{ ask: ['downgrade', 'C'], ...liveC, history }, { deploy: 'C' }],
  'A rollback without history has nowhere to go': [
    { ask: ['rollback'], ...liveC, history: [{ commit: 'C' }] },
    { notLive: 'there is nothing to go back to: no other commit was live before' },
  ],
  'A rollback to a commit that is not there has nowhere to go': [
    { ask: ['rollback', 'unknown'], ...liveC, history },
    { notLive: 'unknown is no commit of this repository; deploy history lists what was live' },
  ],
  'A rollback to a commit of the branch that was never live goes there': [
    { ask: ['rollback', 'A'], ...liveC, history: [{ commit: 'B' }, { commit: 'C' }] },
    { deploy: 'A' },
  ],
  'A rollback to a commit beside the branch that was never live is refused': [
    { ask: ['rollback', 'X'], ...liveC, history },
    { notLive: 'X was never live, and is not on main: a rollback goes to nothing else' },
  ],
  'A rollback to a commit beside the branch that failed is refused': [
    { ask: ['rollback', 'X'], ...liveC, history: [...history, { commit: 'X', live: false }] },
    { notLive: 'X was never live, and is not on main: a rollback goes to nothing else' },
  ],
  'A rollback to a commit that was live, and is off the branch by now, goes there': [
    { ask: ['rollback', 'X'], ...liveC, history: [{ commit: 'X' }, { commit: 'C' }] },
    { deploy: 'X' },
  ],
  'A rollback that waited for another is answered by it': [
    {
      ask: ['rollback'],
      ...wentBack,
      history: historyWithRollback,
      arrival: before7,
      last: { ...wentBack.last, isToPrevious: true },
    },
    { live: '' },
  ],
  'A rollback that waited for another that was killed goes there': [
    {
      ask: ['rollback'],
      ...wentBack,
      history,
      arrival: before7,
      last: { ...wentBack.last, isToPrevious: true, outcome: undefined },
    },
    { deploy: 'B' },
  ],
  'A rollback that came after another goes back one more': [
    {
      ask: ['rollback'],
      ...wentBack,
      history: historyWithRollback,
      arrival: after7,
      last: { ...wentBack.last, isToPrevious: true },
    },
    { deploy: 'A' },
  ],
  'A rollback by name that waited for another goes to what it names': [
    {
      ask: ['rollback', 'A'],
      ...wentBack,
      history: historyWithRollback,
      arrival: before7,
      last: { ...wentBack.last, isToPrevious: true },
    },
    { deploy: 'A' },
  ],
  'A rollback that waited for one by name goes back one more': [
    {
      ask: ['rollback'],
      ...wentBack,
      history: historyWithRollback,
      arrival: before7,
    },
    { deploy: 'A' },
  ],
  'A rollback by name that waited for the same is answered by it': [
    {
      ask: ['rollback', 'B'],
      ...wentBack,
      history,
      arrival: before7,
      last: { ...wentBack.last, explanation: 'in 1 s' },
    },
    { live: 'in 1 s' },
  ],
  'A rollback by a part of the id that waited for the same is answered by it': [
    {
      ask: ['rollback', 'B'],
      isAbbreviated: true,
      ...wentBack,
      history,
      arrival: before7,
      last: { ...wentBack.last, explanation: 'in 1 s' },
    },
    { live: 'in 1 s' },
  ],
  'A rollback that waited behind a push that came later does not undo it': [
    { ask: ['rollback'], ...liveC, history, arrival: before7, tipAtArrival: 'B' },
    {
      notLive: 'C, which was pushed after this rollback was asked for, is live; to go back from it, roll back again',
    },
  ],
  'A rollback that waited behind a push that was there before undoes it': [
    { ask: ['rollback'], ...liveC, history, arrival: before7, tipAtArrival: 'C' },
    { deploy: 'B' },
  ],
  'A rollback that waited behind a later push that failed goes back': [
    { ask: ['rollback', 'A'], ...failedC, history, arrival: before7, tipAtArrival: 'B' },
    { deploy: 'A' },
  ],
  'A rollback with the database after an upgrade that failed goes back to what is live': [
    {
      ask: ['downgrade'],
      ...failedC,
      history: history.slice(0, 2),
      last: { ...failedC.last, touched: { database: true } },
    },
    { deploy: 'B' },
  ],
  'A rollback without it after an upgrade that failed goes to the one before': [
    {
      ask: ['rollback'],
      ...failedC,
      history: history.slice(0, 2),
      last: { ...failedC.last, touched: { database: true } },
    },
    { deploy: 'A' },
  ],
  'A rollback with the database where nothing is known of the last deployment goes to the one before': [
    { ask: ['downgrade'], tip: 'C', live: 'C', history },
    { deploy: 'B' },
  ],
  'A rollback with the database after one that went live goes to the one before': [
    { ask: ['downgrade'], ...liveC, history, last: { ...liveC.last, touched: { database: true } } },
    { deploy: 'B' },
  ],
}

/** Of the deployment that an ask has led to. */
const verdicts: Record<string, readonly [State, Expected]> = {
  'is live with a newer commit that is': [{ ask: ['deploy', 'B'], ...liveC }, { live: 'as part of C, which is newer' }],
  'is not live with one that does not contain it': [
    { ask: ['deploy', 'C'], tip: 'X', live: 'X', last: { commit: 'X', tip: 'X' } },
    { notLive: 'overtaken by X, which is live and does not contain it' },
  ],
  'is live as before where a newer one failed': [
    { ask: ['deploy', 'B'], ...failedC },
    { live: 'already live', ...unchecked },
  ],
  'is live in a part of what was live before where a newer one failed': [
    { ask: ['deploy', 'A'], ...failedC },
    { live: 'as part of B, which is newer', ...unchecked },
  ],
  'is not live where a newer one failed, and nothing was live before': [
    { ask: ['deploy', 'A'], tip: 'C', last: { ...failedC.last, previous: undefined } },
    { notLive: 'overtaken by C, which failed: BUILD failed' },
  ],
  'is not live where a newer one failed, and was not live before': [
    { ask: ['deploy', 'X'], ...failedC },
    { notLive: 'overtaken by C, which failed: BUILD failed' },
  ],
  'is not live where a newer one failed, and what was live is not there': [
    { ask: ['deploy', 'B'], ...failedC, serving: 'A' },
    { notLive: 'overtaken by C, which failed: BUILD failed' },
  ],
  'is not live where a newer one failed, and left the code half put back': [
    { ask: ['deploy', 'B'], ...failedC, last: { ...failedC.last, touched: { code: true } } },
    { notLive: 'overtaken by C, which failed: BUILD failed' },
  ],
  'is not live where a newer one failed, and the database was taken back': [
    { ask: ['deploy', 'B'], ...failedC, last: { ...failedC.last, touched: behindB.touched, known: behindB.known } },
    { notLive: 'overtaken by C, which failed: BUILD failed' },
  ],
}

describe('An ask that has its turn', () => {
  const folder = mkdtempSync(join(tmpdir(), 'find-answer-'))
  const repository = new Repository(folder)
  const ids = {} as Record<Name | 'unknown', string>
  after(() => rmSync(folder, { recursive: true }))
  const $ = zx({ quiet: true, cwd: folder, env: environmentOf(folder) })
  const [emptyTree = ''] = emptyTrees
  const commitTree = async (message: string, parent?: string) =>
    (await $`git commit-tree ${parent ? ['-p', parent] : []} -m ${message} ${emptyTree}`).stdout.trim()

  before(async () => {
    await $`git init --quiet --bare && git hash-object -t tree -w --stdin < /dev/null`
    ids.A = await commitTree('A')
    ids.B = await commitTree('B', ids.A)
    ids.C = await commitTree('C', ids.B)
    ids.D = await commitTree('D', ids.C)
    ids.X = await commitTree('X', ids.B)
    ids.unknown = 'f'.repeat(40)
  })

  const named = (text: string) => Object.entries(ids).reduce((shown, [name, id]) => shown.replaceAll(id, name), text)
  const idOf = (name: Name | 'unknown' | undefined) => name && ids[name]

  /** Writes the history as the hook does. @returns its newest commit */
  async function write(records: NonNullable<State['history']>): Promise<string | undefined> {
    let newest: string | undefined
    for (const { commit, previous, live = true, request } of records) {
      const record = {
        commit: ids[commit],
        previous: idOf(previous),
        live,
        request,
        who: 'ada',
        started: 1,
        ended: 2,
        steps: [],
      }
      newest = await commitTree(formatRecord(record), newest)
    }
    return newest
  }

  async function contextOf(state: State): Promise<Context> {
    const { ask, tip, live, last, tipAtArrival, isSilent, isServedElsewhere, isAbbreviated, accept } = state
    const entry = last && {
      ...{ number: 7, verb: 'deploy', isToPrevious: false, who: 'ada', log: '', started: 1, settingsFile: '' },
      ...{ hook: undefined, steps: [], outcome: 'live', touched: {}, ...last },
      ...{ commit: idOf(last.commit), previous: idOf(last.previous), tip: idOf(last.tip) },
    }
    const serving = idOf('serving' in state ? state.serving : live)
    const releases = {
      serving: () => (serving ? { number: 1, path: folder } : undefined),
      serves: async (commit: string) => commit === serving,
      processes: () => (isServedElsewhere ? [elsewhere] : []),
    } as unknown as Releases
    const settings = {
      ...{ ACCEPT: accept ?? 'forward', HEALTH_CHECK_TIMEOUT: 60 },
      HEALTH_CHECK_URL: isSilent ? 'http://127.0.0.1:1/' : undefined,
    } as unknown as HookSettings
    return {
      ask: { verb: ask[0], commit: isAbbreviated ? idOf(ask[1])?.slice(0, 12) : idOf(ask[1]) } as Ask,
      branch: 'main',
      ...{ settings, repository, releases, last: entry as JournalEntry | undefined },
      arrival: 'arrival' in state ? state.arrival : after7,
      tipAtArrival: idOf(tipAtArrival),
      refs: {
        ...{ tip: idOf(tip), live: idOf(live), failed: undefined, kept: undefined, asks: [] },
        history: await write(state.history ?? []),
      },
    } as unknown as Context
  }

  for (const [what, [state, expected]] of Object.entries(answers)) {
    it(what, async () => {
      const answer = await findAnswer(await contextOf(state))
      if ('deploy' in answer) {
        const { deploy, problem, wentBackTo } = answer
        assert.ok('deploy' in expected, `it deploys ${named(deploy)}`)
        assert.equal(named(deploy), expected.deploy)
        assert.match(problem ?? '', expected.problem ?? /^$/)
        assert.equal(named(wentBackTo ?? ''), expected.wentBackTo ?? '')
        return
      }
      assertVerdict(answer.verdict, state, expected)
    })
  }

  for (const [what, [state, expected]] of Object.entries(verdicts)) {
    it(`after its deployment ${what}`, async () => {
      const context = await contextOf(state)
      assertVerdict(await verdictOn(context.last as JournalEntry, context), state, expected)
    })
  }

  function assertVerdict(
    { commit, live, isElsewhere, explanation, notChecked }: Verdict,
    state: State,
    expected: Expected,
  ) {
    const kind = live ? 'live' : isElsewhere ? 'elsewhere' : 'notLive'
    const said = { [kind]: named(explanation), ...(notChecked && { notChecked }) }
    assert.deepEqual(said, expected)
    assert.equal(named(commit), named(idOf(state.ask[1]) ?? (live ? ids[state.live as Name] : 'previous')))
  }
})
