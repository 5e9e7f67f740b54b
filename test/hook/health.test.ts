import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { holdPort, listen } from '../lib/ports.ts'
import { type Site, startServer } from '../lib/site.ts'

describe('The health check', async () => {
  const { newSite } = await startServer({ after })

  /** A server that answers with the status that the work tree's file names. */
  async function serveStatus(site: Site, t: { after(fn: () => void): void }) {
    const port = await holdPort()
    const program = `
import http.server, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        tree = pathlib.Path(${JSON.stringify(site.workTree)})
        status = int((tree / "status").read_text())
        self.send_response(status); self.send_header("Location", "/login"); self.end_headers()
        self.wfile.write(b"the application says %d" % status)
    def log_message(self, *arguments): pass
http.server.HTTPServer(("127.0.0.1", ${port}), Handler).serve_forever()`
    const server = spawn('setpriv', ['--pdeathsig', 'KILL', 'python3', '-c', program], { stdio: 'ignore' })
    t.after(() => server.kill('SIGKILL'))
    site.configure({ HEALTH_CHECK_URL: `http://127.0.0.1:${port}/`, RESTART: 'echo restart >> "$STEPS"' })
    // The server takes a moment to start.
    await waitFor('it listens', () =>
      fetch(`http://127.0.0.1:${port}/`).then(
        () => true,
        error => error.cause?.code !== 'ECONNREFUSED',
      ),
    )
  }

  /** A server that answers as it is told, in this process. */
  async function serve(t: { after(fn: () => void): void }, answer: RequestListener): Promise<URL> {
    const server = createServer(answer)
    t.after(() => server.close().closeAllConnections())
    return new URL(`http://127.0.0.1:${await listen(server)}/`)
  }

  /** For checks that fail only when the time is up. Those that pass have the default's minute, for busy machines. */
  const soon = { HEALTH_CHECK_TIMEOUT: '3' }

  it('makes a deployment green where the application answers 2xx', async t => {
    const site = await newSite(t)
    await serveStatus(site, t)
    await site.commit({ status: '204' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /CHECKING HEALTH \(http:/)
  })

  for (const status of ['500', '302']) {
    it(`makes it red when the answer is ${status}, shows it, and starts the old code again`, async t => {
      const site = await newSite(t)
      await serveStatus(site, t)
      const good = await site.commit({ status: '200' })
      await site.deploy()
      site.steps()
      await site.commit({ status })
      site.configure(soon)
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, new RegExp(`it answered ${status}.*\n.*the application says ${status}`))
      assert.match(
        output,
        /CHECKING HEALTH[\s\S]*PUTTING BACK[\s\S]*RESTARTING[\s\S]*CHECKING HEALTH[\s\S]*is back in place/,
      )
      assert.equal(site.steps().filter(step => step === 'restart').length, 2)
      assert.equal(await site.live(), good)
    })
  }

  it('shows the last answer where the application has stopped answering', async t => {
    const site = await newSite(t)
    let requests = 0
    const url = await serve(t, (_, response) => {
      if (requests++ === 0) response.writeHead(500).end('no such table: users')
    })
    site.configure({ HEALTH_CHECK_URL: `${url}`, ...soon })
    await site.commit({ 'page.txt': 'one\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /it answered 500 .*\n.*no such table: users\n.*then it did not answer: /)
  })

  it('runs before a commit counts as already live: where it fails, the commit is deployed again', async t => {
    const site = await newSite(t)
    const down = join(site.folder, 'down')
    let requests = 0
    const url = await serve(t, (_, response) => {
      requests++
      response.writeHead(existsSync(down) ? 502 : 200).end('no workers')
    })
    site.configure({ HEALTH_CHECK_URL: `${url}`, RESTART: `rm -f '${down}'; echo restart >> "$STEPS"` })
    const commit = await site.commit()
    await site.deploy()
    site.steps()
    const asked = requests
    const already = assertExit(await site.deploy(), 0)
    assert.match(already.output, /already live/)
    assert.deepEqual(site.steps(), [])
    assert.equal(requests, asked + 1)

    writeFileSync(down, '')
    const again = assertExit(await site.deploy(), 0)
    assert.match(again.output, new RegExp(`${commit} IS IN PLACE, BUT .*: it answered 502 Bad Gateway no workers`))
    assert.deepEqual(site.steps(), [`install ${commit}`, `upgrade ${commit}`, 'restart'])
  })

  it('gives a server that watches its file time to see it; sends the password and the token of its address, and shows neither', async t => {
    const site = await newSite(t)
    const asked: (string | undefined)[] = []
    let touched = 0
    const url = await serve(t, (request, response) => {
      asked.push(request.url, request.headers.authorization)
      touched = Date.now() - statSync(join(site.workTree, 'wsgi.py')).mtimeMs
      response.end()
    })
    site.configure({ HEALTH_CHECK_URL: `http://monitor:pass%40word@${url.host}/ping?token=sesame` })
    await site.commit({ 'page.txt': 'one\n' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.ok(touched > 1900, `asked ${touched} ms after the touch`)
    assert.deepEqual(asked, ['/ping?token=sesame', `Basic ${btoa('monitor:pass@word')}`])
    assert.match(output, /CHECKING HEALTH \(http:\/\/127\.0\.0\.1:\d+\/ping\)/)
    for (const command of ['status', 'log']) {
      const told = assertExit(await site.deploy([command]), 0)
      assert.doesNotMatch(output + told.output, /word@|pass%40|sesame/)
    }
  })

  describe('where the answer names a commit by its whole id', () => {
    /** A site with two commits live, behind a server whose answer the test makes. */
    async function newNamedSite(t: { after(fn: () => void): void }) {
      const site = await newSite(t)
      let answer: RequestListener = (_, response) => response.end()
      site.configure({
        HEALTH_CHECK_URL: `${await serve(t, (...args) => answer(...args))}`,
        RESTART: 'true',
        HEALTH_CHECK_TIMEOUT: '1',
      })
      const older = await site.commit()
      assertExit(await site.deploy(), 0)
      const live = await site.commit({ 'page.txt': 'two\n' })
      assertExit(await site.deploy(), 0)
      return { site, older, live, tell: (next: RequestListener) => (answer = next) }
    }
    const told = /it is still ([0-9a-f]{40}) that answers/

    it('is red for any other commit of the repository, in the body or a header, and for "already live", too', async t => {
      const { site, older, live, tell } = await newNamedSite(t)
      const named = await site.commit({ 'page.txt': 'three\n' })
      tell((_, response) => response.end(`{"version":"v1.2-3-g${older}"}`))
      assert.equal(told.exec(assertExit(await site.deploy(), 1).output)?.[1], older)
      tell((_, response) => response.setHeader('X-Commit', live.toUpperCase()).end())
      const { output: second } = assertExit(await site.deploy(), 1)
      assert.equal(told.exec(second)?.[1], live)
      assert.match(second, new RegExp(`The previous code \\(${live}\\) is back in place`))
      tell((_, response) => response.end(named))
      assertExit(await site.deploy(), 0)
      tell((_, response) => response.end(live))
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, new RegExp(`${named} IS IN PLACE, BUT .*: it is still ${live} that answers`))
    })

    it('is green for this commit beside others, and for anything else of that length', async t => {
      const { site, older, tell } = await newNamedSite(t)
      const commit = await site.commit({ 'page.txt': 'three\n' })
      const tree = (await site.git`git rev-parse HEAD^${'{tree}'}`).stdout.trim()
      tell((_, response) => response.setHeader('ETag', `"${'0a'.repeat(20)}"`).end(`app.${tree}.js ${older}${older}`))
      assertExit(await site.deploy(), 0)
      tell((_, response) => response.end(`${older} ${commit}`))
      assertExit(await site.deploy(['--again']), 0)
    })

    it('asks for an answer that is not compressed', async t => {
      const { site, live, tell } = await newNamedSite(t)
      await site.commit({ 'page.txt': 'three\n' })
      tell((request, response) => {
        const isPlain = request.headers['accept-encoding'] === 'identity'
        response.end(isPlain ? live : gzipSync(live))
      })
      assert.match(assertExit(await site.deploy(), 1).output, told)
    })
  })
})
