import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { newKeyPair, startSshd } from '../lib/sshd.ts'
import { type History, histories } from './history.ts'
import { live } from './live.ts'
import { Broken } from './promise.ts'

/**
 * Random histories of a server and its three clones, with faults, judged by what the application answers.
 * PUSHLIVE_TORTURE_RUNS: how many; _SEED and _PATH: what a failure has printed, which replays it; _SURVEY: go on after
 * a failure without shrinking it, and list them all; _LENGTH: actions of a history at most, fewer where what breaks often
 * would hide the rest; _WITHOUT: names of actions and promises to leave out, separated by a comma and a blank, for the
 * same reason; _SHRINK: seconds that shrinking may take.
 */
const { PUSHLIVE_TORTURE_RUNS, PUSHLIVE_TORTURE_SEED, PUSHLIVE_TORTURE_PATH, PUSHLIVE_TORTURE_SURVEY } = process.env
const runs = Number(PUSHLIVE_TORTURE_RUNS ?? 10)
const seed = Number(PUSHLIVE_TORTURE_SEED ?? Math.floor(Math.random() * 1e9))
const path = PUSHLIVE_TORTURE_PATH
const history = histories(Number(process.env.PUSHLIVE_TORTURE_LENGTH ?? 8))
const shrinkMilliseconds = Number(process.env.PUSHLIVE_TORTURE_SHRINK ?? 180) * 1000

// Side by side, because most of the time they wait for the next second or for a step.
const workers = path === undefined ? 2 : 1

/** Histories that have broken a promise: a file each, made as short as they could be, and named by hand. */
const folder = join(import.meta.dirname, 'found')

describe('A history that once broke a promise breaks none:', { concurrency: 2 }, async () => {
  if (path !== undefined) return
  const { sshd, privateKey } = await startServer()
  for (const file of readdirSync(folder)) {
    it(file.replace('.json', '').replaceAll('-', ' '), async () => {
      await live(JSON.parse(readFileSync(join(folder, file), 'utf8')) as History, sshd, privateKey)
    })
  }
})

describe(`${runs} histories from seed ${seed}`, { concurrency: true }, () => {
  for (let worker = 0; worker < workers; worker++) {
    it(`each deployment's outcome is what the application answers (${worker + 1} of ${workers})`, async () => {
      const { sshd, privateKey } = await startServer()
      await torture(seed + worker, Math.ceil(runs / workers), async each => live(each, sshd, privateKey))
    })
  }
})

async function startServer() {
  const sshd = await startSshd({ after })
  const { publicKey, privateKey } = await newKeyPair(sshd.folder)
  sshd.authorize(publicKey)
  return { sshd, privateKey }
}

async function torture(seed: number, numRuns: number, run: (value: Parameters<typeof live>[0]) => Promise<void>) {
  const began = Date.now()
  const found: { promise: string; replay: string; minutes: string }[] = []
  let number = -1
  let stopShrinking: number | undefined
  let shrunk: string | undefined
  const property = fc.asyncProperty(history, async value => {
    number++
    // When the time is up, all further histories count as passed, so that the shortest failure so far is shown.
    if (stopShrinking !== undefined && Date.now() > stopShrinking) return
    try {
      await run(value)
    } catch (error) {
      const promise = error instanceof Broken ? error.promise : String(error)
      if (PUSHLIVE_TORTURE_SURVEY) {
        const minutes = ((Date.now() - began) / 60_000).toFixed(1)
        found.push({ promise, replay: `SEED=${seed} PATH_=${number}`, minutes })
        console.log(`${minutes} min, history ${number}: ${promise}   make torture SEED=${seed} PATH_=${number}`)
        console.log(String(error).replace(/^/gm, '  # '))
        return
      }
      // A shorter history that breaks another promise would hide what was found.
      shrunk ??= promise
      if (promise !== shrunk) return
      stopShrinking ??= Date.now() + shrinkMilliseconds
      throw error
    }
  })
  const result = await fc.check(property, { seed, numRuns, ...(path !== undefined && { path }) })
  if (PUSHLIVE_TORTURE_SURVEY) {
    console.table(found)
    assert.equal(found.length, 0, `${found.length} of ${numRuns} histories broke a promise`)
  }
  if (!result.failed) return
  const [counterexample] = result.counterexample ?? []
  const file = join(folder, `seed-${seed}.json`)
  writeFileSync(file, `${JSON.stringify(counterexample, null, 2)}\n`)
  assert.fail(
    [
      `Broken after ${result.numRuns} histories, and made shorter ${result.numShrinks} times.`,
      `make torture SEED=${seed} PATH_=${result.counterexamplePath}`,
      `It is in ${file}: give that the name of what broke, and commit it with the repair.`,
      fc.stringify(counterexample),
      String(result.errorInstance ?? 'interrupted'),
    ].join('\n'),
  )
}
