import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { buildSync } from 'esbuild'

const root = join(import.meta.dirname, '..')

/** What each program is made of, by esbuild's own account. */
const rooms: Record<string, readonly string[]> = {
  'scripts/deploy.ts': ['deploy', 'ssh', 'protocol', 'shared'],
  'scripts/setup-ssh.ts': ['setup', 'ssh', 'shared'],
  'scripts/post-receive.ts': ['hook', 'protocol', 'shared'],
}
/** Which rooms a room may import from, beside itself: downwards only. */
const downwards: Record<string, readonly string[]> = {
  setup: ['ssh', 'shared'],
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
    const files = Object.entries(metafile.inputs).filter(([file]) => file.startsWith('scripts/'))

    it(`${script} is made of ${own.join(', ')} and nothing else`, () => {
      const foreign = files.map(([file]) => file).filter(file => file !== script && !own.includes(roomOf(file) ?? ''))
      assert.deepEqual(foreign, [])
    })

    it(`${script}: each file imports its own room's and those below`, () => {
      const upwards = files.flatMap(([file, { imports }]) => {
        const room = roomOf(file)
        if (room === undefined) return []
        const allowed = [room, ...(downwards[room] ?? [])]
        return imports
          .filter(({ path }) => path.startsWith('scripts/') && !allowed.includes(roomOf(path) ?? ''))
          .map(({ path }) => `${file} -> ${path}`)
      })
      assert.deepEqual(upwards, [])
    })
  }
})
