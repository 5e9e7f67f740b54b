/** The files that are changed in every way, and the tests that have to notice: the fastest first. */
export const testsOf: Readonly<Record<string, readonly string[]>> = {
  'scripts/lib/protocol/asks.ts': ['test/protocol/asks.test.ts'],
  'scripts/lib/protocol/checks.ts': ['test/protocol/lines.test.ts'],
  'scripts/lib/protocol/ids.ts': ['test/protocol/lines.test.ts'],
  'scripts/lib/protocol/logs.ts': ['test/protocol/lines.test.ts'],
  'scripts/lib/protocol/origin.ts': ['test/protocol/lines.test.ts'],
  'scripts/lib/protocol/record.ts': ['test/protocol/record.test.ts'],
  'scripts/lib/protocol/revision.ts': ['test/protocol/revision.test.ts'],
  'scripts/lib/protocol/steps.ts': ['test/protocol/lines.test.ts'],
  'scripts/lib/protocol/verdict.ts': ['test/protocol/verdict.test.ts'],
}
