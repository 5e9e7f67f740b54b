import { setTimeout as sleep } from 'node:timers/promises'
import type { Sshd } from '../lib/sshd.ts'
import { type Commit, contains } from './commits.ts'
import type { Action, Call, CommitOptions, Fault, History } from './history.ts'
import type { Look } from './look.ts'
import { type Ended, newServer, type Server } from './server.ts'

/** A promise that was broken, with all that was done and said until then. */
export class Broken extends Error {
  /** A short name, which is the same for the same defect. */
  readonly promise: string

  constructor(promise: string, details: string) {
    super(`${promise}\n${details}`)
    this.name = 'Broken'
    this.promise = promise
  }
}

export const plainCommit: CommitOptions = {
  kind: 'good',
  apart: false,
  newDependencies: true,
  slow: undefined,
  daemon: undefined,
  noise: false,
  place: 0,
}

const deployed = (commit?: CommitOptions): Action => ({
  do: 'run',
  calls: [{ clone: 0, verb: 'deploy', commit, to: 0 }],
  fault: undefined,
  hoursAhead: 0,
  isRepeated: false,
})

/** The faults that come before the push, and keep the hook from running or from reading its settings. */
const beforehand = ['no x bit', 'no hook', 'cut hook', 'no .env', '.env is a folder']
const withoutHook = ['no x bit', 'no hook', 'cut hook']
/** Whether no hook or no client may be left. After any other fault, such as a full disk, the hook has to answer. */
const isSilencing = ({ kind }: Fault) => withoutHook.includes(kind) || /^(kill|cut) /.test(kind)

/**
 * Runs a history, and verifies the promise after each action. At the end one more deploy finds out what is live, and a
 * good commit is deployed.
 *
 * @throws Broken
 */
export async function live({ ifChanged, releases, live, actions }: History, sshd: Sshd, key: string): Promise<void> {
  const server = await newServer(sshd, key, { ifChanged, releases })
  const told: string[] = []
  try {
    const model = newModel(server, told)
    for (let commit = 1; commit <= live; commit++) await model.act(deployed(plainCommit))
    for (const action of actions) await model.act(action)
    server.makeRoom()
    if (server.heads[0]) await model.act(deployed())
    await model.act(deployed(plainCommit))
    await model.verifyEnd()
  } catch (error) {
    const { message } = error as Error
    const [promise = '', ...details] = message.split('\n')
    throw new Broken(error instanceof Broken ? error.promise : promise, [...details, ...told].join('\n'))
  } finally {
    await server.destroy()
  }
}

const isGood = ({ kind }: Commit) => kind === 'good' || kind === 'collides'

/** The state before and after a call that ran alone. */
interface Around {
  readonly before: Look
  readonly after: Look
  /** The steps that have begun. */
  readonly begun: readonly string[]
  /** The local changes that were there. */
  readonly edits: readonly string[]
  /** Of the server's branch, before. */
  readonly tip: Commit | undefined
  /** Whether the commit's files and untracked ones cannot lie beside each other. */
  readonly collides: boolean
}

interface Called extends Ended {
  readonly call: Call
  readonly target: Commit
}

function newModel(server: Server, told: string[]) {
  /** The commits that were live one after another, as a rollback counts them; empty where only the server knows. */
  let line: Commit[] = []
  /** Nothing was live before the first of the line. */
  let isWholeLine = true
  const everServed = new Set<Commit>()
  let outputs = ''
  /** The commit that was live after the last call that exited with 0. */
  let answered: Commit | undefined
  /** Whether a state file has been damaged since the last call that exited with 0. */
  let isDamaged = false

  const shortName = (commit: Commit | undefined) =>
    commit ? `c${server.commits.indexOf(commit) + 1} (${commit.kind}, ${commit.id.slice(0, 10)})` : 'nothing'
  const tell = (text: string) => told.push(text)

  function verify(isKept: boolean, promise: string, details: string) {
    if (!isKept) throw new Broken(promise, details)
  }

  async function act(action: Action) {
    if (action.do === 'run') {
      server.setClock(action.hoursAhead)
      if (action.hoursAhead !== 0) tell(`== the clock is ${action.hoursAhead} hours ahead`)
      await run(action.calls, action.fault)
      const onceMore = action.calls.map(call => ({ ...call, commit: undefined }))
      if (action.isRepeated) await run(onceMore, undefined)
    } else if (action.do === 'work by hand') {
      tell(`== by hand: ${action.work}${action.work === 'untracked file' ? ` ${action.place}` : ''}`)
      await server.workByHand(action.work, action.place)
    } else if (action.do === 'damage') {
      const file = server.damage(action.how, action.file)
      tell(`== damage: ${action.how} ${file}`)
      isDamaged = true
      if (file?.includes('/refs/')) forgetLine()
    } else {
      tell(`== ${action.what}`)
      await server.keepHouse(action.what)
    }
  }

  async function run(calls: readonly Call[], fault: Fault | undefined) {
    const before = await server.look()
    const edits = server.editsThere()
    const stepsBefore = server.steps().length
    const branch = await server.branch()
    const tip = server.commits.find(({ id }) => id === branch)
    const prepared: { call: Call; target: Commit }[] = []
    for (const call of calls) {
      if (call.commit) await server.commit(call.clone, call.commit)
      const target = server.heads[call.clone]
      if (target) prepared.push({ call, target })
    }
    if (prepared.length === 0) return
    // Where several calls have made commits in one clone, it has the last of them.
    const each = prepared.map(({ call }) => ({ call, target: server.heads[call.clone] as Commit }))

    const collisions = each.map(({ target }) => server.collisions(target).length)

    const isBeforehand = fault !== undefined && beforehand.includes(fault.kind)
    if (isBeforehand) await server.strike(fault)
    let striking: Promise<void> | undefined
    const strike = () => {
      if (fault && !isBeforehand) striking ??= sleep(fault.milliseconds).then(() => server.strike(fault))
    }
    const deploying = each.map(async ({ call, target }): Promise<Called> => {
      const onLine = (line: string) => {
        if (fault && line.includes(fault.moment)) strike()
      }
      const ended = await server.startDeploy(call.clone, argumentsOf(call), onLine)
      return { call, target, ...ended }
    })
    if (fault?.moment === 'the start') strike()
    const called = await Promise.all(deploying)
    await striking
    await server.heal()
    for (const { call, target, code, output } of called) {
      const struck = fault ? `, ${describeFault(fault)}${striking || isBeforehand ? '' : ' (never reached)'}` : ''
      tell(`== ${describeCall(call)} from clone ${call.clone}, which has ${shortName(target)}${struck}: ${code}`)
      tell(output.trimEnd().replace(/^/gm, '   | '))
    }
    await server.untilIdle()
    const after = await server.look()
    const begun = server.steps().slice(stepsBefore)
    tell(`   serves ${shortName(after.served)}${after.problems.map(problem => `\n   BUT ${problem}`).join('')}`)
    outputs = called.map(({ output }) => output).join('')

    for (const one of called) verifyCall(one, called, before, after, begun, fault)
    verifyUntracked()
    const [overlap] = server.overlaps()
    verify(overlap === undefined, 'two deployments at once', `${overlap}`)
    const [only] = called
    const isAlone = called.length === 1 && fault === undefined
    if (only && isAlone) verifyAlone(only, { before, after, begun, edits, tip, collides: collisions[0] !== 0 })
    else verifyTogether(called, fault, tip, collisions)
    for (const path of server.edited.keys()) if (!server.editsThere().includes(path)) server.edited.delete(path)
    keepLine(only && isAlone ? only : undefined, after, begun)
    if (after.served) everServed.add(after.served)
    if (called.some(({ code, call }) => code === 0 && call.verb !== 'check')) {
      isDamaged = false
      answered = after.served
    }
  }

  /** Before anything has gone live, a commit that fails has to stay. */
  const hasNowhereToGo = (output: string) =>
    (answered === undefined || isDamaged) && output.includes('There was no previous version to restore')

  /** What holds for each call, whatever else went on. */
  function verifyCall(
    { call, target, code, output }: Called,
    called: readonly Called[],
    before: Look,
    after: Look,
    begun: readonly string[],
    fault: Fault | undefined,
  ) {
    const what = `${describeCall(call)} of ${shortName(target)} exits with ${code}`
    const control = [...output].find(each => /[^\P{Cc}\t\n]/u.test(each))
    verify(control === undefined, 'a control character in the output', JSON.stringify(output))
    verify(!output.includes('Internal error'), 'an internal error', what)
    const killed = typeof code === 'string' || code > 128
    verify(killed ? /^kill (deploy|everything)/.test(`${fault?.kind}`) : code <= 5, 'no exit code of ours', what)
    verify(code !== 5 || (fault !== undefined && isSilencing(fault)), 'no verdict though the hook could give one', what)
    if (call.verb === 'check') {
      if (called.length === 1) verify(begun.length === 0, 'check deploys', what)
      return
    }
    const alone = called.length === 1
    const newLoads = after.loads.slice(before.loads.length).map(load => load.version)
    const servedMeanwhile = server.commits.filter(
      commit =>
        commit === before.served ||
        commit === after.served ||
        newLoads.includes(commit.files.get('version.txt')?.content ?? ''),
    )
    const serves = contains(after.served, target)
    const isRollback = call.verb.startsWith('rollback')
    if (code === 0) {
      verify(!withoutHook.includes(`${fault?.kind}`), '0 though no hook of ours could run', what)
      if (isRollback) {
        const chosen = chosenBy(output)
        verify(chosen !== undefined, 'a rollback that does not say where it went', what)
        const wasServed = alone ? chosen === after.served : servedMeanwhile.some(each => each === chosen)
        verify(wasServed, '0 and it does not serve (rollback)', `${what}: it says ${shortName(chosen)}`)
        const isTakenBack = server.database() === after.served?.files.get('migration.txt')?.content.trim()
        if (call.verb === 'rollback with database' && alone)
          verify(isTakenBack, 'the database is not taken back', `${what}: it is at ${server.database()}`)
        if (call.verb === 'rollback to')
          verify(chosen === rollbackTarget(call), 'another commit than was asked for', what)
      } else {
        const wasServed = alone ? serves : servedMeanwhile.some(each => contains(each, target))
        verify(wasServed, `0 and it does not serve (${call.verb})`, `${what}, and ${shortName(after.served)} serves`)
      }
      // --again tries the branch's tip, which may be newer and may fail before its first step.
      const wasTried = begun.length > 0 || called.some(each => each.output.includes('CHECKING OUT CODE'))
      if (call.verb === 'again') verify(wasTried, '0 for --again and nothing was tried', what)
      // A fault may strike when the deployment is over.
      if (alone) {
        verify(
          after.problems.length === 0,
          `0 and something else lies there (${call.verb})`,
          `${what}\n${after.problems.join('\n')}`,
        )
      }
    } else if (typeof code === 'number' && code !== 5 && code <= 5) {
      const hasRollback = called.some(each => each.call.verb.startsWith('rollback'))
      const servedBefore = fault && contains(before.served, target)
      // Where the disk accepts no writes, neither the result can be recorded nor the previous code put back.
      const isUnrecorded =
        fault && /(repository|state)$/.test(fault.kind) && /runs, but is not recorded|IS NOT BACK IN PLACE/.test(output)
      const mayServe =
        hasNowhereToGo(output) ||
        isUnrecorded ||
        isRollback ||
        hasRollback ||
        (code === 1 && call.verb === 'again') ||
        servedBefore
      // A commit that the application has loaded is not live for that alone.
      const isLive = serves && after.problems.length === 0
      // Where several calls run at once, the answer may come before the last of them goes live.
      const always = alone || servedMeanwhile.every(each => contains(each, target))
      verify(
        !isLive || !always || Boolean(mayServe),
        `${code} and it serves`,
        `${what}, and ${shortName(after.served)} serves`,
      )
      if (code !== 1 && alone) verify(begun.length === 0, `${code} and something was deployed`, `${what}: ${begun}`)
    }
  }

  /** One call without a fault: its outcome can be predicted. */
  function verifyAlone({ call, target, code, output }: Called, { before, after, begun, edits, tip, collides }: Around) {
    const what = `${describeCall(call)} of ${shortName(target)} exits with ${code}`
    verify(code !== 5 && code !== 3, 'no verdict without a fault', what)
    if (call.verb === 'check') {
      verify(code === 0 || code === 1 || code === 4, 'no verdict without a fault', what)
      return
    }
    if (call.verb === 'deploy' || call.verb === 'again') {
      // Otherwise the server's own tip is newer.
      const isForward = tip === undefined || contains(target, tip)
      if (isForward) {
        const expected = isGood(target) && !collides ? 0 : 1
        const promise = expected ? 'a bad commit does not exit with 1' : 'a good commit does not go live'
        // Where the state is lost, the hook moves aside what is in the way.
        const isMoved = isDamaged && isGood(target) && output.includes('MOVED TO')
        verify(code === expected || isMoved, promise, what)
      } else if (!contains(tip, target)) {
        verify(code === 4 || (code === 1 && collides), 'a fork of the branch is not refused with 4', what)
      }
    }
    if (call.verb === 'rollback') {
      const expected = line.at(-2)
      const isKnown = (expected || isWholeLine) && line.at(-1) === before.served && before.problems.length === 0
      if (isKnown && (!expected || server.collisions(expected).length === 0)) {
        if (expected) {
          verify(code === 0, 'a rollback does not go back', `${what}; expected ${shortName(expected)}`)
          verify(after.served === expected, 'a rollback to another commit', `expected ${shortName(expected)}`)
        } else verify(code === 1 || code === 2, 'a rollback to nothing', what)
      }
    }
    if (call.verb === 'rollback to' && code === 0) {
      const to = rollbackTarget(call)
      verify(
        !to || everServed.has(to) || contains(tip, to),
        'a rollback to what was never live nor on the branch',
        what,
      )
    }
    // Where the state is damaged, a local change cannot be recognized.
    if (code === 0 && begun.length > 0 && !isDamaged) {
      for (const path of edits) verify(output.includes(path), 'a local change is undone and not named', path)
    }
    if (code !== 0 && before.problems.length === 0 && before.served && !hasNowhereToGo(output)) {
      const problems = [...after.problems]
      // A commit that a killed deployment has left live may be replaced by the one that was live before.
      if (after.served !== before.served && after.served !== answered)
        problems.unshift(`${shortName(after.served)} serves`)
      verify(problems.length === 0, `${code} and what served before is not back`, `${what}\n${problems.join('\n')}`)
    }
  }

  function verifyTogether(
    called: readonly Called[],
    fault: Fault | undefined,
    tip: Commit | undefined,
    collisions: readonly number[],
  ) {
    if (fault) return
    const isFork = ({ target }: Called) => !contains(server.trunk(), target) || !contains(server.trunk(), tip ?? target)
    for (const { call, target, code } of called) {
      const what = `${describeCall(call)} of ${shortName(target)} exits with ${code}, beside others`
      verify(code !== 5 && code !== 3, 'no verdict beside others', what)
      verify(code !== 4 || called.some(isFork) || call.verb === 'check', 'git refuses a commit beside others', what)
    }
    const isPlain =
      collisions.every(number => number === 0) &&
      called.every(one => one.call.verb === 'deploy' && one.target.kind === 'good' && !isFork(one))
    const newest = called.some(({ target }) => contains(target, tip ?? target))
    for (const { target, code } of isPlain && newest ? called : []) {
      verify(code === 0, 'a good commit does not go live beside others', `${shortName(target)}: ${code}`)
    }
  }

  function verifyUntracked() {
    for (const [path, content] of server.lost()) {
      const words = outputs + server.serverLogs()
      const isNamed = words.includes(path) || (path.startsWith('odd') && words.includes('odd'))
      verify(isNamed, "a file of the user's is lost without a word", JSON.stringify(path))
      verify(server.isKept(content), "a file of the user's is lost", JSON.stringify(path))
      server.untracked.delete(path)
    }
  }

  /** Follows what is live, as far as a call that ran alone tells. */
  function keepLine(only: Called | undefined, after: Look, begun: readonly string[]) {
    if (only === undefined) return forgetLine()
    const { call, code } = only
    if (code === 5 || typeof code === 'string') forgetLine()
    if (code !== 0 || call.verb === 'check' || after.served === undefined) return
    if (line.at(-1) === after.served || begun.length === 0) return
    const at = line.lastIndexOf(after.served)
    if (call.verb.startsWith('rollback')) {
      if (at !== -1) line.length = at + 1
      else if (isWholeLine) line.push(after.served)
      else line = [after.served]
    } else line.push(after.served)
  }

  function forgetLine() {
    line = []
    isWholeLine = false
  }

  const chosenBy = (output: string) => {
    const [, id] = /^([0-9a-f]{40,64}) IS LIVE/m.exec(output) ?? []
    return server.commits.find(each => each.id === id)
  }

  const rollbackTarget = (call: Call) => server.commits[call.to % server.commits.length]

  function argumentsOf(call: Call): string[] {
    if (call.verb === 'again') return ['--again']
    if (call.verb === 'deploy') return []
    if (call.verb === 'rollback to') return ['rollback', rollbackTarget(call)?.id ?? '']
    if (call.verb === 'rollback with database') return ['rollback', '--database']
    return [call.verb]
  }

  const describeCall = (call: Call) =>
    `deploy ${argumentsOf(call).join(' ')}${call.verb === 'rollback to' ? ` (${shortName(rollbackTarget(call))})` : ''}`.trim()

  return {
    act,
    async verifyEnd() {
      const asks = await server.asksLeft()
      const kept = asks.filter(ref => !ref.startsWith('refs/deploy/'))
      verify(kept.length === 0, 'an ask is left', kept.join(' '))
      verify(
        server.temporaryLeft().length === 0,
        'a key is left in the temporary folder',
        server.temporaryLeft().join(' '),
      )
    },
  }
}

const describeFault = ({ kind, moment, milliseconds, left }: Fault) =>
  beforehand.includes(kind)
    ? kind
    : `${kind}${kind.startsWith('full') ? ` (${left} KB left)` : ''} ${milliseconds} ms after ${moment}`
