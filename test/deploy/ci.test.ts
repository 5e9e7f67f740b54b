import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { recognizeCi } from '../../scripts/lib/deploy/ci/recognize.ts'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

const actor = 'ada\u001b[31m'
const gitHub = {
  GITHUB_ACTIONS: 'true',
  GITHUB_TRIGGERING_ACTOR: actor,
  GITHUB_SERVER_URL: 'https://github.example',
  GITHUB_REPOSITORY: 'ada/app',
  GITHUB_RUN_ID: '17',
}
const run = 'https://github.example/ada/app/actions/runs/17'

describe('The CI is recognised', () => {
  for (const [name, env, expected] of [
    ['GitHub', gitHub, { by: actor, run }],
    ['Gitea and Forgejo', { ...gitHub, GITEA_ACTIONS: 'true' }, { by: actor, run }],
    [
      'GitLab',
      { GITLAB_CI: 'true', GITLAB_USER_LOGIN: 'ada', CI_JOB_URL: 'https://gitlab.example/1' },
      { by: 'ada', run: 'https://gitlab.example/1' },
    ],
    [
      'Woodpecker',
      { CI: 'woodpecker', CI_COMMIT_AUTHOR: 'ada', CI_PIPELINE_URL: 'https://woodpecker.example/1' },
      { by: 'ada', run: 'https://woodpecker.example/1' },
    ],
    [
      'Bitbucket',
      { BITBUCKET_BUILD_NUMBER: '3', BITBUCKET_WORKSPACE: 'ada', BITBUCKET_REPO_SLUG: 'app' },
      { by: undefined, run: 'https://bitbucket.org/ada/app/pipelines/results/3' },
    ],
  ] as const) {
    it(name, () => {
      const { fullHistory, by, run } = recognizeCi(env) ?? {}
      assert.deepEqual({ by, run }, expected)
      assert.ok(fullHistory)
    })
  }
  for (const env of [{}, { CI: 'true' }, { GITLAB_CI: 'false' }, { GITHUB_ACTIONS: '' }]) {
    it(`not by ${JSON.stringify(env)}`, () => assert.equal(recognizeCi(env), undefined))
  }
})

/** How a summary shows a commit: a part of a pattern. */
const linked = (commit: string) =>
  `\\[\`${commit.slice(0, 10)}\`\\]\\(https://github\\.example/ada/app/commit/${commit}\\)`

describe('In a CI deploy', async () => {
  const { newSite } = await startServer({ after })

  /** Deploys as a job does, with files for its summary and its outputs. */
  async function deployInJob(site: Site, env: Record<string, string>, args: string[] = []) {
    const [summary, outputs] = ['summary', 'outputs'].map(name => join(site.folder, name)) as [string, string]
    for (const file of [summary, outputs]) writeFileSync(file, '')
    const files = { GITHUB_STEP_SUMMARY: summary, GITHUB_OUTPUT: outputs }
    const { exitCode, output } = await site.deploy(args, { ...env, ...files })
    return { exitCode, output, summary: readFileSync(summary, 'utf8'), outputs: readFileSync(outputs, 'utf8') }
  }

  it('shows each step as a group, writes a summary, and sets outputs for later jobs (GitHub)', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'echo installing', UPGRADE_DB: 'true' })
    const commit = await site.commit()
    const deployed = assertExit(await deployInJob(site, { ...gitHub, APP_URL: 'https://app.example' }), 0)
    const token = /^::stop-commands::([0-9a-f]{32})$/m.exec(deployed.output)?.[1]
    assert.ok(token, deployed.output)
    const group = `::${token}::\n::group::INSTALLING DEPENDENCIES\n::stop-commands::${token}\nremote: INSTALLING DEPENDENCIES ...\nremote:     installing\n::${token}::\n::endgroup::`
    assert.ok(deployed.output.includes(group), deployed.output)
    assert.match(
      deployed.output,
      new RegExp(
        `^::${token}::\\n::notice title=In place::${commit} IS IN PLACE \\(not checked: HEALTH_CHECK_URL is empty\\)\\.$`,
        'm',
      ),
    )
    assert.match(
      deployed.summary,
      new RegExp(
        `^### 🟢 In place: A change ${linked(commit)} https://app\\.example\n\n${commit} IS IN PLACE \\\\\\(not`,
      ),
    )
    assert.match(deployed.summary, /^\| INSTALLING DEPENDENCIES \| \d+\.\d s \|$/m)
    assert.match(deployed.summary, /^\d+\.\d s in all · by ada( ·|$)/m)
    assert.match(
      deployed.outputs,
      new RegExp(
        `^live=true\\ncommit=${commit}\\nverdict=${commit} IS IN PLACE \\(not checked: HEALTH_CHECK_URL is empty\\)\\.\\nurl=https://app\\.example\\nseconds=[\\d.]+\\n$`,
      ),
    )
  })

  it('says why a deployment failed, with the last lines of the step that failed', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'echo "it is the disk"; exit 1' })
    const commit = await site.commit()
    const { output, summary, outputs } = assertExit(await deployInJob(site, gitHub), 1)
    assert.match(
      output,
      new RegExp(`^::error title=Not live::${commit} IS NOT LIVE\\. INSTALLING DEPENDENCIES failed`, 'm'),
    )
    assert.match(summary, new RegExp(`^### 🔴 Not live: A change ${linked(commit)}\n`))
    assert.match(summary, /^ {4}it is the disk$/m)
    assert.match(summary, /^\| ✓ CHECKING OUT CODE TO GIT WORK TREE .*\n\| ✗ INSTALLING DEPENDENCIES /m)
    assert.match(outputs, /^live=false$/m)
    assert.match(outputs, /^verdict=.*INSTALLING DEPENDENCIES failed/m)
  })

  it('keeps them when the previous code is put back after that, and cuts what nobody reads', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: 'echo installing; test ! -e fails || { cat fails; exit 1; }', UPGRADE_DB: 'true' })
    await site.commit()
    assertExit(await site.deploy(), 0)
    await site.commit({ fails: `it is the disk\n${'x'.repeat(1_000_000)}\n` })
    const { output, summary } = assertExit(await deployInJob(site, gitHub), 1)
    assert.match(output, /^remote: PUTTING BACK[\s\S]*^remote: INSTALLING/m)
    assert.match(summary, /^ {4}it is the disk\n {4}x{496} \.\.\.$/m)
    assert.match(summary, /^\| ✗ INSTALLING DEPENDENCIES .*\n\| PUTTING BACK THE PREVIOUS CODE /m)
    assert.equal(summary.match(/✗/g)?.length, 1, summary)
    assert.ok(summary.length < 10_000, `${summary.length}`)
  })

  it('does not call live what no hook has called live', async t => {
    const site = await newSite(t)
    await site.serverGit`rm hooks/post-receive`
    const commit = await site.commit()
    const { output, summary, outputs } = assertExit(await deployInJob(site, { ...gitHub, ACCEPT_NO_VERDICT: 'yes' }), 0)
    assert.match(outputs, /^live=false$/m)
    assert.match(output, new RegExp(`^::warning title=Not verified::${commit} was pushed`, 'm'))
    assert.match(summary, /^### 🟡 /)
    assert.doesNotMatch(output + summary + outputs, /IS (LIVE|IN PLACE)/)
  })

  it('shows what has kept it from deploying, too, and names each end', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const hosts = site.deployEnvironment.KNOWN_DEPLOYMENT_HOSTS.replace(/\]:\d+/g, ']:1')
    const nobody = { STAGING_REMOTE_REPO: 'ssh://127.0.0.1:1/x.git', KNOWN_DEPLOYMENT_HOSTS: hosts }
    for (const [code, title, env, args] of [
      [2, 'Nothing was sent', { BRANCH_NAME: '' }, []],
      [2, 'Nothing was sent', {}, ['--agian']],
      [3, 'Server not reached', nobody, []],
      [5, 'No verdict', {}, []],
    ] as const) {
      if (code === 5) await site.serverGit`rm hooks/post-receive`
      const { output, summary, outputs } = assertExit(await deployInJob(site, { ...gitHub, ...env }, [...args]), code)
      assert.match(output, new RegExp(`^::error title=${title}::.*\\. To do: `, 'm'))
      const of = code > 2 ? `: A change ${linked(commit)}` : ''
      assert.match(summary, new RegExp(`^### 🔴 ${title}${of}\n`))
      assert.match(outputs, /^live=false$/m)
    }
  })

  it('links the commit and what it changes, and draws the steps where that says something', async t => {
    const site = await newSite(t)
    const before = await site.commit()
    await site.deploy()
    site.configure({ INSTALL_DEPS: 'sleep 0.7', UPGRADE_DB: 'sleep 0.7' })
    const commit = await site.commit()
    const { summary } = assertExit(await deployInJob(site, gitHub), 0)
    assert.match(
      summary,
      new RegExp(
        `\\[what it changes\\]\\(https://github\\.example/ada/app/compare/${before.slice(0, 7)}[0-9a-f]*\\.\\.\\.${commit}\\)`,
      ),
    )
    assert.match(summary, /^```mermaid\ngantt\n[\s\S]*^ {2}INSTALLING DEPENDENCIES : \d+, \d+$/m)
  })

  it('never treats what a recipe prints as a command of the CI', async t => {
    const site = await newSite(t)
    const forged = [
      '::set-output name=live::true',
      '##[set-output name=live;]true',
      '::add-mask::live',
      '::error::forged',
      '::endgroup::',
      '\\033[0Ksection_end:1:step_1\\r\\033[0K',
      'INSTALLING DEPENDENCIES ...',
      '```',
    ]
    site.configure({ INSTALL_DEPS: `printf '%b\\n' ${forged.map(line => `'${line}'`).join(' ')}; exit 1` })
    await site.commit()
    for (const env of [gitHub, { GITLAB_CI: 'true' }]) {
      const { output, summary } = await deployInJob(site, env, ['--again'])
      const lines = output.split('\n')
      // The lines that the runner would treat as commands. Between the two there is no line of the server.
      let isStopped = false
      for (const line of lines) {
        if (/^::stop-commands::/.test(line)) isStopped = true
        else if (/^::[0-9a-f]{32}::$/.test(line)) isStopped = false
        else if (/set-output|add-mask|forged/.test(line) && !line.startsWith('::error title='))
          assert.ok(isStopped || !('GITHUB_ACTIONS' in env), line)
      }
      assert.equal(isStopped, false, output)
      assert.equal(output.includes('\u001b[0Ksection_end:1:'), false)
      assert.equal(
        summary.replace(/```mermaid[^`]*```/, '').match(/^```/gm)?.length ?? 0,
        'GITHUB_ACTIONS' in env ? 2 : 0,
        summary,
      )
    }
  })

  it('folds its steps, and writes the outputs to deploy.env (GitLab)', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    const { output } = assertExit(await site.deploy([], { GITLAB_CI: 'true', APP_URL: 'https://app.example' }), 0)
    assert.match(
      output,
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is how GitLab marks them.
      /^\u001b\[0Ksection_start:\d+:step_2\[collapsed=true\]\r\u001b\[0KINSTALLING DEPENDENCIES\n[\s\S]*\u001b\[0Ksection_end:\d+:step_2\r/m,
    )
    const values = readFileSync(join(site.clone, 'deploy.env'), 'utf8')
    assert.match(values, new RegExp(`^DEPLOY_LIVE=true\\nDEPLOY_COMMIT=${commit}\\n`))
    assert.match(values, /^DEPLOY_URL=https:\/\/app\.example$/m)
  })

  it('tells the server who started it and where, for the history, without control characters', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy([], gitHub)
    const { output } = await site.deploy(['history'])
    assert.match(output, / {2}ada, as \w+ from 127\.0\.0\.1 {2}/)
    const [record] = JSON.parse((await site.deploy(['history', '--json'])).output)
    assert.deepEqual([record.by, record.run], ['ada', run])
  })

  it('in a shallow clone, names the setting of the CI that fetches the whole history', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    await site.commit()
    await site.commit()
    const shallow = await site.cloneShallow()
    const { output } = assertExit(await site.deploy([], { GITLAB_CI: 'true' }, shallow), 4)
    assert.match(output, /To do: give this clone its whole history: the variable `GIT_DEPTH: "0"` in this job/)
    assert.ok(existsSync(join(shallow, 'deploy.env')))
  })

  it('prints and writes none of this outside a CI', async t => {
    const site = await newSite(t)
    await site.commit()
    const { output } = await site.deploy([], { CI: 'true' })
    assert.doesNotMatch(output, /^::|section_start/m)
    assert.equal(existsSync(join(site.clone, 'deploy.env')), false)
  })
})
