import assert from 'node:assert/strict'
import { createServer, type RequestListener } from 'node:http'
import { describe, it } from 'node:test'
import { verifyHealthy } from '../../scripts/lib/hook/health.ts'
import type { Repository } from '../../scripts/lib/hook/repository.ts'
import { listen } from '../lib/ports.ts'
import type { CleansUp } from '../lib/sshd.ts'

describe('A health check', () => {
  async function serve(t: CleansUp, answer: RequestListener) {
    const server = createServer(answer)
    let connections = 0
    server.on('connection', () => connections++)
    t.after(() => void server.close().closeAllConnections())
    const url = new URL(`http://127.0.0.1:${await listen(server)}/`)
    // Nothing here names a commit, so none is looked up.
    const expected = { url, commit: 'c'.repeat(40), repository: {} as Repository }
    return { expected, connections: () => connections }
  }

  it('asks over a new connection each time: one that is kept leads to the old code', async t => {
    let requests = 0
    const { expected, connections } = await serve(t, (_, response) => {
      response.writeHead(++requests < 3 ? 503 : 200).end()
    })
    await verifyHealthy(expected, 30)
    assert.deepEqual([requests, connections()], [3, 3])
  })

  it('takes an answer that never ends for what its beginning says', async t => {
    const chunk = 'x'.repeat(100_000)
    const { expected } = await serve(t, (_, response) => {
      const send = () => {
        while (response.writable && response.write(chunk));
      }
      response.on('drain', send)
      send()
    })
    await verifyHealthy(expected, 5)
  })
})
