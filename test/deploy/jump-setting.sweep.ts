import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { startServer } from '../lib/site.ts'

describe('PROXY_JUMP', async () => {
  const { newSite } = await startServer({ after })

  it('that is no address is a wrong setting, and meets no shell: exit 2', async t => {
    const site = await newSite(t)
    await site.commit()
    const before = readdirSync(site.clone)
    for (const PROXY_JUMP of [
      "ada@gate/';touch pwned;'",
      "ada@gate';touch pwned;'",
      'ada@gate/',
      'ada@ga%74e',
      'ada@gate,eve@gate',
      '$(touch pwned)@gate',
      '-oProxyCommand=touch pwned',
    ]) {
      for (const secrets of [{ SSH_DEPLOYMENT_KEY: undefined, KNOWN_DEPLOYMENT_HOSTS: undefined }, {}]) {
        const { output } = assertExit(await site.deploy([], { PROXY_JUMP, ...secrets }), 2, PROXY_JUMP)
        assert.match(output, /PROXY_JUMP is not user@host or user@host:port/)
        assert.deepEqual(readdirSync(site.clone), before)
      }
    }
  })
})
