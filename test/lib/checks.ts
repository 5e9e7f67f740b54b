import assert from 'node:assert/strict'
import { assertExit } from './exit.ts'
import { parseJson } from './json-schema.ts'
import type { Site } from './site.ts'

interface Answer {
  readonly commit: string | null
  readonly ready: boolean | null
  readonly exitCode: number
  readonly checks: readonly {
    readonly where: 'here' | 'server'
    readonly what: string
    readonly ok: boolean | null
    readonly found: string
    readonly toDo: string | null
  }[]
}

/**
 * Runs `deploy check --json`, which exits with this code, and says so.
 *
 * @returns what people read, what programs read, and of that a line each: `ok WHAT: FOUND`, or `wrong WHAT: FOUND. To do: FIX`
 */
export async function check(site: Site, code: number, changes: Record<string, string | undefined> = {}, cwd?: string) {
  const { stdout, stderr } = assertExit(await site.startDeploy(['check', '--json'], changes, cwd), code)
  const answer: Answer = parseJson('check', stdout)
  assert.equal(answer.exitCode, code)
  const lines = answer.checks.map(({ what, ok, found, toDo }) => {
    const word = ok === null ? '?' : ok ? 'ok' : 'wrong'
    return `${word} ${what}: ${found}${toDo === null ? '' : `. To do: ${toDo}`}`
  })
  return { said: stderr, answer, found: lines.join('\n') }
}
