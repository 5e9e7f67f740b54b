import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

const installed = join(import.meta.dirname, '../../dist/hook-tools')

/** How a project's install step has its hooks installed, and the files that it is configured with. */
const tools: Record<string, [command: string, files: Record<string, string>]> = {
  husky: ['node_modules/.bin/husky', { '.husky/pre-commit': 'true\n' }],
  'simple-git-hooks': [
    'node_modules/.bin/simple-git-hooks',
    { 'package.json': '{ "simple-git-hooks": { "pre-commit": "true" } }\n' },
  ],
  lefthook: [
    'node_modules/.bin/lefthook install',
    { 'lefthook.yml': 'pre-commit:\n  commands:\n    nothing:\n      run: "true"\n' },
  ],
  'pre-commit': ['bin/pre-commit install', { '.pre-commit-config.yaml': 'repos: []\n' }],
}

describe('A step that has hooks installed leaves those of the repository alone:', async () => {
  const { newSite } = await startServer({ after })

  for (const [name, [command, files]] of Object.entries(tools)) {
    it(name, async t => {
      const site = await newSite(t)
      const path = `${join(process.execPath, '..')}:${process.env.PATH}`
      site.configure({ INSTALL_DEPS: `${join(installed, command)} && touch installed`, UPGRADE_DB: '', PATH: path })
      const read = (name: string) => readFileSync(join(site.repository, name), 'utf8')
      const look = () =>
        ['config', ...readdirSync(join(site.repository, 'hooks')).map(name => `hooks/${name}`)].map(read)
      const before = look()
      await site.commit({ ...files, '.gitignore': 'installed\n' })
      assertExit(await site.deploy(), 0)
      assert.ok(existsSync(join(site.workTree, 'installed')))
      const hooks = (await site.workTreeGit`git rev-parse --path-format=absolute --git-path hooks`).stdout.trim()
      assert.ok(existsSync(join(hooks, 'pre-commit')), hooks)
      assert.deepEqual(look(), before)
      await site.commit()
      assertExit(await site.deploy(), 0)
    })
  }
})
