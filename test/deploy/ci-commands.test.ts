import assert from 'node:assert/strict'
import { after, describe, it, type TestContext } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startForgingPeer } from '../lib/forging-peer.ts'
import { send } from '../lib/processes.ts'
import { type Site, startServer } from '../lib/site.ts'
import { letGo, waitForStep, waitingCommand } from '../lib/waiting-step.ts'

const github = { GITHUB_ACTIONS: 'true' }
const forged = [
  '::set-output name=live::true',
  '##[add-mask]live',
  '  ::error::forged',
  'x ##[set-output name=live;]true',
  '::stop-commands::forged',
  '::endgroup::',
]
const printForged = `printf '%s\\n' ${forged.map(line => `'${line}'`).join(' ')}`

/**
 * The commands that GitHub's runner takes from a program: a line that begins with `::`, or that has `##[` anywhere,
 * unless they are stopped. It reads the two streams apart, so that a line of standard output may come before or after
 * any line of standard error: what is stopped there is not stopped here.
 */
function findCommands({ stdout, stderr }: { stdout: string; stderr: string }): string[] {
  const isCommand = (line: string) => /^\s*::|##\[/.test(line)
  const found = stdout.split('\n').filter(isCommand)
  let token: string | undefined
  for (const line of stderr.split('\n').filter(isCommand)) {
    if (token !== undefined) {
      if (line === `::${token}::`) token = undefined
      continue
    }
    token = /^::stop-commands::(.+)$/.exec(line)?.[1]
    if (token === undefined) found.push(line)
  }
  assert.equal(token, undefined, `commands stay stopped for the rest of the job's step:\n${stderr}`)
  return found
}

describe('No command of the CI can come from outside:', async () => {
  const { newSite } = await startServer({ after })

  /** A deployment of a commit whose step prints commands. */
  async function deployForged(t: TestContext): Promise<Site> {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: `${printForged}; exit 1` })
    await site.commit()
    const deployed = await site.startDeploy([], github)
    assertExit(deployed, 1)
    assert.deepEqual(
      findCommands(deployed).filter(line => !/^::(group::|endgroup::|error title=)/.test(line)),
      [],
    )
    return site
  }

  it('by a log', async t => {
    const site = await deployForged(t)
    const shown = await site.startDeploy(['log'], github)
    assertExit(shown, 0)
    assert.match(shown.stdout, /set-output name=live/)
    assert.deepEqual(findCommands(shown), [])
    const elsewhere = await site.startDeploy(['log'])
    for (const line of forged) assert.ok(elsewhere.stdout.includes(`\n${line}\n`), elsewhere.stdout)
    assert.equal(elsewhere.stderr, '')
  })

  it('by a record, whose JSON says what it said', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'true', DB_REVISION: 'echo "##[add-mask]live"' })
    await site.commit({ '##[error]': '' })
    const deployed = await site.startDeploy([], { ...github, GITHUB_ACTOR: '##[add-mask]live' })
    assertExit(deployed, 0)
    for (const args of [['status'], ['history'], ['status', '--json'], ['history', '--json']]) {
      const shown = await site.startDeploy(args, github)
      assertExit(shown, 0)
      assert.deepEqual(findCommands(shown), [], args.join(' '))
      if (args[0] === 'history' && args[1]) assert.equal(JSON.parse(shown.stdout)[0].by, '##[add-mask]live')
    }
  })

  it("by the results of the server's checks", async t => {
    const site = await newSite(t)
    await site.commit()
    assertExit(await site.deploy(), 0)
    site.configure({ PATH_TO_VENV: '/##[add-mask]live' })
    const checked = await site.startDeploy(['check'], github)
    assert.match(checked.stdout, /add-mask/)
    assert.deepEqual(findCommands(checked), [])
  })

  it('by an attacker on the network, who ends the connection', async t => {
    const site = await newSite(t)
    await site.commit()
    const port = await startForgingPeer(t, `go away\n${forged.join('\n')}`)
    const url = `ssh://ada@127.0.0.1:${port}/app.git`
    const hosts = site.deployEnvironment.KNOWN_DEPLOYMENT_HOSTS.replace(/\]:\d+/g, `]:${port}`)
    const changes = { ...github, STAGING_REMOTE_REPO: url, KNOWN_DEPLOYMENT_HOSTS: hosts }
    for (const args of [[], ['check'], ['status'], ['log']]) {
      for (const own of [{}, { SSH_DEPLOYMENT_KEY: undefined }]) {
        const shown = await site.startDeploy(args, { ...changes, ...own })
        assertExit(shown, 3)
        assert.match(shown.stdout + shown.stderr, /go away\s+::set-output name=live::true/)
        assert.deepEqual(
          findCommands(shown).filter(line => !line.startsWith('::error title=')),
          [],
          `deploy ${args} ${Object.keys(own)}`,
        )
      }
    }
  })

  it('by a setting or an argument that is wrong', async t => {
    const site = await newSite(t)
    const wrong = await site.startDeploy(['##[add-mask]live'], github)
    assertExit(wrong, 2)
    const isAnnotation = (line: string) => /^::error title=Nothing was sent::(?!.*##\[)/.test(line)
    assert.ok(findCommands(wrong).every(isAnnotation), wrong.stderr)
    const setting = await site.startDeploy([], { ...github, BRANCH_NAME: '##[add-mask]live ..' })
    assertExit(setting, 2)
    assert.ok(findCommands(setting).every(isAnnotation), setting.stderr)
  })

  for (const [what, changes] of [
    ['a key', {}],
    ['the key of the user', { SSH_DEPLOYMENT_KEY: undefined, KNOWN_DEPLOYMENT_HOSTS: undefined }],
  ] as const) {
    it(`and the CI accepts our commands again after a signal, with ${what}`, async t => {
      const site = await newSite(t)
      const url = what === 'a key' ? site.url : site.repository
      site.configure({
        INSTALL_DEPS: `${printForged}; ${waitingCommand}`,
      })
      await site.commit()
      const running = site.startDeploy([], { ...github, ...changes, STAGING_REMOTE_REPO: url })
      await waitForStep(site)
      send(running.pid as number, 'SIGTERM')
      const ended = await running
      letGo(site)
      assertExit(ended, 143)
      assert.deepEqual(
        findCommands(ended).filter(line => !line.startsWith('::group::') && line !== '::endgroup::'),
        [],
      )
    })
  }
})
