import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { after, describe, it } from 'node:test'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { parseJson } from '../lib/json-schema.ts'
import { listen } from '../lib/ports.ts'
import { processes } from '../lib/processes.ts'
import { startServer } from '../lib/site.ts'

const examples = join(import.meta.dirname, '../../examples/notify')

describe('NOTIFY', async () => {
  const { newSite } = await startServer({ after })

  it('reads the record of the deployment, and its examples tell Slack, Matrix, GitHub and Sentry', async t => {
    const site = await newSite(t)
    const requests: { to: string; authorization: string | undefined; body: Record<string, unknown> }[] = []
    const seen: string[] = []
    const server = createServer(async (request, response) => {
      const { method, url, headers } = request
      // While curl waits for its answer.
      seen.push(...processes().map(({ command }) => command))
      const body = (await json(request)) as Record<string, unknown>
      // Only newer versions of jq escape it.
      requests.push({ to: `${method} ${url?.replace('%21', '!')}`, authorization: headers.authorization, body })
      response.end('{"id": 42}')
    })
    t.after(() => void server.close())
    const url = `http://127.0.0.1:${await listen(server)}`
    const told = join(site.folder, 'told')
    const names = ['slack', 'matrix', 'github-deployment', 'sentry']
    site.configure({
      INSTALL_DEPS: '! grep bad page.txt',
      NOTIFY: `cat > record; for name in ${names.join(' ')}; do sh ${examples}/$name.sh < record; done; mv record ${told}`,
      SLACK_WEBHOOK_URL: `${url}/services/s3cret`,
      MATRIX_SERVER: url,
      MATRIX_ROOM: '!abc/d:our-server.com',
      MATRIX_TOKEN: 'matrix-s3cret',
      GITHUB_API_URL: url,
      GITHUB_REPOSITORY: 'our-team/shop',
      GITHUB_TOKEN: 'github-s3cret',
      APP_URL: 'https://shop.our-server.com',
      SENTRY_URL: url,
      SENTRY_ORG: 'our-team',
      SENTRY_PROJECT: 'shop',
      SENTRY_AUTH_TOKEN: 'sentry-s3cret',
      SENTRY_ENVIRONMENT: 'staging',
    })
    const ci = { GITLAB_CI: 'true', GITLAB_USER_LOGIN: 'ada', CI_JOB_URL: 'https://gitlab.example.org/shop/-/jobs/7' }
    /** What is told of a deployment of a commit: the record, and the requests. */
    async function tell(page: string, subject: string, exitCode: number) {
      requests.length = 0
      site.write({ 'page.txt': page })
      await site.git`git add --all && git commit --quiet --message ${subject}`
      const commit = (await site.git`git rev-parse HEAD`).stdout.trim()
      const { output } = assertExit(await site.deploy([], ci), exitCode)
      await waitFor('NOTIFY has run', () => existsSync(told)).catch(error => assert.fail(`${error}\n${output}`))
      const record = parseJson('record', readFileSync(told, 'utf8'))
      await site.serverGit`rm ${told}`
      const [written] = parseJson('history', (await site.startDeploy(['history', '--json'])).stdout)
      // What is written before the deployment has quite ended lacks this.
      const { kept: _, ended: end, explanation = record.explanation, ...rest } = written
      const { ended, ...given } = record
      assert.deepEqual(given, { ...rest, explanation })
      assert.ok(ended >= end)
      const times = [record.started, ended].map(time => `${new Date(time).toISOString().slice(0, 19)}Z`)
      return { commit, record, times }
    }

    const odd = 'Say "hello" & <!channel> \\n $(touch x)'
    const { commit, record, times } = await tell('good', odd, 0)
    const by = {
      Slack: undefined,
      Matrix: 'Bearer matrix-s3cret',
      GitHub: 'Bearer github-s3cret',
      Sentry: 'Bearer sentry-s3cret',
    }
    const id = commit.slice(0, 10)
    const { explanation } = record
    assert.match(explanation, /^in [\d.]+ s$/)
    assert.deepEqual(requests, [
      {
        to: 'POST /services/s3cret',
        authorization: by.Slack,
        body: {
          text: `:white_check_mark: In place, not checked: ${id} Say "hello" &amp; &lt;!channel&gt; \\n $(touch x), by ada: ${explanation}`,
        },
      },
      {
        to: `PUT /_matrix/client/v3/rooms/!abc%2Fd%3Aour-server.com/send/m.room.message/${commit}-${record.started}`,
        authorization: by.Matrix,
        body: { msgtype: 'm.notice', body: `In place, not checked: ${id} ${odd}, by ada: ${explanation}` },
      },
      {
        to: 'POST /repos/our-team/shop/deployments',
        authorization: by.GitHub,
        body: {
          ref: commit,
          auto_merge: false,
          required_contexts: [],
          environment: 'production',
          description: 'deploy',
        },
      },
      {
        to: 'POST /repos/our-team/shop/deployments/42/statuses',
        authorization: by.GitHub,
        body: {
          state: 'success',
          description: explanation,
          log_url: ci.CI_JOB_URL,
          environment_url: 'https://shop.our-server.com',
        },
      },
      {
        to: 'POST /api/0/organizations/our-team/releases/',
        authorization: by.Sentry,
        body: { version: commit, projects: ['shop'] },
      },
      {
        to: `POST /api/0/organizations/our-team/releases/${commit}/deploys/`,
        authorization: by.Sentry,
        body: { environment: 'staging', dateStarted: times[0], dateFinished: times[1] },
      },
    ])

    const failed = await tell('bad', 'Break it', 1)
    assert.match(failed.record.explanation, /^INSTALLING DEPENDENCIES failed: `! grep bad page\.txt` exited with 1/)
    assert.deepEqual(
      requests.map(({ to, body }) => [to.split('/')[1], body.text ?? body.body ?? body.state ?? body.ref]),
      [
        ['services', `:x: Not live: ${failed.commit.slice(0, 10)} Break it, by ada: ${failed.record.explanation}`],
        ['_matrix', `Not live: ${failed.commit.slice(0, 10)} Break it, by ada: ${failed.record.explanation}`],
        ['repos', failed.commit],
        ['repos', 'failure'],
      ],
    )
    assert.ok(seen.some(command => command.startsWith('curl ')))
    assert.deepEqual(
      seen.filter(command => command.includes('s3cret')),
      [],
    )
  })
})
