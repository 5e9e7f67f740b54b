import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { parse } from 'yaml'
import { $ as zx } from 'zx/core'
import { settings } from '../../scripts/lib/deploy/settings.ts'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'
import { pathWith } from '../lib/ssh-session.ts'

const action = join(import.meta.dirname, '../../dist/action')
const { inputs, outputs, runs } = parse(readFileSync(join(action, 'action.yml'), 'utf8'))

describe('The action', async () => {
  const { newSite } = await startServer({ after })

  /** Runs the action as a runner does: each input is set, an omitted one is empty, and there are no arguments. */
  async function runAction(site: Site, given: Record<string, string>, PATH = process.env.PATH) {
    const { HOME } = site.deployEnvironment
    const names = Object.keys(inputs)
    const env = {
      PATH,
      HOME,
      GITHUB_ACTIONS: 'true',
      ZX_SHELL: '/bin/false',
      ...Object.fromEntries(
        names.map(name => [`INPUT_${name.toUpperCase()}`, given[name] ?? inputs[name].default ?? '']),
      ),
    }
    const { exitCode, stdout, stderr } = await zx({
      cwd: site.clone,
      env,
      quiet: true,
      nothrow: true,
      input: '',
    })`exec ${process.execPath} ${join(action, runs.main)}`
    return { exitCode, output: `${stdout}${stderr}` }
  }

  const inputsOf = ({ deployEnvironment: env }: Site) => ({
    'staging-remote-repo': env.STAGING_REMOTE_REPO,
    'ssh-deployment-key': env.SSH_DEPLOYMENT_KEY,
    'known-deployment-hosts': env.KNOWN_DEPLOYMENT_HOSTS,
  })

  it('deploys as its inputs say, and takes an empty one for none', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const { output } = assertExit(await runAction(site, inputsOf(site)), 0)
    assert.match(output, new RegExp(`^${commit} IS IN PLACE`, 'm'))
  })

  it('takes the command and its arguments from one input', async t => {
    const site = await newSite(t)
    await site.commit()
    const { output } = assertExit(await runAction(site, { ...inputsOf(site), command: ' history  --json' }), 0)
    assert.match(output, /^\[\]$/m)
    assertExit(await runAction(site, { ...inputsOf(site), command: 'dance' }), 2)
  })

  it('names all that is missing: exit 2', async t => {
    const { output } = assertExit(await runAction(await newSite(t), {}), 2)
    assert.match(output, /STAGING_REMOTE_REPO is missing/)
  })

  it('passes the key to no process that it starts', async t => {
    const site = await newSite(t)
    await site.commit()
    const seen = join(site.folder, 'seen')
    const PATH = pathWith(site, { git: `env >> ${seen}; exec /usr/bin/git "$@"` })
    assertExit(await runAction(site, inputsOf(site), PATH), 0)
    assert.doesNotMatch(readFileSync(seen, 'utf8'), /INPUT_|PRIVATE KEY/)
  })

  it('has an input for each setting of deploy', () => {
    const named = Object.keys(settings).map(name => name.toLowerCase().replaceAll('_', '-'))
    assert.deepEqual(Object.keys(inputs).sort(), [...named, 'command'].sort())
  })

  it('has the outputs that deploy sets', () => {
    assert.deepEqual(Object.keys(outputs), ['live', 'commit', 'verdict', 'url', 'seconds'])
  })
})
