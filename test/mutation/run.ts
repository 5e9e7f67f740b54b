// Changes the sources on purpose, one change at a time, and looks whether a test fails.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { mutantsByHand } from './by-hand.ts'
import { generateMutants } from './generated.ts'
import { makeLane, root } from './lane.ts'
import type { Mutant } from './mutant.ts'
import { survivors } from './survivors.ts'
import { testsOf } from './tests-of.ts'

const only = process.argv[2] ?? ''
const generated = (await Promise.all(Object.keys(testsOf).map(generateMutants))).flat()
const byHand = mutantsByHand.map(({ file, from, to, breaks, tests }): Mutant => {
  const text = readFileSync(join(root, file), 'utf8')
  const [before = '', after, ...more] = text.split(from)
  if (after === undefined || more.length) throw new Error(`${file} has to have this once, for "${breaks}": ${from}`)
  return { file, line: before.split('\n').length, name: breaks, text: before + to + after, tests }
})
const idOf = ({ file, name }: Mutant) => `${file}: ${name}`
const isAsked = (mutant: Mutant) => idOf(mutant).includes(only)
const lanes = Array.from({ length: availableParallelism() }, makeLane)
process.once('exit', () => {
  for (const lane of lanes) lane.remove()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

let isRed = await tryAll('made by Stryker', generated, 95)
isRed = (await tryAll('by hand', byHand, 90)) || isRed
const ids = new Set([...generated, ...byHand].map(idOf))
for (const listed of survivors.flatMap(({ mutants }) => mutants)) {
  if (listed instanceof RegExp || !listed.includes(only) || ids.has(listed)) continue
  console.log(`${listed}: listed as a survivor, and no mutant is called so`)
  isRed = true
}
process.exit(isRed ? 1 : 0)

/** Prints each mutant that no test has noticed, and the score. Whether it is below `aim` (in percent), or a survivor has no reason. */
async function tryAll(kind: string, all: readonly Mutant[], aim: number): Promise<boolean> {
  const mutants = all.filter(isAsked)
  const testsFor = ({ file, tests }: Mutant) => tests ?? testsOf[file] ?? []
  const limits = await limitsOf(new Set(mutants.flatMap(testsFor)))
  const queue = [...mutants]
  let noticed = 0
  let wrong = 0
  await Promise.all(
    lanes.map(async lane => {
      for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
        const test = await lane.notices(mutant, testsFor(mutant), limits)
        const place = `${mutant.file}:${mutant.line}: ${mutant.name}`
        const id = idOf(mutant)
        const reason = survivors.find(({ mutants }) => mutants.some(each => each === id || isIn(each, id)))?.reason
        if (test) noticed++
        if (test && only) console.log(`${place}: noticed by ${test}`)
        if (!test) console.log(`${place}: NOT noticed${reason ? `, because ${reason}` : ''}`)
        const isListed = survivors.some(({ mutants }) => mutants.includes(id))
        if (test && isListed) console.log(`${place}: noticed by ${test}, and listed as a survivor`)
        if (test ? isListed : !reason) wrong++
      }
    }),
  )
  const score = mutants.length ? (noticed / mutants.length) * 100 : 100
  console.log(
    `${kind}: ${noticed} of ${mutants.length} noticed (${score.toFixed(1)} %, aim ${aim} %), ${wrong} other than listed`,
  )
  return score < aim || wrong > 0
}

function isIn(group: string | RegExp, id: string): boolean {
  return group instanceof RegExp && group.test(id)
}

/** How long each test may take, in seconds: some times of what it takes without a change. Throws if one fails by itself. */
async function limitsOf(tests: ReadonlySet<string>): Promise<Map<string, number>> {
  const limits = new Map<string, number>()
  const queue = [...tests]
  await Promise.all(
    lanes.map(async lane => {
      for (let test = queue.shift(); test; test = queue.shift()) {
        const { passed, seconds, output } = await lane.runTest(test)
        if (!passed) throw new Error(`${test} fails without any change:\n${output}`)
        limits.set(test, 10 + 4 * seconds)
      }
    }),
  )
  return limits
}
