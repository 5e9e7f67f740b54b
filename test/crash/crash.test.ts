import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, describe, it } from 'node:test'
import { type Before, pathsOf, verifyRepaired } from './look.ts'
import { type Prepared, scenarios } from './scenarios.ts'
import { type Instant, newServer, type Server } from './server.ts'

/** Of so many instants one is tried. Which one, the commit chooses, so that a run can be repeated, and each has its turn. */
const every = Number(process.env.PUSHLIVE_CRASH_EVERY ?? 1)
const chosen = every === 1 ? 0 : Number.parseInt(execFileSync('git', ['rev-parse', 'HEAD']).toString().slice(0, 8), 16)
/** One instant, as a failure names it: SCENARIO/copy-NUMBER or SCENARIO/kill-NUMBER. */
const [onlyScenario, only] = process.env.PUSHLIVE_CRASH_POINT?.split('/').filter(Boolean) ?? []
/** More than any number of instants: of so many, only one is taken. */
const far = 1_000_000

const table: object[] = []
after(() => console.table(table))

describe('Killed before any system call that changes something', { concurrency: 3 }, () => {
  for (const [name, prepare] of Object.entries(scenarios)) {
    const skip = onlyScenario !== undefined && onlyScenario !== name
    it(`of ${name}: what serves is right, and what is asked for next repairs everything`, { skip }, async t => {
      const began = performance.now()
      const server = await newServer(t)
      const prepared = await prepare(server)
      const history = await historyOf(server)
      await server.keep()
      const [, number] = only?.split('-') ?? []
      const choice = only ? ([far, Number(number)] as const) : ([every, chosen] as const)
      const { output } = await prepared.act(['copy', ...choice])
      const found = server.found()
      assert.ok(found.totals.copy > 0, output)
      const instants = only ? found.instants.filter(each => `${each.kind}-${each.number}` === only) : found.instants
      // Each of the ways on is tried, or they take turns.
      const ways = Object.keys(prepared.next)
      const tries = instants.flatMap(instant => {
        const isTurn = (_: string, index: number) =>
          every === 1 || index === Math.floor(instant.number / every) % ways.length
        return ways.filter(isTurn).map(way => ({ instant, way }))
      })
      const before = { history, paths: await pathsAfter(server, prepared) }

      const problems: string[] = []
      for (const { instant, way } of tries) {
        const problem = await attempt(server, prepared, instant, way, before)
        if (problem)
          problems.push(`make test-crash POINT=${name}/${instant.kind}-${instant.number}: ${way}\n${problem}`)
      }
      const right = `${tries.length - problems.length} of ${tries.length}`
      const seconds = Math.round((performance.now() - began) / 1000)
      table.push({ scenario: name, instants: found.totals.copy, 'hook alone': found.totals.kill, right, seconds })
      assert.ok(problems.length === 0, `${right}\n${problems.slice(0, 5).join('\n')}`)
      assert.ok(tries.length > 0, 'there is no such instant')
    })
  }
})

/** What is wrong, if anything is, when it is killed at an instant and then asked for something. */
async function attempt(server: Server, prepared: Prepared, instant: Instant, way: string, before: Before) {
  const expected = prepared.next[way]
  assert.ok(expected)
  let { line } = instant
  let output = ''
  try {
    if (instant.kind === 'copy') await server.goTo(instant.number)
    else {
      await server.goTo()
      await prepared.act(['kill', far, instant.number])
      line = server.found().instants.at(-1)?.line ?? 'the kill came too late'
    }
    prepared.verifyInstant()
    await expected.first?.()
    const said = await server.push(expected.ask)
    output = said.output
    await verifyRepaired(server, expected, said, before)
    return undefined
  } catch (error) {
    return `killed before ${line}\n${error}\n${output}`
  }
}

const historyOf = async (server: Server) =>
  (await server.records()).map(({ commit, started }) => `${commit} ${started}`)

/** What lies there when nothing is killed: after the next push. */
async function pathsAfter(server: Server, { next }: Prepared) {
  const push = next['the next push']
  assert.ok(push)
  await server.push(push.ask)
  return pathsOf(server)
}
