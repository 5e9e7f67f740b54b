import { setTimeout as sleep } from 'node:timers/promises'
import type { Sshd } from '../lib/sshd.ts'
import { type Around, type Called, newCalls } from './calls.ts'
import type { Commit } from './commits.ts'
import type { Action, Call, CommitOptions, Fault, History, Run, Trouble, Work } from './history.ts'
import type { Look } from './look.ts'
import { newMemory } from './memory.ts'
import { Broken, newPromises } from './promise.ts'
import { newServer, type Server } from './server.ts'

export const plainCommit: CommitOptions = {
  kind: 'good',
  apart: false,
  newDependencies: true,
  slow: undefined,
  daemon: undefined,
  holds: false,
  noise: false,
  habit: undefined,
  place: 0,
}

const deployed = (commit?: CommitOptions): Action => ({
  do: 'run',
  calls: [{ clone: 0, verb: 'deploy', commit, to: 0 }],
  fault: undefined,
  trouble: undefined,
  hoursAhead: 0,
  isRepeated: false,
})

/**
 * Runs a history, and verifies the promise after each action. At the end one more deploy finds out what is live, and a
 * good commit is deployed.
 *
 * @throws Broken
 */
export async function live(history: History, sshd: Sshd, key: string): Promise<void> {
  const server = await newServer(sshd, key, history)
  const told: string[] = []
  try {
    const model = newModel(server, told)
    if (history.bash) await model.deployByBash()
    for (let commit = history.bash ? 2 : 1; commit <= history.live; commit++) await model.act(deployed(plainCommit))
    for (const action of history.actions) await model.act(action)
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

/** The faults that come before the push, and keep the hook from running or from reading its settings. */
const beforehand = ['no x bit', 'no hook', 'cut hook', 'no .env', '.env is a folder']
/** What leaves nothing that a failed deployment could go back to. */
const emptying: readonly Work[] = ['delete the work tree', 'empty the work tree', 'a file in place of the work tree']
/** What touches nothing that a deployment puts into a release. */
const harmless: readonly Work[] = ['untracked file', 'edit the .env in place', 'edit the .env by rename']

function newModel(server: Server, told: string[]) {
  const memory = newMemory()
  const names = newCalls(server)
  const { shortName, argumentsOf, describeCall } = names
  const promises = newPromises(server, memory, names)
  const tell = (text: string) => told.push(text)

  async function act(action: Action) {
    if (action.do === 'run') {
      server.setClock(action.hoursAhead)
      if (action.hoursAhead !== 0) tell(`== the clock is ${action.hoursAhead} hours ahead`)
      await run(action)
      const onceMore = action.calls.map(call => ({ ...call, commit: undefined }))
      if (action.isRepeated) await run({ calls: onceMore })
      return
    }
    memory.isSettled = false
    if (action.do === 'work by hand') {
      // Nobody would notice.
      if (action.work === 'the application stops to serve' && !server.isChecked) return
      tell(`== by hand: ${action.work}${action.work === 'untracked file' ? ` ${action.place}` : ''}`)
      const { served } = await server.look()
      await server.workByHand(action.work, action.place)
      if (emptying.includes(action.work)) memory.answered = undefined
      if (action.work === 'rename the branch') {
        memory.forgetLine()
        if (served) memory.serveUnrecorded(served)
      } else memory.isUntouched &&= harmless.includes(action.work)
    } else if (action.do === 'damage') {
      const file = server.damage(action.how, action.file)
      tell(`== damage: ${action.how} ${file}`)
      memory.isDamaged ||= file !== undefined
      memory.isUntouched = false
      if (file?.includes('/refs/')) {
        memory.forgetLine()
        if (action.how !== 'delete') await mend()
      }
    } else {
      tell(`== ${action.what}`)
      await server.keepHouse(action.what)
    }
  }

  /** Where git refuses all pushes because of a damaged ref, deploy says what to do, and that helps. */
  async function mend() {
    if (server.heads[0]) {
      const { code, output } = await server.startDeploy(0, ['check'], () => {})
      tell(output.trimEnd().replace(/^/gm, '   | '))
      promises.verifyMendable(code, output)
    }
    for (const note of await server.install()) tell(`== mended: ${note}`)
  }

  async function deployByBash() {
    const commit = await server.commit(0, plainCommit)
    tell(`== a bash hook deploys ${shortName(commit)}`)
    await server.deployByBash(commit)
    await server.use()
    memory.serveUnrecorded(commit)
  }

  /** The trouble, unless in this state nobody could tell. */
  function troubleFor({ trouble, fault }: Pick<Run, 'trouble' | 'fault'>, { served }: Look) {
    const isVisible: Record<Trouble, boolean> = {
      // In place only an answer that names the commit tells which code the server runs.
      'the server does not follow': served !== undefined && (server.hasReleases || server.namesCommit),
      // In place it breaks what served before, too, which is installed again.
      'a dependency has broken': server.hasReleases && server.isChecked,
      'a migration cannot be undone': true,
    }
    return trouble && fault === undefined && isVisible[trouble] ? trouble : undefined
  }

  async function run({ calls, fault, ...wanted }: Pick<Run, 'calls'> & Partial<Pick<Run, 'fault' | 'trouble'>>) {
    const before = await server.look()
    const trouble = troubleFor({ trouble: wanted.trouble, fault }, before)
    const edits = server.editsThere()
    const stepsBefore = server.steps().length
    const branch = await server.tip()
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

    server.setTrouble(trouble)
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
    server.setTrouble(undefined)
    for (const { call, target, code, output } of called) {
      const struck = [
        fault && `, ${describeFault(fault)}${striking || isBeforehand ? '' : ' (never reached)'}`,
        trouble && `, and ${trouble}`,
      ].join('')
      tell(`== ${describeCall(call)} from clone ${call.clone}, which has ${shortName(target)}${struck}: ${code}`)
      tell(output.trimEnd().replace(/^/gm, '   | '))
    }
    await server.untilIdle()
    const after = await lookAfter(before)
    const begun = server.steps().slice(stepsBefore)
    const isShort = after.unmigrated.length > 0 && `the database lacks ${after.unmigrated.join(' ')}`
    const buts = [...after.problems, isShort].filter(Boolean).map(problem => `\n   BUT ${problem}`)
    tell(`   serves ${shortName(after.served)}${buts.join('')}`)
    const [only] = called
    const isAlone = called.length === 1 && fault === undefined
    const around: Around = { before, after, begun, edits, tip, collides: collisions[0] !== 0, trouble }
    for (const one of called) promises.verifyCall(one, called, around, fault)
    promises.verifyFiles(called)
    promises.verifyTurns()
    promises.verifyRepository()
    promises.verifyDatabase(called, around)
    if (only && isAlone) promises.verifyAlone(only, around)
    else if (fault === undefined && trouble === undefined) promises.verifyTogether(called, tip, collisions)

    for (const path of server.edited.keys()) if (!server.editsThere().includes(path)) server.edited.delete(path)
    memory.follow(called, around, isAlone)
    memory.isUntouched &&= fault === undefined
    if (after.served && after.problems.length === 0) await server.use()
  }

  /** The same as a look, but what has been loaded meanwhile has to be loaded with the .env of now. */
  async function lookAfter(before: Look): Promise<Look> {
    const after = await server.look()
    const loaded = after.loads.slice(before.loads.length).at(-1)
    const [is, wanted] = [loaded?.dotenv, server.dotenv()]
    if (after.served === undefined || loaded === undefined || wanted === undefined || is === wanted) return after
    return { ...after, problems: [...after.problems, `it has loaded another .env: ${is}, not ${wanted}`] }
  }

  return { act, deployByBash, verifyEnd: promises.verifyEnd }
}

const describeFault = ({ kind, moment, milliseconds, left }: Fault) =>
  beforehand.includes(kind)
    ? kind
    : `${kind}${kind.startsWith('full') ? ` (${left} KB left)` : ''} ${milliseconds} ms after ${moment}`
