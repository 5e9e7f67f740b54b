import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { page, remake } from '../docs/architecture.ts'
import { settings } from '../scripts/lib/deploy/settings.ts'
import { settingNames } from '../scripts/lib/hook/settings.ts'

const root = join(import.meta.dirname, '..')
const pages = globSync('**/*.md', { cwd: root, exclude: ['**/node_modules', 'dist'] })
const read = (page: string) => readFileSync(join(root, page), 'utf8').replace(/^```.*?^```/gms, '')

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
const anchorsOf = (page: string) => [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading))

describe('The links of', () => {
  for (const page of pages) {
    it(`${page} lead to files and headings that are there`, () => {
      const targets = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
      const broken = targets.filter(target => {
        if (/^[a-z]+:/.test(target)) return false
        const [path = '', anchor] = target.split('#')
        const file = path === '' ? page : join(dirname(page), path)
        if (!existsSync(join(root, file))) return true
        return anchor !== undefined && (statSync(join(root, file)).isDirectory() || !anchorsOf(file).includes(anchor))
      })
      assert.deepEqual(broken, [])
    })
  }
})

it('docs/architecture.md shows rooms and steps as they are; `node docs/architecture.ts` brings it up to date', () => {
  const text = readFileSync(page, 'utf8')
  assert.equal(text, remake(text))
})

const places = {
  '.env.example': (name: string) => new RegExp(`^#?${name}=`, 'm'),
  'docs/settings.md': (name: string) => new RegExp(`^\\|[^|]*\`${name}\`[^|]*\\|`, 'm'),
}
for (const [file, place] of Object.entries(places)) {
  it(`${file} has every setting of deploy and of the hook`, () => {
    const text = readFileSync(join(root, file), 'utf8')
    const names = [...Object.keys(settings), ...settingNames]
    assert.deepEqual(
      names.filter(name => !place(name).test(text)),
      [],
    )
  })
}
