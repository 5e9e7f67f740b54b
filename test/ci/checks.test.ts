import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { examples, installed } from './runners.ts'

const root = join(import.meta.dirname, '../..')
const $ = zx({ cwd: examples, quiet: true, nothrow: true })
const program = (name: string) => join(installed, 'bin', name)

const schemas = {
  'github/lint-and-test.yml': 'github-workflows',
  'github/deploy.yml': 'github-workflows',
  'forgejo/deploy.yml': 'github-workflows',
  'gitlab/.gitlab-ci.yml': 'gitlab-ci',
  'woodpecker/.woodpecker.yml': 'woodpecker-ci',
  'bitbucket/bitbucket-pipelines.yml': 'bitbucket-pipelines',
  '../build/action.yml': 'github-actions',
}
const workflows = readdirSync(join(root, '.github/workflows')).map(name => `../.github/workflows/${name}`)
const ofGithub = [...Object.keys(schemas).filter(name => /^github\//.test(name)), ...workflows]

describe('Checked by other programs:', () => {
  for (const [file, schema] of Object.entries(schemas)) {
    it(`${file} conforms to the schema ${schema}`, async () => {
      assertExit(await $`${program('check-jsonschema')} --builtin-schema vendor.${schema} ${file}`, 0)
    })
  }

  it('actionlint finds nothing in the workflows', async t => {
    const repository = mkdtempSync(join(tmpdir(), 'repository-'))
    t.after(() => rmSync(repository, { recursive: true }))
    await $`git init --quiet ${repository}`
    for (const file of ofGithub) cpSync(join(examples, file), join(repository, '.github/workflows', basename(file)))
    cpSync(join(root, 'dist/action'), join(repository, '.github/actions/pushlive'), { recursive: true })
    assertExit(await $({ cwd: repository })`${program('actionlint')}`, 0)
  })

  it('zizmor finds nothing unsafe in the workflows and the action', async () => {
    const files = [...ofGithub, 'forgejo/deploy.yml', '../build/action.yml']
    assertExit(await $`${program('zizmor')} --offline --config ${join(import.meta.dirname, 'zizmor.yml')} ${files}`, 0)
  })
})
