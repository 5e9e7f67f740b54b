import assert from 'node:assert/strict'

/** The result of a program; `output` is both streams in one. */
interface Ended {
  readonly exitCode: number | null
  readonly signal?: NodeJS.Signals | null
  readonly output?: string
  readonly stdout?: string
  readonly stderr?: string
}

/** @returns what it was given. @throws AssertionError with what the program printed when it exited with another code */
export function assertExit<T extends Ended>(ended: T, expected: number, context?: string): T {
  assert.equal(ended.exitCode, expected, describeExit(ended, `${expected}`, context))
  return ended
}

/** @returns what it was given. @throws AssertionError with what the program printed when it exited with 0 */
export function assertFails<T extends Ended>(ended: T, context?: string): T {
  assert.notEqual(ended.exitCode, 0, describeExit(ended, 'another code', context))
  return ended
}

function describeExit(
  { exitCode, signal, output, stdout = '', stderr = '' }: Ended,
  expected: string,
  context?: string,
) {
  const place = context ? `${context}: ` : ''
  return `${place}exited with ${exitCode ?? signal}, not with ${expected}:\n${output ?? stdout + stderr}`
}
