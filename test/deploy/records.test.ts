import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { parseJson } from '../lib/json-schema.ts'
import { type Site, startServer } from '../lib/site.ts'

/** Writes a history that no hook has written, the oldest first. */
async function writeHistory(site: Site, bodies: readonly string[]): Promise<void> {
  const git = site.serverGit({ env: site.deployEnvironment })
  const tree = (await git`git hash-object -t tree -w --stdin < /dev/null`).stdout.trim()
  let newest = ''
  for (const body of bodies) {
    const parent = newest ? ['-p', newest] : []
    newest = (await git`git commit-tree ${tree} ${parent} -m ${`title\n\n${body}`}`).stdout.trim()
  }
  await git`git update-ref refs/deploy/main/history ${newest}`
}

const id = (digit: string) => digit.repeat(40)
const right = { commit: id('a'), live: true, who: 'ada', started: 1000, ended: 3500, steps: [] }

describe('deploy status, history and report', async () => {
  const { newSite } = await startServer({ after })

  it('show of a damaged record what is right of it', async t => {
    const site = await newSite(t)
    const nothing = [null, true, 7, 'text', [], {}, { __proto__: null, name: {} }]
    const damaged = nothing.map((odd, index) => ({
      ...{ commit: id(`${index}`), live: index % 2 === 0, previous: odd, request: odd, who: odd, by: odd, run: odd },
      ...{ started: odd, ended: odd, explanation: odd, notChecked: odd, database: odd },
      steps: [null, odd, [odd], { name: odd, seconds: odd }, { name: 'A STEP', seconds: odd }],
      kept: [null, odd, { release: odd, commit: odd, database: odd }, { release: 1, commit: id('b'), database: odd }],
    }))
    const times = '"steps":[{"name":"LONG","seconds":1e999}],"started":1e300,"ended":-1e999'
    const noRecords = ['null', '[]', 'no JSON', '{"commit":{},"live":true,"steps":[]}', '{"commit":"x","live":true}']
    const bodies = [right, ...damaged, { ...right, kept: {}, steps: {} }].map(record => JSON.stringify(record))
    await writeHistory(site, [...bodies, ...noRecords, `{"commit":"${id('c')}","live":false,${times}}`])

    const status = assertExit(await site.deploy(['status']), 0).output
    assert.match(status, new RegExp(`^ {2}● live +${id('6')} .*, an unknown user, took an unknown time\n`, 'm'))
    assert.match(status, new RegExp(`^ {2}✗ failed +${id('c')} +at an unknown time, an unknown user: deploy log$`, 'm'))
    const history = assertExit(await site.deploy(['history']), 0).output
    assert.deepEqual([...history.matchAll(/ ([0-9a-f])\1{39} /g)].map(([, digit]) => digit).join(''), 'c6543210a')
    for (const record of parseJson('history', (await site.startDeploy(['history', '--json'])).stdout)) {
      assert.equal(typeof record.who, 'string')
      assert.ok(record.steps.every(({ name }: { name: unknown }) => typeof name === 'string'))
    }
    assertExit(await site.deploy(['report']), 0)
    const page = readFileSync(join(site.clone, 'report.html'), 'utf8')
    assert.doesNotMatch(page, /undefined|NaN|\[object|Infinity/)
  })

  it("say the same whatever the clone's and the server's configuration say", async t => {
    const site = await newSite(t)
    const message = join(site.folder, 'message')
    writeFileSync(message, 'Größe', 'latin1')
    await site.git`git add --all && git -c i18n.commitEncoding=ISO-8859-1 commit --quiet --file ${message}`
    for (const name of ['i18n.commitEncoding', 'i18n.logOutputEncoding']) {
      await site.serverGit`git config ${name} ISO-8859-1`
    }
    assertExit(await site.deploy([], { GITLAB_CI: 'true', GITLAB_USER_LOGIN: 'Žofie Þóra' }), 0)
    const withoutAges = (text: string) =>
      text.replaceAll(/\d+ (s|min|h|d) ago/g, 'some time ago').replace(/As of .*|<p class="ends">.*/g, '')
    const show = async () => {
      const shown = []
      for (const args of [['status'], ['history'], ['history', '--json']]) {
        shown.push(withoutAges(assertExit(await site.deploy(args), 0).output))
      }
      assertExit(await site.deploy(['report']), 0)
      return [...shown, withoutAges(readFileSync(join(site.clone, 'report.html'), 'utf8'))]
    }
    const before = await show()
    assert.match(before[3] ?? '', /class="subject">Größe</)
    assert.match(before[1] ?? '', / {2}Žofie Þóra, as /)
    for (const [name, value] of Object.entries({
      'i18n.logOutputEncoding': 'ISO-8859-1',
      'log.showSignature': 'true',
      'log.date': 'relative',
      'log.decorate': 'full',
      'log.follow': 'true',
      'log.diffMerges': 'on',
      'format.pretty': 'oneline',
      'format.notes': 'true',
      'color.ui': 'always',
      'core.abbrev': '4',
      'core.quotePath': 'false',
      'diff.external': 'false',
      'fetch.prune': 'true',
      'fetch.output': 'compact',
    })) {
      await site.git`git config ${name} ${value}`
    }
    assert.deepEqual(await show(), before)
  })
})
