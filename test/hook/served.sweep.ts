import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { type Site, startServer } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'
import { ask, nextSecond, readExample, sampleApp, samplePage, startWebServer, waitForPage } from '../lib/web-server.ts'

/** A recipe in which each step fails where a file of its name says so. */
const breakable = (app: Record<string, string>, broken = '') => ({
  ...app,
  Makefile: `install-deps upgrade-db:\n\t@test "$@" != "$$(cat broken)"\n\t@test $@ = install-deps || python3 -m app.upgrade\n`,
  broken: `${broken}\n`,
})

describe('A client that sends requests all the time to examples/app behind uWSGI sees', async () => {
  const { newSite } = await startServer({ after })

  async function serve(site: Site, t: CleansUp): Promise<string> {
    const port = await holdPort()
    const url = `http://127.0.0.1:${port}/`
    const ini = join(site.folder, 'uwsgi.ini')
    writeFileSync(
      ini,
      readExample('uwsgi.ini', { '/home/seita/flexmeasures': site.workTree, '127.0.0.1:8000': `127.0.0.1:${port}` }),
    )
    site.configure({ DATABASE: join(site.folder, 'app.sqlite') })
    assertExit(await site.deploy(), 0)
    await startWebServer(t, url, ['env', `DATABASE=${join(site.folder, 'app.sqlite')}`, 'uwsgi', '--ini', ini])
    return url
  }

  /** Requests the page without a pause until it is stopped. @returns the answers, without repetitions */
  function poll(url: string) {
    let isOver = false
    const answers: string[] = []
    const polling = (async () => {
      while (!isOver) {
        const answer = await ask(url)
        const text = answer?.status === 200 ? answer.text : `error ${answer?.status}`
        if (answers.at(-1) !== text) answers.push(text)
      }
    })()
    return async () => {
      isOver = true
      await polling
      return answers
    }
  }

  for (const broken of ['install-deps', 'upgrade-db', 'restart']) {
    it(`when ${broken} fails: only the old page; after the push that repairs it, the new one`, async t => {
      const site = await newSite(t)
      // The default, and a restart that fails.
      site.configure({ RESTART: 'test "$(cat broken)" != restart && touch -- "$PATH_TO_WSGI"' })
      await site.commit(breakable(sampleApp(1)))
      const url = await serve(site, t)
      await waitForPage(url, samplePage(1))

      const stop = poll(url)
      await site.commit(
        breakable({ ...sampleApp(1), 'app/__init__.py': sampleApp(2)['app/__init__.py'] ?? '' }, broken),
      )
      assertExit(await site.deploy(), 1)
      await nextSecond()
      await nextSecond()
      assert.deepEqual(await stop(), [samplePage(1)])

      await site.commit(breakable({ ...sampleApp(3) }))
      const stopAgain = poll(url)
      assertExit(await site.deploy(), 0)
      await waitForPage(url, samplePage(3))
      // The old code sees the new database, migration by migration, until it is restarted.
      assert.deepEqual(
        (await stopAgain()).filter(
          page => ![samplePage(1), samplePage(1, 2), samplePage(1, 3), samplePage(3)].includes(page),
        ),
        [],
      )
    })
  }

  it('when the health check fails: no error, and at the end the old page, after two restarts', async t => {
    const site = await newSite(t)
    await site.commit(breakable(sampleApp(1)))
    const url = await serve(site, t)
    await waitForPage(url, samplePage(1))
    const failing = `http://127.0.0.1:${await holdPort()}/`
    // Only version 1 is healthy, so that the check of the old code passes.
    site.configure({
      HEALTH_CHECK_URL: failing,
      HEALTH_CHECK_TIMEOUT: '1',
      RESTART: 'echo restart >> "$STEPS"; touch -- "$PATH_TO_WSGI"; sleep 2',
    })
    await site.commit(breakable(sampleApp(2)))
    const stop = poll(url)
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /it did not answer: .*ECONNREFUSED/)
    await waitForPage(url, samplePage(1, 2))
    const answers = await stop()
    assert.deepEqual(
      answers.filter(page => page.startsWith('error')),
      [],
    )
    assert.equal(site.steps().filter(step => step === 'restart').length, 2)
  })
})
