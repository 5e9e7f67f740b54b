import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { buildSync } from 'esbuild'

const root = join(import.meta.dirname, '..')

/** The files of each program, by esbuild's metafile. */
const rooms: Record<string, readonly string[]> = {
  'scripts/deploy.ts': ['deploy', 'ssh', 'protocol', 'shared'],
  'scripts/setup-ssh.ts': ['setup', 'ssh', 'protocol', 'shared'],
  'scripts/post-receive.ts': ['hook', 'protocol', 'shared'],
}
/** Which rooms a room may import from, beside itself: downwards only. */
const downwards: Record<string, readonly string[]> = {
  setup: ['ssh', 'protocol', 'shared'],
  deploy: ['ssh', 'protocol', 'shared'],
  hook: ['protocol', 'shared'],
  ssh: ['shared'],
  protocol: ['shared'],
  shared: [],
}
const roomOf = (file: string) => /^scripts\/lib\/([^/]+)\//.exec(file)?.[1]

describe('The rooms of scripts/lib', () => {
  for (const [script, own] of Object.entries(rooms)) {
    const { metafile } = buildSync({
      absWorkingDir: root,
      entryPoints: [script],
      bundle: true,
      platform: 'node',
      write: false,
      metafile: true,
      logLevel: 'silent',
    })
    const files = Object.keys(metafile.inputs).filter(file => file.startsWith('scripts/'))

    it(`${script} is made of ${own.join(', ')} and nothing else`, () => {
      const foreign = files.filter(file => file !== script && !own.includes(roomOf(file) ?? ''))
      assert.deepEqual(foreign, [])
    })
  }

  // That no files import each other, in a circle of any length, is for biome: noImportCycles, in `make lint`.
  it('each import from their own and from those below, types, too', () => {
    const files = readdirSync(join(root, 'scripts/lib'), { recursive: true, encoding: 'utf8' })
    const upwards = files
      .filter(name => name.endsWith('.ts'))
      .map(name => join('scripts/lib', name))
      .flatMap(file => {
        const room = roomOf(file) ?? ''
        const allowed = [room, ...(downwards[room] ?? [])]
        return importsOf(file)
          .filter(path => !allowed.includes(roomOf(path) ?? ''))
          .map(path => `${file} -> ${path}`)
      })
    assert.deepEqual(upwards, [])
  })
})

/** The files of ours that a file imports. From its text, because esbuild does not tell of types. */
function importsOf(file: string): string[] {
  const imports = readFileSync(join(root, file), 'utf8').matchAll(/\b(?:from|import\(?)\s*'(\.[^']*)'/g)
  return [...imports].map(([, path = '']) => join(dirname(file), path))
}
