import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { $ as zx } from 'zx/core'
import { parseRemote, type Remote } from '../../scripts/lib/ssh/remote.ts'
import { type SshAccess, withSshSession } from '../../scripts/lib/ssh/session.ts'

const key = '-----BEGIN OPENSSH PRIVATE KEY-----\n'
const knownHosts = 'server ssh-ed25519 AAAA\n'
const jump = parseRemote('ada@gate:2222') as Remote

/** What ssh itself says that it would do for git: its options, by name, in small letters. */
async function optionsOf(access: SshAccess) {
  return withSshSession(access, async ({ env }) => {
    const { GIT_SSH_COMMAND = '', GIT_SSH_VARIANT, LC_ALL } = await env
    const { stdout } = await zx({ quiet: true })`sh -c ${`${GIT_SSH_COMMAND} -T -G server`}`
    const options = new Map(stdout.split('\n').map(line => [line.split(' ')[0], line.split(' ').slice(1).join(' ')]))
    return { GIT_SSH_VARIANT, LC_ALL, of: (name: string) => options.get(name), folder: folderIn(options) }
  })
}
const folderIn = (options: ReadonlyMap<string | undefined, string>) =>
  [options.get('userknownhostsfile'), options.get('identityfile')]
    .map(file => /^(.*\/pushlive-\w{6})\/\w+$/.exec(file ?? '')?.[1])
    .find(Boolean)

describe('ssh', () => {
  for (const [what, access] of [
    ['the hosts', { knownHosts }],
    ['key and hosts', { key, knownHosts }],
    ['hosts and a jump', { knownHosts, jump }],
  ] as const) {
    it(`that is given ${what} lets in these hosts only`, async () => {
      const { of, folder } = await optionsOf(access)
      assert.ok(folder)
      assert.deepEqual(
        ['userknownhostsfile', 'globalknownhostsfile', 'stricthostkeychecking', 'verifyhostkeydns'].map(of),
        [`${folder}/known_hosts`, '/dev/null', 'true', 'false'],
      )
      assert.deepEqual(['nohostauthenticationforlocalhost', 'checkhostip', 'updatehostkeys'].map(of), [
        'no',
        'no',
        'false',
      ])
      assert.match(of('knownhostscommand') ?? 'none', /^none$/)
      assert.match(of('controlpath') ?? 'none', /^none$/)
    })
  }

  it('that is given a key has this one only, and asks nobody', async () => {
    const { of, folder } = await optionsOf({ key, knownHosts })
    assert.deepEqual(
      ['identityfile', 'identitiesonly', 'identityagent', 'batchmode', 'preferredauthentications', 'forwardagent'].map(
        of,
      ),
      [`${folder}/key`, 'yes', 'none', 'yes', 'publickey', 'no'],
    )
    assert.equal(of('connecttimeout'), '15')
  })

  it('ends connections that freeze', async () => {
    for (const access of [{ key, knownHosts }, { knownHosts }]) {
      const { of } = await optionsOf(access)
      assert.deepEqual(['serveraliveinterval', 'serveralivecountmax'].map(of), ['15', '4'])
    }
  })

  it('goes through the jump host that is given', async () => {
    assert.equal((await optionsOf({ key, knownHosts, jump })).of('proxyjump'), 'ada@gate:2222')
    assert.equal((await optionsOf({ knownHosts, jump })).of('proxyjump'), 'ada@gate:2222')
    assert.equal((await optionsOf({ jump })).of('proxyjump'), 'ada@gate:2222')
    assert.equal((await optionsOf({ key, knownHosts })).of('proxyjump'), undefined)
  })

  it('of each git command connects by itself where no key is given', async () => {
    const remote = parseRemote('ssh://ada@127.0.0.1:1/') as Remote
    await withSshSession({ knownHosts, remote }, async ({ env, connected }) => {
      assert.doesNotMatch((await env).GIT_SSH_COMMAND ?? '', /'-S'/)
      await connected
    })
  })

  it('ends by itself when the program was killed, except with a jump, whose words it would not show', async t => {
    const silent = createServer().listen(0, '127.0.0.1')
    t.after(() => silent.close())
    await once(silent, 'listening')
    const address = `ada@127.0.0.1:${(silent.address() as AddressInfo).port}`
    for (const [access, persists] of [
      [{ remote: parseRemote(`ssh://${address}/`) as Remote }, true],
      [{ remote: parseRemote('ada@inner:app') as Remote, jump: parseRemote(address) as Remote }, false],
    ] as const) {
      const connecting = once(silent, 'connection')
      await withSshSession({ key, knownHosts, ...access }, async () => {
        await connecting
        const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')
        const commands = children.map(pid => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0'))
        const ssh = commands.find(([program, ...options]) => program === 'ssh' && options.includes('-M'))
        assert.equal(ssh?.includes('ControlPersist=60'), persists, inspect(commands))
      })
    }
  })

  it('is known to git as OpenSSH, and speaks English', async () => {
    const { GIT_SSH_VARIANT, LC_ALL } = await optionsOf({ key, knownHosts })
    assert.deepEqual([GIT_SSH_VARIANT, LC_ALL], ['ssh', 'C'])
    const { env, takeSshMessages } = await withSshSession(undefined, async session => session)
    assert.deepEqual([await env, takeSshMessages()], [{ LC_ALL: 'C' }, ''])
  })

  it('shows at the end what ssh said last', async t => {
    const writing = t.mock.method(process.stderr, 'write', () => true)
    await withSshSession({ key, knownHosts }, async ({ env }) => {
      const { GIT_SSH_COMMAND = '' } = await env
      await zx({ quiet: true, nothrow: true })`sh -c ${`${GIT_SSH_COMMAND} -o StrictHostKeyChecking=odd server`}`
    })
    const { calls } = writing.mock
    writing.mock.restore()
    assert.match(calls.map(({ arguments: [text] }) => String(text)).join(''), /^ {4}.*unsupported option "odd"\.\n$/)
  })

  for (const [what, access, files] of [
    ['key and hosts', { key, knownHosts }, { key, known_hosts: knownHosts }],
    ['hosts', { knownHosts }, { known_hosts: knownHosts }],
    ['a jump', { jump }, {}],
  ] as const) {
    it(`has a file of each that is given: ${what}`, async () => {
      await withSshSession(access, async ({ env }) => {
        const folder = /'-F' '(.*?)\/config'/.exec((await env).GIT_SSH_COMMAND ?? '')?.[1] ?? ''
        const names = readdirSync(folder).filter(name => ['key', 'known_hosts'].includes(name))
        const there = names.map(name => [name, readFileSync(join(folder, name), 'utf8')])
        assert.deepEqual(Object.fromEntries(there), files)
        const config = readFileSync(join(folder, 'config'), 'utf8')
        assert.equal(config.startsWith('IgnoreUnknown *\n'), 'known_hosts' in files)
        assert.equal(config.includes(`\nInclude /etc/ssh/ssh_config\n`), !('key' in files))
        if (!('key' in files)) assert.ok(config.includes(`Include "${userInfo().homedir}/.ssh/config"\n`))
        if (!('known_hosts' in files)) assert.ok(config.startsWith('Include'))
      })
    })
  }

  const configured = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'core.sshCommand', GIT_CONFIG_VALUE_0: 'of git -x' }
  for (const [what, env, command] of [
    ['GIT_SSH_COMMAND', { GIT_SSH_COMMAND: 'mine -x', ...configured, GIT_SSH: '/other' }, /^mine -x 2>>'/],
    ['core.sshCommand', { ...configured, GIT_SSH: '/other' }, /^of git -x 2>>'/],
    ['GIT_SSH', { GIT_SSH: "/it's mine" }, /^'\/it'\\''s mine' 2>>'/],
    ['nothing', {}, /^exec 'ssh' '-F' '/],
  ] as const) {
    it(`is the user's where neither hosts nor a jump are given: ${what}`, async t => {
      t.mock.property(process, 'env', { PATH: process.env.PATH, HOME: '/nowhere', ...env })
      const { env: given } = await withSshSession({}, async session => session)
      const { GIT_SSH_COMMAND, GIT_SSH_VARIANT, LC_ALL } = await given
      assert.match(GIT_SSH_COMMAND ?? '', command)
      assert.deepEqual([GIT_SSH_VARIANT, LC_ALL], [what === 'nothing' ? 'ssh' : undefined, 'C'])
    })
  }

  it("is not the user's where a jump is given", async t => {
    t.mock.property(process, 'env', { PATH: process.env.PATH, HOME: '/nowhere', GIT_SSH_COMMAND: 'mine' })
    await withSshSession({ jump }, async ({ env }) => {
      assert.match((await env).GIT_SSH_COMMAND ?? '', /^exec 'ssh' .* '-J' 'ada@gate:2222'/)
    })
  })

  it('leaves nothing of the secrets when git is through', async () => {
    const { folder = '' } = await optionsOf({ key, knownHosts })
    assert.ok(!existsSync(folder))
  })

  it('leaves nothing of the secrets when git fails', async () => {
    let file = ''
    const failing = withSshSession({ key, knownHosts }, async ({ env }) => {
      file = /'-F' '(.*?)'/.exec((await env).GIT_SSH_COMMAND ?? '')?.[1] ?? ''
      assert.ok(existsSync(file))
      throw new Error('git failed')
    })
    await assert.rejects(failing, /^Error: git failed$/)
    assert.ok(!existsSync(file))
  })

  it('leaves nobody behind who waits for the end of the program', async () => {
    const events = ['exit', 'SIGINT', 'SIGTERM', 'SIGHUP'] as const
    const countThem = () => events.map(event => process.listenerCount(event))
    const before = countThem()
    await withSshSession({ key, knownHosts }, async ({ env }) => void (await env))
    assert.deepEqual(countThem(), before)
  })
})
