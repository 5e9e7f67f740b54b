import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { startPostgres } from '../flexmeasures/servers.ts'
import { waitFor } from '../lib/events.ts'
import { assertExit, assertFails } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { kill, processes } from '../lib/processes.ts'
import { askAllTheTime, readExample, sampleWsgi, startWebServer, waitForPage } from '../lib/web-server.ts'
import { type Host, skip, startFleet } from './fleet.ts'

/** A deployment tells the database that it has begun, waits while a file says so, and fails on the host of fail-on. */
const Makefile = `\
sql = psql -XAtq -v ON_ERROR_STOP=1 -v host="$$HOST" "$$DATABASE_URL"

install-deps:
\t@echo "INSERT INTO event (host, what) VALUES (:'host', 'begins')" | $(sql)
\t@while test -e "$$HOLD/$$HOST"; do sleep 0.05; done
\t@test "$$(cat fail-on)" != "$$HOST"

upgrade-db:
\t@$(sql) -f migrate.sql
`

const migration = `\
DO $$ BEGIN
  IF NOT pg_try_advisory_lock(1) THEN RAISE 'two migrations at once'; END IF;
  PERFORM pg_sleep(0.3);
END $$;
INSERT INTO event (host, what) VALUES (:'host', 'migrates');
`

const application = `\
import os
import psycopg2

folder = os.path.dirname(__file__)

def application(environ, start_response):
    with psycopg2.connect(os.environ["DATABASE_URL"]) as database, database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event WHERE what = 'migrates'")
        cursor.fetchone()
    with open(os.path.join(folder, "version")) as version:
        text = version.read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
`

describe('Three servers and a worker behind nginx, on one PostgreSQL, under constant requests', { skip }, async () => {
  const fleet = await startFleet({ after }, ['one', 'two', 'three', 'worker'])
  const [one, two, three, worker] = fleet.hosts as [Host, Host, Host, Host]
  const webServers = [one, two, three]
  const { folder, play, serving } = fleet
  const hold = join(folder, 'hold')
  mkdirSync(hold)
  const ports = new Map<Host, number>()
  for (const host of webServers) ports.set(host, await holdPort())
  const postgres = await startPostgres({ after }, folder, await holdPort())
  await postgres.query('CREATE TABLE event (id serial, host text, what text)')
  const events = async () => (await postgres.query('SELECT host, what FROM event ORDER BY id')).split('\n')

  /** Before the first deployment there is nothing that could answer. */
  const configure = ({ isFirst = false } = {}) =>
    fleet.configure(
      host => ({
        DATABASE_URL: postgres.uri,
        HOLD: hold,
        ...(host === worker ? { RESTART: 'true' } : { PATH_TO_WSGI: `/home/${host.user}/www/wsgi.py` }),
        ...(host !== worker && !isFirst && { HEALTH_CHECK_URL: `http://127.0.0.1:${ports.get(host)}/` }),
      }),
      // There is room for the worker in the second batch, but it must not be in it.
      { pushlive_serial: [1, 3] },
      [worker.name],
    )
  const commit = (version: number, failOn = 'none') =>
    fleet.commit({
      Makefile,
      'migrate.sql': migration,
      'wsgi.py': sampleWsgi(),
      'app.py': application,
      version: `${version}`,
      'fail-on': `${failOn}\n`,
    })

  const front = await holdPort()
  const url = `http://127.0.0.1:${front}/`

  // They serve until the last test, and not only in the one that starts them.
  const stops: (() => void | Promise<void>)[] = []
  const suite = { after: (stop: () => void | Promise<void>) => void stops.push(stop) }
  after(() => Promise.all(stops.map(stop => stop())))

  async function startWebServers() {
    for (const host of webServers) {
      const home = `/home/${host.user}`
      const text = readExample('uwsgi.ini', {
        '/home/seita/flexmeasures': `${home}/www`,
        '127.0.0.1:8000': `127.0.0.1:${ports.get(host)}`,
      })
      writeFileSync(join(folder, `${host.name}.ini`), `${text}env = DATABASE_URL=${postgres.uri}\n`)
      const asItsUser = ['--reuid', host.user, '--regid', host.user, '--init-groups']
      const command = ['setpriv', ...asItsUser, 'uwsgi', '--ini', join(folder, `${host.name}.ini`)]
      await startWebServer(suite, `http://127.0.0.1:${ports.get(host)}/`, command)
    }
    // A request that fails at one server is not tried at the next: it is counted.
    const config = `\
daemon off;
user root;
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  upstream app { ${webServers.map(host => `server 127.0.0.1:${ports.get(host)} max_fails=0;`).join(' ')} }
  server {
    listen 127.0.0.1:${front};
    location / { proxy_pass http://app; proxy_next_upstream off; }
  }
}
`
    writeFileSync(join(folder, 'nginx.conf'), config)
    await startWebServer(suite, url, ['/usr/sbin/nginx', '-c', join(folder, 'nginx.conf'), '-e', 'stderr'])
  }

  /** Sends requests through nginx during an action: none of them may fail. */
  async function underLoad(action: () => Promise<void>): Promise<void> {
    const answers = await askAllTheTime([url, url, url], action)
    const failed = answers.filter(answer => answer?.status !== 200)
    assert.deepEqual(failed, [], `${failed.length} of ${answers.length} requests failed`)
    assert.ok(answers.length > 100, `${answers.length} requests`)
  }

  const pages = async (version: number) => {
    for (const host of webServers) await waitForPage(`http://127.0.0.1:${ports.get(host)}/`, `${version}`)
  }

  it('are set up, and get their first commit', async () => {
    configure({ isFirst: true })
    assertExit(await play('server'), 0)
    const live = await commit(1)
    const { output } = assertExit(await play('deploy'), 0)
    assert.deepEqual(await serving(), [live, live, live, live], output)
    await startWebServers()
    await pages(1)
    configure()
    assertExit(await play('server'), 0)
  })

  it('get the next commit one after another, the worker last, with one migration and no failed request', async () => {
    await postgres.query('TRUNCATE event')
    const live = await commit(2)
    await underLoad(async () => {
      const { output } = assertExit(await play('deploy'), 0)
      assert.deepEqual(await serving(), [live, live, live, live], output)
      // The first, the two others, the worker.
      assert.deepEqual(output.match(/^PLAY \[Deploy.*?\]/gm), [
        'PLAY [Deploy]',
        'PLAY [Deploy]',
        'PLAY [Deploy to workers]',
      ])
    })
    await pages(2)
    const [ofOne, ofTwo, ofThree, ofWorker] = await Promise.all(fleet.hosts.map(fleet.lastDeployment))
    assert.ok(ofOne && ofTwo && ofThree && ofWorker)
    for (const next of [ofTwo, ofThree]) {
      assert.ok(ofOne.ended <= next.started, 'the first alone')
      assert.ok(next.ended <= ofWorker.started, 'the worker last')
    }
    const happened = await events()
    assert.deepEqual(happened.slice(0, 2), ['one|begins', 'one|migrates'])
    assert.deepEqual(happened.slice(2).sort(), ['three|begins', 'two|begins', 'worker|begins'])
  })

  it('go back where a host of the second batch fails, and the worker is not changed', async () => {
    const before = await serving()
    await commit(3, 'three')
    await postgres.query('TRUNCATE event')
    await underLoad(async () => {
      const { output } = assertFails(await play('deploy'))
      assert.deepEqual(await serving(), before, output)
    })
    await pages(2)
    assert.ok(!(await events()).includes('worker|begins'))
  })

  it('go back where a host dies, which the table shows; once it is up again, all get the commit', async () => {
    const before = await serving()
    const live = await commit(4)
    await postgres.query('TRUNCATE event')
    writeFileSync(join(hold, 'two'), '')
    await underLoad(async () => {
      const playing = fleet.startPlay('deploy')
      await waitFor('the second host has begun', async () => (await events()).includes('two|begins'))
      // sshd, the hook and its step.
      await two.sshd.stop()
      for (const { pid, cwd } of processes()) if (cwd === `/home/${two.user}/app.git`) kill(pid)
      const { stdout } = assertFails(await playing)
      assert.match(stdout, /two +UNKNOWN/)
      assert.deepEqual(await serving(), before, stdout)
      rmSync(join(hold, 'two'))
      await two.sshd.restart()
      const again = assertExit(await play('deploy'), 0)
      assert.deepEqual(await serving(), [live, live, live, live], again.output)
    })
    await pages(4)
  })

  it('are completed by a second run where the control node dies half-way', async () => {
    const live = await commit(5)
    await postgres.query('TRUNCATE event')
    writeFileSync(join(hold, 'two'), '')
    await underLoad(async () => {
      const playing = fleet.startPlay('deploy')
      await waitFor('the second host has begun', async () => (await events()).includes('two|begins'))
      const ofControlNode = [folder, fleet.clone]
      for (const { pid, cwd } of processes()) if (ofControlNode.includes(cwd) && pid !== process.pid) kill(pid)
      assertFails(await playing)
      rmSync(join(hold, 'two'))
      const { output } = assertExit(await play('deploy'), 0)
      assert.deepEqual(await serving(), [live, live, live, live], output)
    })
    await pages(5)
    assert.equal((await events()).filter(event => event === 'one|begins').length, 1)
  })

  it('are rolled back together, and the worker, too', async () => {
    assertExit(await play('rollback'), 0)
    await pages(4)
  })
})
