import fc from 'fast-check'
import { leftOut } from './left-out.ts'

/** The parts of a history. Each has a meaning in any state, so that any of them can be left out. */
export type Action =
  | Run
  | { readonly do: 'work by hand'; readonly work: Work; readonly place: number }
  | { readonly do: 'damage'; readonly how: Damage; readonly file: number }
  | { readonly do: 'housekeeping'; readonly what: Housekeeping }

export interface Run {
  readonly do: 'run'
  readonly calls: readonly Call[]
  readonly fault: Fault | undefined
  /** What is wrong during the calls, and not when they are repeated. */
  readonly trouble: Trouble | undefined
  /** How far the server's clock is wrong meanwhile; after another run, this sets it forward or back. */
  readonly hoursAhead: number
  /** Whether all calls run once more without the fault: a job is run again, or a rollback did not go far enough. */
  readonly isRepeated: boolean
}

/** One run of deploy, for the commit that its clone has then. */
export interface Call {
  readonly clone: number
  readonly verb: Verb
  /** The commit that is made in the clone before the call. */
  readonly commit: CommitOptions | undefined
  /** For `rollback COMMIT`: which of all commits. */
  readonly to: number
}

export const verbs = ['deploy', 'again', 'force', 'rollback', 'rollback to', 'rollback with database', 'check'] as const
export type Verb = (typeof verbs)[number]

export const commitKinds = [
  'good',
  'fails install',
  'fails upgrade',
  'fails restart',
  'fails health',
  'collides',
  'has .git',
] as const

export interface CommitOptions {
  readonly kind: (typeof commitKinds)[number]
  /** On top of what the clone has, and not of the newest: the branch forks where these differ. */
  readonly apart: boolean
  readonly newDependencies: boolean
  readonly slow: Step | undefined
  readonly daemon: Step | undefined
  /** Whether its daemon, and one of DB_REVISION, keep every descriptor open. */
  readonly holds: boolean
  readonly noise: boolean
  /** What its install does to the work tree. With RELEASES=1 none cleans it, because the user's files lie there. */
  readonly habit: (typeof habits)[number] | undefined
  /** Which of the untracked paths it collides with. */
  readonly place: number
}

export type Step = 'install' | 'upgrade' | 'restart'

/** To spoil is to change the hooks and the configuration that its git finds, as installers of hooks do. */
export const habits = ['rewrites', 'cleans', 'spoils'] as const

/** None of these is a failure of a command: RESTART and INSTALL_DEPS exit with 0. */
export const troubles = [
  'the server does not follow',
  'a dependency has broken',
  'a migration cannot be undone',
] as const
export type Trouble = (typeof troubles)[number]

/** The hook's lines from which a fault's moment is counted. */
export const moments = [
  'the start',
  'remote: pushlive',
  'CHECKING OUT',
  'INSTALLING',
  'UPGRADING',
  'RESTARTING',
  'CHECKING HEALTH',
  'PUTTING BACK',
] as const

export const faultKinds = [
  'kill hook',
  'kill git',
  'kill ssh',
  'kill deploy',
  'kill server',
  'kill everything',
  'cut connection',
  'full repository',
  'full work tree',
  'read-only repository',
  'read-only state',
  'read-only work tree',
  'mount',
  'no x bit',
  'no hook',
  'cut hook',
  'no .env',
  '.env is a folder',
] as const

export interface Fault {
  readonly kind: (typeof faultKinds)[number]
  readonly moment: (typeof moments)[number]
  readonly milliseconds: number
  /** Kilobytes that are left on a full disk. */
  readonly left: number
}

export const works = [
  'untracked file',
  'edit a tracked file',
  'delete a tracked file',
  'edit what tells the version',
  'delete the work tree',
  'empty the work tree',
  'a file in place of the work tree',
  'check out an older commit',
  'check out the branch',
  'stage a change',
  'the application stops to serve',
  'edit the .env in place',
  'edit the .env by rename',
  'rename the branch',
] as const
export type Work = (typeof works)[number]

export const damages = ['empty', 'cut', 'garble', 'delete'] as const
export type Damage = (typeof damages)[number]

export const housekeepings = [
  'gc --prune=now',
  'pack-refs --all',
  'repack -a -d',
  'worktree prune',
  'a stale ask',
  'stale locks of the work tree',
  'stale locks of refs',
] as const
export type Housekeeping = (typeof housekeepings)[number]

const without = <T extends string>(all: readonly T[]) => all.filter(each => !leftOut.has(each))

// The first of each list is what a failure shrinks to.
const step = fc.constantFrom<Step>('install', 'upgrade', 'restart')

/** Mostly the same one, so that files put there by hand collide with committed ones. */
const place = fc.oneof({ arbitrary: fc.constant(0), weight: 1 }, { arbitrary: fc.nat(5), weight: 1 })

const commit: fc.Arbitrary<CommitOptions> = fc.record({
  kind: fc.oneof(
    { arbitrary: fc.constant('good' as const), weight: 5 },
    { arbitrary: fc.constantFrom(...commitKinds), weight: 4 },
    { arbitrary: fc.constant('collides' as const), weight: 1 },
  ),
  apart: fc.oneof({ arbitrary: fc.constant(false), weight: 9 }, { arbitrary: fc.boolean(), weight: 1 }),
  newDependencies: fc.boolean(),
  slow: fc.option(step, { nil: undefined, freq: 2 }),
  daemon: fc.oneof({ arbitrary: fc.constant(undefined), weight: 3 }, { arbitrary: step, weight: 1 }),
  holds: fc.boolean(),
  noise: fc.boolean(),
  habit: fc.constantFrom(undefined, undefined, ...without(habits)),
  place,
})

const call: fc.Arbitrary<Call> = fc.record({
  clone: fc.nat(2),
  verb: fc.oneof(
    { arbitrary: fc.constant('deploy' as const), weight: 5 },
    { arbitrary: fc.constantFrom(...verbs), weight: 3 },
    { arbitrary: fc.constant('rollback' as const), weight: 2 },
    { arbitrary: fc.constant('again' as const), weight: 1 },
  ),
  commit: fc.option(commit, { nil: undefined, freq: 2 }),
  to: fc.nat(20),
})

const fault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.oneof(
    { arbitrary: fc.constantFrom(...faultKinds), weight: 3 },
    { arbitrary: fc.constantFrom('kill hook' as const, 'kill server' as const), weight: 1 },
  ),
  moment: fc.constantFrom(...moments),
  milliseconds: fc.nat(300),
  left: fc.constantFrom(0, 4, 16, 64),
})

const run = fc.record({
  do: fc.constant('run' as const),
  calls: fc.oneof(
    { arbitrary: fc.array(call, { minLength: 1, maxLength: 1 }), weight: 5 },
    { arbitrary: fc.array(call, { minLength: 1, maxLength: 4 }), weight: 1 },
  ),
  fault: fc.oneof({ arbitrary: fc.constant(undefined), weight: 3 }, { arbitrary: fault, weight: 2 }),
  trouble: fc.oneof(
    { arbitrary: fc.constant(undefined), weight: 4 },
    { arbitrary: fc.constantFrom(undefined, ...without(troubles)), weight: 2 },
  ),
  hoursAhead: fc.oneof(
    { arbitrary: fc.constant(0), weight: 2 },
    { arbitrary: fc.constantFrom(1, -1, 48, -48), weight: 1 },
  ),
  isRepeated: fc.oneof({ arbitrary: fc.constant(false), weight: 2 }, { arbitrary: fc.constant(true), weight: 1 }),
})

const action: fc.Arbitrary<Action> = fc.oneof(
  { arbitrary: run, weight: 12 },
  {
    arbitrary: fc.record({
      do: fc.constant('work by hand' as const),
      work: fc.oneof(
        { arbitrary: fc.constant('untracked file' as const), weight: 1 },
        { arbitrary: fc.constantFrom(...without(works)), weight: 2 },
      ),
      place,
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('damage' as const),
      how: fc.constantFrom(...damages),
      file: fc.nat(40),
    }),
    weight: 3,
  },
  {
    arbitrary: fc.record({
      do: fc.constant('housekeeping' as const),
      what: fc.constantFrom(...housekeepings),
    }),
    weight: 1,
  },
)

/** How the server is set up, and what happens there. */
export interface History {
  /** INSTALL_DEPS_IF_CHANGED and UPGRADE_DB_IF_CHANGED are set. */
  readonly ifChanged: boolean
  /** RELEASES=3. */
  readonly releases: boolean
  /** Whether the application is asked for its health, and whether it then names the commit that it runs. */
  readonly health: (typeof healths)[number]
  /** Whether the database has two heads. */
  readonly twoHeads: boolean
  /** ACCEPT=any. */
  readonly any: boolean
  /** Whether a bash hook has deployed the first commit. */
  readonly bash: boolean
  /** How many good commits are deployed before anything else, so that there is something to go back to. */
  readonly live: number
  readonly actions: readonly Action[]
}

export const healths = ['is checked', 'names the commit', 'is not checked'] as const

const unless = <T>(what: string, arbitrary: fc.Arbitrary<T>, otherwise: T) =>
  leftOut.has(what) ? fc.constant(otherwise) : arbitrary

/** @param maxLength of how many actions at most */
export const histories = (maxLength: number): fc.Arbitrary<History> =>
  fc.record({
    ifChanged: fc.boolean(),
    releases: fc.boolean(),
    health: fc.oneof(
      { arbitrary: fc.constant('is checked' as const), weight: 2 },
      { arbitrary: fc.constantFrom(...without(healths)), weight: 1 },
    ),
    any: unless('ACCEPT=any', fc.boolean(), false),
    twoHeads: unless('two heads', fc.boolean(), false),
    bash: unless('a bash hook', fc.oneof({ arbitrary: fc.constant(false), weight: 2 }, fc.boolean()), false),
    live: fc.oneof({ arbitrary: fc.constantFrom(1, 3), weight: 5 }, { arbitrary: fc.nat(3), weight: 1 }),
    actions: fc.array(action, { minLength: 1, maxLength, size: 'max' }),
  })
