import type { Around, Called, Calls } from './calls.ts'
import { type Commit, contains, migrationsOf } from './commits.ts'
import type { Call, Fault } from './history.ts'
import { leftOut } from './left-out.ts'
import { contentOfUpload } from './look.ts'
import type { Memory } from './memory.ts'
import type { Ended, Server } from './server.ts'

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

const withoutHook = ['no x bit', 'no hook', 'cut hook']
/** Whether no hook or no client may be left. After any other fault, such as a full disk, the hook has to answer. */
const isSilencing = ({ kind }: Fault) => withoutHook.includes(kind) || /^(kill|cut) /.test(kind)

/** What a server promises about each call of deploy, by what it was before and is after it. */
export function newPromises(server: Server, memory: Memory, calls: Calls) {
  const { shortName, describeCall, rollbackTarget, chosenBy } = calls

  // Where all is in one folder, only the state tells what it was.
  const isForgotten = () =>
    memory.isDamaged && (!server.hasReleases || leftOut.has('what served where the state is damaged'))
  /** Before anything has gone live, a commit that fails has to stay. */
  const hasNowhereToGo = (output: string) =>
    (memory.answered === undefined || isForgotten()) && output.includes('There was no previous version to restore')

  /** What holds for each call, whatever else went on. */
  function verifyCall(
    { call, target, code, output }: Called,
    called: readonly Called[],
    { before, after, begun }: Around,
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
          `0 and ${kindOf(after.problems)} (${call.verb})`,
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
        // It asks for just that commit.
        call.verb === 'force' ||
        servedBefore
      // A commit that the application has loaded is not live for that alone.
      const isLive = serves && after.problems.length === 0
      // Where several calls run at once, the answer may come before the memory.last of them goes live.
      const always = alone || (before.served !== undefined && servedMeanwhile.every(each => contains(each, target)))
      verify(
        !isLive || !always || Boolean(mayServe),
        `${code} and it serves`,
        `${what}, and ${shortName(after.served)} serves`,
      )
      if (code !== 1 && alone) verify(begun.length === 0, `${code} and something was deployed`, `${what}: ${begun}`)
    }
  }

  /** What holds for the database, whatever else went on. */
  function verifyDatabase(called: readonly Called[], { before, after, begun }: Around) {
    const isTakenBack = begun.some(step => step.startsWith('downgrade '))
    const lost = Object.keys(before.tables).filter(name => after.tables[name] !== before.tables[name])
    verify(isTakenBack || lost.length === 0, 'a table is lost', lost.join(' '))
    const [only] = called
    if (only === undefined || called.length > 1 || only.call.verb === 'check' || after.served === undefined) return
    const { call, code, output } = only
    const what = `${describeCall(call)} exits with ${code}`
    const lacks = after.unmigrated.join(' ')
    if (code === 0) {
      verify(lacks === '', '0 and the database lacks a migration', `${what}: ${lacks}`)
      const known = migrationsOf(after.served)
      const ahead = Object.keys(after.tables).filter(name => !known.includes(name))
      const isBack = call.verb !== 'rollback with database' || ahead.length === 0
      verify(isBack, 'the database is not taken back', `${what}: ${ahead.join(' ')} is there`)
    } else if (code === 1 && before.unmigrated.length === 0 && before.served === after.served) {
      const isSaid = isTakenBack && /database/i.test(output)
      verify(lacks === '' || isSaid, 'the database is behind, and nothing says so', `${what}: ${lacks}`)
      const isUpgraded = call.verb === 'rollback with database' && begun.some(step => step.startsWith('upgrade '))
      verify(isTakenBack || !isUpgraded, 'a rollback that fails upgrades the database', what)
    }
  }

  /** Whether a commit goes live, as far as what it does and the trouble tell. */
  function isGood({ kind, id, files }: Commit, { before, begun, collides, trouble }: Around) {
    const runs = (step: string) => begun.includes(`${step} ${id}`)
    const [, failing] = /^fails (.*)$/.exec(kind) ?? []
    const fails = failing === 'health' ? server.isChecked : failing !== undefined && runs(failing)
    const isReloaded = server.hasReleases || before.served?.id !== id
    const stays = trouble === 'the server does not follow' && isReloaded && runs('restart')
    const isBroken = trouble === 'a dependency has broken' && runs('install')
    // Where the branch was renamed, it may begin before what has served.
    const isTooOld = runs('upgrade') && Object.keys(before.tables).some(name => !files.has(`migrations/${name}`))
    return !(fails || kind === 'has .git' || collides || stays || isBroken || isTooOld)
  }

  /** One call without a fault: its outcome can be predicted. */
  function verifyAlone({ call, target, code, output }: Called, around: Around) {
    const { before, after, begun, edits, tip, collides, trouble } = around
    const what = `${describeCall(call)} of ${shortName(target)} exits with ${code}`
    verify(code !== 5 && code !== 3, 'no verdict without a fault', what)
    if (call.verb === 'check') {
      verify(code === 0 || code === 1 || code === 4, 'no verdict without a fault', what)
      return
    }
    if (call.verb === 'deploy' || call.verb === 'again' || call.verb === 'force') {
      // Otherwise the server's own tip is newer.
      const isForward = tip === undefined || contains(target, tip)
      const isForced = call.verb === 'force' && server.acceptsAny
      if (isForward || isForced) {
        const expected = isGood(target, around) ? 0 : 1
        const promise = expected ? 'a bad commit does not exit with 1' : 'a good commit does not go live'
        // Where the state is lost, the hook moves aside what is in the way.
        const isMoved = memory.isDamaged && expected === 0 && output.includes('MOVED TO')
        verify(code === expected || isMoved, promise, what)
      } else if (call.verb === 'force' || !contains(tip, target)) {
        // What was forced in its place has failed.
        const stays = code === 0 && server.acceptsAny && contains(before.served, target)
        verify(code === 4 || (code === 1 && collides) || stays, 'a fork of the branch is not refused with 4', what)
      }
    }
    verifyQuick(call, target, code, around)
    if (call.verb === 'rollback with database') verifyTakenBack(what, code, around)
    if (call.verb === 'rollback') {
      const expected = memory.line.at(-2)
      const isKnown =
        (expected || memory.isWholeLine) && memory.line.at(-1) === before.served && before.problems.length === 0
      if (isKnown && trouble === undefined && (!expected || server.collisions(expected).length === 0)) {
        if (expected) {
          verify(code === 0, 'a rollback does not go back', `${what}; expected ${shortName(expected)}`)
          verify(after.served === expected, 'a rollback to another commit', `expected ${shortName(expected)}`)
        } else verify(code === 1 || code === 2, 'a rollback to nothing', what)
      }
    }
    if (call.verb === 'rollback to' && code === 0) {
      const to = rollbackTarget(call)
      verify(
        !to || memory.everServed.has(to) || contains(tip, to),
        'a rollback to what was never live nor on the branch',
        what,
      )
    }
    // Where the state is damaged, a local change cannot be recognized.
    if (code === 0 && begun.length > 0 && !memory.isDamaged) {
      for (const path of edits) verify(output.includes(path), 'a local change is undone and not named', path)
    }
    // After a killed deployment another commit may have to come back: the server does not follow there, either.
    const isStuck = trouble === 'the server does not follow' && output.includes('IS NOT BACK IN PLACE')
    if (code !== 0 && before.problems.length === 0 && before.served && !hasNowhereToGo(output) && !isStuck) {
      const problems = [...after.problems]
      // A commit that a killed deployment has left live may be replaced by the one that was live before.
      if (after.served !== before.served && after.served !== memory.answered)
        problems.unshift(`another commit serves: ${shortName(after.served)}`)
      const promise = `${code} and what served before is not back, because ${kindOf(problems)}`
      verify(problems.length === 0, promise, `${what}\n${problems.join('\n')}`)
    }
  }

  /** What is there already is not made again. */
  function verifyQuick({ verb }: Call, target: Commit, code: Ended['code'], { before, begun, trouble }: Around) {
    const { served } = before
    const isAlreadyLive = memory.isSettled && verb === 'deploy' && target === served
    verify(!isAlreadyLive || begun.length === 0, 'what serves is deployed once more', begun.join(', '))
    if (!server.hasReleases || !memory.isUntouched || before.problems.length > 0 || served === undefined) return
    const isRollback = verb.startsWith('rollback')
    const isBack = code !== 0 && !isRollback && target !== served
    verify(!isBack || !begun.includes(`install ${served.id}`), 'the way back installs', begun.join(', '))
    const isToKept =
      verb === 'rollback' &&
      memory.isNewest &&
      memory.line.at(-1) === served &&
      memory.line.length > 1 &&
      trouble === undefined
    const isQuick = begun.every(step => step.startsWith('restart '))
    verify(!isToKept || isQuick, 'a rollback to a kept release does more than to restart', begun.join(', '))
  }

  /** A rollback with the database goes where one without it does, as long as a release knows the way. */
  function verifyTakenBack(what: string, code: Ended['code'], { before, after, trouble }: Around) {
    if (
      !server.hasReleases ||
      !memory.isUntouched ||
      trouble ||
      before.problems.length > 0 ||
      before.served === undefined
    )
      return
    const known = migrationsOf(before.served)
    const isAhead = Object.keys(before.tables).some(name => !known.includes(name))
    if (memory.line.at(-1) !== before.served || (isAhead && !memory.hasFailedAhead)) return
    const expected = isAhead ? before.served : memory.line.at(-2)
    const newest = Object.keys(before.tables).sort().at(-1) ?? ''
    if (expected === undefined || memory.unrecorded.has(expected) || !server.hasMigration(newest)) return
    if (server.collisions(expected).length > 0) return
    verify(code === 0, 'a rollback does not take the database back', `${what}; expected ${shortName(expected)}`)
    verify(after.served === expected, 'a rollback with the database to another commit', shortName(expected))
  }

  function verifyTogether(called: readonly Called[], tip: Commit | undefined, collisions: readonly number[]) {
    const isFork = ({ target }: Called) => !contains(server.trunk(), target) || !contains(server.trunk(), tip ?? target)
    for (const { call, target, code } of called) {
      const what = `${describeCall(call)} of ${shortName(target)} exits with ${code}, beside others`
      verify(code !== 5 && code !== 3, 'no verdict beside others', what)
      const mayBeRefused = call.verb === 'check' || called.some(one => isFork(one) || one.call.verb === 'force')
      verify(code !== 4 || mayBeRefused, 'git refuses a commit beside others', what)
    }
    const isPlain =
      collisions.every(number => number === 0) &&
      called.every(one => one.call.verb === 'deploy' && one.target.kind === 'good' && !isFork(one))
    const newest = called.some(({ target }) => contains(target, tip ?? target))
    for (const { target, code } of isPlain && newest ? called : []) {
      verify(code === 0, 'a good commit does not go live beside others', `${shortName(target)}: ${code}`)
    }
  }

  /** What the users have put there is there, or lies elsewhere and is named. */
  function verifyFiles(called: readonly Called[]) {
    const contents = server.contents()
    const lost = [...server.uploads].find(name => !contents.has(contentOfUpload(name)))
    verify(lost === undefined, 'an upload is lost', `${lost}`)
    const dotenv = server.dotenv()
    verify(dotenv === undefined || contents.has(dotenv), 'an edit of the .env is lost', `${dotenv}`)
    for (const [path, content] of server.lost()) {
      const said = called.map(({ output }) => output).join('') + server.serverLogs()
      // What is not printable in it is shown in another way.
      const isNamed = said.includes(/^[ -~]*/.exec(path)?.[0] ?? path)
      verify(isNamed, "a file of the user's is lost without a word", JSON.stringify(path))
      verify(contents.has(content), "a file of the user's is lost", JSON.stringify(path))
      server.untracked.delete(path)
    }
  }

  function verifyMendable(code: Ended['code'], output: string) {
    // git 2.41 and later do not look at hidden refs.
    const isSaid =
      code === 4 ? /post-receive install REPOSITORY|not a fast-forward/.test(output) : [0, 1].includes(Number(code))
    verify(isSaid, 'a damaged ref is not said', `deploy check exits with ${code}`)
  }

  function verifyRepository() {
    const spoiled = server.findSpoiled()
    verify(spoiled === undefined, 'a step has changed the repository', `${spoiled}`)
  }

  function verifyTurns() {
    const [overlap] = server.overlaps()
    verify(overlap === undefined, 'two deployments at once', `${overlap}`)
  }

  async function verifyEnd() {
    const asks = await server.asksLeft()
    const kept = asks.filter(ref => !ref.startsWith('refs/deploy/'))
    verify(kept.length === 0, 'an ask is left', kept.join(' '))
    verify(
      server.temporaryLeft().length === 0,
      'a key is left in the temporary folder',
      server.temporaryLeft().join(' '),
    )
  }

  return {
    ...{ verifyCall, verifyDatabase, verifyAlone, verifyTogether, verifyFiles, verifyTurns, verifyEnd },
    ...{ verifyMendable, verifyRepository },
  }
}

function verify(isKept: boolean, promise: string, details: string) {
  if (!isKept) throw new Broken(promise, details)
}

/** The words of the first problem that are the same for all of its kind. */
const kindOf = ([problem]: readonly string[]) => problem?.split(': ')[0]
