import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './lane.ts'
import type { Mutant } from './mutant.ts'

interface Place {
  readonly line: number
  readonly column: number
}
/** The part that is used here of what the instrumenter gives: it is not installed where types are checked. */
interface Instrumenter {
  instrument(
    files: readonly { name: string; content: string; mutate: boolean }[],
    options: object,
  ): Promise<{
    mutants: readonly { location: { start: Place; end: Place }; replacement: string; mutatorName: string }[]
  }>
}

/** Every mutant that Stryker makes of a file. */
export async function generateMutants(file: string): Promise<Mutant[]> {
  const { Instrumenter } = (await import(
    join(root, 'dist/mutation/node_modules/@stryker-mutator/instrumenter/dist/src/index.js')
  )) as { Instrumenter: new (logger: object) => Instrumenter }
  const logger = new Proxy({}, { get: (_, name) => () => (String(name).startsWith('is') ? false : undefined) })
  const content = readFileSync(join(root, file), 'utf8')
  const { mutants } = await new Instrumenter(logger).instrument([{ name: file, content, mutate: true }], {
    plugins: null,
    excludedMutations: [],
    ignorers: [],
    noHeader: true,
  })
  const starts = lineStarts(content)
  const at = ({ line, column }: Place) => (starts[line] as number) + column
  return mutants.map(({ location, replacement }) => {
    const [from, to] = [at(location.start), at(location.end)]
    return {
      file,
      line: location.start.line + 1,
      name: inItsLine(content, from, to, replacement),
      text: content.slice(0, from) + replacement + content.slice(to),
    }
  })
}

const lineStarts = (content: string) => [0, ...[...content.matchAll(/\n/g)].map(({ index }) => index + 1)]

/** The line with what is changed in it, `if (ready [&& -> ||] asked)`: it stays the same when the file grows above it. */
function inItsLine(content: string, from: number, to: number, replacement: string): string {
  const before = content.slice(content.lastIndexOf('\n', from - 1) + 1, from).trimStart()
  const end = content.indexOf('\n', to)
  const after = content.slice(to, end < 0 ? undefined : end).trimEnd()
  return `${before}[${short(content.slice(from, to))} -> ${short(replacement)}]${after}`
}

function short(code: string): string {
  const line = code.replace(/\s+/g, ' ')
  return line.length <= 80 ? line : `${line.slice(0, 38)} ... ${line.slice(-38)}`
}
