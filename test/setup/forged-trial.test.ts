import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startForgingProxy } from '../lib/forging-peer.ts'
import { startSite } from '../lib/setup-site.ts'

test('setup-ssh does not believe a peer without the host key that the key was accepted: exit 3', async t => {
  const site = await startSite(t)
  assertExit(await site.setupSsh(), 0)
  const forged = "bye\nfatal: '/x' does not appear to be a git repository"
  const port = await startForgingProxy(t, forged, site.sshd.port)
  const STAGING_REMOTE_REPO = site.url.replace(`:${site.sshd.port}`, `:${port}`)
  const { stdout } = assertExit(await site.setupSsh({ env: { STAGING_REMOTE_REPO } }), 3)
  assert.match(stdout, /^ {4}.*does not appear to be a git repository/m)
  assert.doesNotMatch(stdout, /^repository +TO DO/m)
})
