import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { waitFor } from '../lib/events.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
import { type Process, processes, send } from '../lib/processes.ts'
import { type Site, startServer } from '../lib/site.ts'
import { forMake, letGo, waitForStep, waitingCommand } from '../lib/waiting-step.ts'
import { appUrl, installed, type Runner, readSeen, runners, use } from './runners.ts'

/** On the server a migration may fail or wait; in the CI itself all pass. */
const makefile = ({ test = 'true', upgrade = 'true' }) => `\
install-deps lint:
\t@true

test:
\t@${test}

upgrade-db:
\t@${upgrade}
`

/** How a deployment ends, and how its CI names that. */
interface End {
  readonly exitCode: number
  readonly title: string
  /** In the annotation, in the summary, in the outputs and in the log. */
  readonly says: RegExp
}

type Environment = Site['deployEnvironment']

/** What a job may find before anything is sent. */
const failures: Readonly<Record<string, End & { change(env: Environment): Partial<Environment> }>> = {
  'a setting is wrong': {
    exitCode: 2,
    title: 'Nothing was sent',
    says: /SSH_DEPLOYMENT_KEY is cut off: it has no END line\.\s+To do: give SSH_DEPLOYMENT_KEY the whole text/,
    change: ({ SSH_DEPLOYMENT_KEY: key }) => ({ SSH_DEPLOYMENT_KEY: key.split('\n').slice(0, 3).join('\n') }),
  },
  'the server cannot be reached': {
    exitCode: 3,
    title: 'Server not reached',
    says: /The server refuses connections at this port\.\s.*Connection refused.*To do: check host and port/s,
    // Nothing listens there.
    change: ({ STAGING_REMOTE_REPO: url, KNOWN_DEPLOYMENT_HOSTS: hosts }) => {
      const { port } = new URL(url)
      return {
        STAGING_REMOTE_REPO: url.replace(`:${port}`, ':1'),
        KNOWN_DEPLOYMENT_HOSTS: hosts.replaceAll(`]:${port}`, ']:1'),
      }
    },
  },
}

describe('The example for', { concurrency: 2 }, async () => {
  const { newSite } = await startServer({ after })

  async function newRepository(t: TestContext, runner: Runner) {
    const site = await newSite(t)
    use(runner, site)
    return { site, commit: await site.commit({ Makefile: makefile({}) }) }
  }

  async function runPipeline(site: Site, { start }: Runner) {
    const { exitCode, stdout, stderr } = await start(site)
    return { exitCode, output: `${stdout}${stderr}` }
  }

  async function newestOf(site: Site) {
    const { output } = await site.deploy(['history', '--json'])
    return JSON.parse(output)[0]
  }

  for (const [name, runner] of Object.entries(runners)) {
    describe(name, { skip: isMissing(name) }, () => {
      it('deploys a commit that passes, and tells later jobs and the history about it', async t => {
        const { site, commit } = await newRepository(t, runner)
        const { output } = assertExit(await runPipeline(site, runner), 0)
        assert.equal(await site.live(), commit, output)
        assert.match(output, new RegExp(`${commit} IS IN PLACE`))
        if (runner.hasOutputs) assert.match(output, new RegExp(`${commit} is live at ${appUrl} after [\\d.]+ s`))
        const { by, run } = await newestOf(site)
        assert.equal(by, runner.origin.by, output)
        if (runner.origin.run) assert.match(run, runner.origin.run)
      })

      it('fails where a migration fails: the previous code stays live; deploys nothing where a test fails', async t => {
        const { site, commit } = await newRepository(t, runner)
        assertExit(await site.deploy(), 0)
        await site.commit({ Makefile: makefile({ upgrade: 'false' }) })
        const failed = assertFails(await runPipeline(site, runner))
        assert.match(failed.output, /IS NOT LIVE/)
        assert.doesNotMatch(failed.output, /is live at/)
        const why = /UPGRADING DATABASE STRUCTURE failed/
        assertShown(runner, site, failed, { exitCode: 1, title: 'Not live', says: why })
        const untested = await site.commit({ Makefile: makefile({ test: 'false' }) })
        const stopped = assertFails(await runPipeline(site, runner))
        assert.ok(!stopped.output.includes(`PUSHING ${untested}`), stopped.output)
        assert.equal(await site.live(), commit)
      })

      it('is green where a newer commit has overtaken it', async t => {
        const { site, commit } = await newRepository(t, runner)
        const newer = await site.commit({ 'page.txt': 'newer\n' })
        assertExit(await site.deploy(), 0)
        await site.git`git reset --quiet --hard ${commit}`
        const run = assertExit(await runPipeline(site, runner), 0)
        const says = new RegExp(`${commit} IS IN PLACE .*, as part of ${newer}, which is newer\\.`)
        assertShown(runner, site, run, { exitCode: 0, title: 'In place', says })
        // git says so of the branch, which is further.
        assert.doesNotMatch(run.output, /failed to push|hint:/)
        assert.equal(await site.live(), newer)
      })

      for (const [what, { change, ...end }] of Object.entries(failures)) {
        it(`names it where ${what}, and what to do`, async t => {
          const { site } = await newRepository(t, runner)
          const deployEnvironment = { ...site.deployEnvironment, ...change(site.deployEnvironment) }
          const run = assertFails(await runPipeline({ ...site, deployEnvironment }, runner))
          assertShown(runner, site, run, end)
          const [, ofKey = ''] = site.deployEnvironment.SSH_DEPLOYMENT_KEY.split('\n')
          assert.ok(!run.output.includes(ofKey))
        })
      }

      it('that is cancelled during a deployment lets the server finish it, and the next run is green', async t => {
        const { site } = await newRepository(t, runner)
        const commit = await site.commit({ Makefile: makefile({ upgrade: forMake(waitingCommand) }) })
        const job = runner.start(site)
        await waitForStep(site)
        // A CI sends it to all processes of the job.
        const belongs = ({ cwd }: Process) => [site.clone, site.home].some(folder => cwd.startsWith(folder))
        for (const { pid } of processes().filter(belongs)) send(pid, 'SIGINT')
        assertFails(await job)
        letGo(site)
        await waitFor('it is live', async () => (await site.live()) === commit)
        const { output } = assertExit(await runPipeline(site, runner), 0)
        assert.match(output, new RegExp(`${commit} IS IN PLACE`))
      })

      if (runner.language !== 'github') return
      it('never treats what a recipe prints as a command', async t => {
        const { site } = await newRepository(t, runner)
        const commands = [
          'set-output name=commit',
          'add-mask',
          'error',
          'set-env name=COMMIT',
          'stop-commands',
          'group',
        ]
        const lines = [
          ...commands.map(each => `::${each}::evil`),
          '##[set-output name=commit;]evil',
          '::add-mask::LIVE',
        ]
        const upgrade = `printf '%s\\n' ${lines.map(line => `'${line}'`).join(' ')}`
        const commit = await site.commit({ Makefile: makefile({ upgrade }) })
        const { output } = assertExit(await runPipeline(site, runner), 0)
        assert.match(output, new RegExp(`${commit} is live at ${appUrl} after`))
        for (const line of lines) assert.ok(output.includes(`| remote:     ${line}`), `${line}\n${output}`)
      })
    })
  }
})

/** Each CI shows all that it can. */
function assertShown(
  { language, hasOutputs }: Runner,
  site: Site,
  { output }: { output: string },
  { exitCode, title, says }: End,
) {
  const seen = readSeen(site)
  assert.equal(seen.exitCode, exitCode, output)
  assert.match(output, says)
  if (hasOutputs) {
    const { live, verdict, commit, url } = seen.outputs
    assert.equal(live, `${exitCode === 0}`)
    assert.match(verdict ?? '', says)
    // Wrong settings are all that is known by then.
    if (exitCode !== 2) assert.deepEqual([/^[0-9a-f]{40}$/.test(commit ?? ''), url], [true, appUrl])
  }
  if (language !== 'github') return
  const annotation = new RegExp(`::${exitCode === 0 ? 'notice' : 'error'} title=${title}::(.*)`).exec(output)
  assert.match(annotation?.[1] ?? '', says)
  const [heading = '', , verdict = ''] = seen.summary.split('\n')
  const shortId = seen.outputs.commit?.slice(0, 10)
  const about = exitCode === 2 ? '' : `: A change \\[\`${shortId}\`\\]\\(\\S+\\) ${appUrl}`
  assert.match(heading, new RegExp(`^### ${exitCode === 0 ? '🟢' : '🔴'} ${title}${about}$`))
  assert.match(verdict.replaceAll('\\', ''), says)
}

/** bb-run needs a newer Python than Debian 12 has. */
function isMissing(name: string): string | false {
  return name.startsWith('Bitbucket') && !existsSync(join(installed, 'bin/bb-run')) && 'bb-run needs Python >= 3.12'
}
