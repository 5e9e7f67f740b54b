import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { knownHostsName, parseJump, parseRemote, portHint } from '../../scripts/lib/ssh/remote.ts'

const $ = zx({ quiet: true, nothrow: true })

describe('parseRemote', () => {
  let folder: string
  let spy: string
  let argumentsFile: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'remote-'))
    spy = join(folder, 'ssh')
    argumentsFile = join(folder, 'arguments')
    writeFileSync(spy, `#!/bin/sh\nprintf '%s\\n' "$@" >'${argumentsFile}'\nexit 1\n`)
    chmodSync(spy, 0o755)
  })
  after(() => rmSync(folder, { recursive: true }))

  /** What git would run ssh with: the destination, the port and the server's path. */
  async function askGit(url: string) {
    rmSync(argumentsFile, { force: true })
    const env = { PATH: process.env.PATH, HOME: folder, GIT_SSH_COMMAND: spy, GIT_SSH_VARIANT: 'ssh' }
    const { stderr } = await $({ env, cwd: folder })`git ls-remote -- ${url}`
    if (!existsSync(argumentsFile)) return { stderr }
    const args = readFileSync(argumentsFile, 'utf8').trimEnd().split('\n')
    const command = args.at(-1) as string
    const path = /^git-upload-pack '(.*)'$/.exec(command)?.[1]?.replaceAll(/'\\(['!])'/g, '$1')
    const port = args.includes('-p') ? Number(args[args.indexOf('-p') + 1]) : undefined
    return { stderr, destination: args.at(-2), port, path }
  }

  for (const url of [
    'seita@ssh.our-server.com:/home/seita/flexmeasures-staging/flexmeasures.git',
    'host:path/x.git',
    'host:~/x.git',
    'host:/~user/x.git',
    'host:x~y',
    'host:2222/x',
    'user@host:2222',
    'user@host::x',
    'user:password@host:/x',
    '[user@host:2222]:/srv/x.git',
    '[host:2222]:x.git',
    '[host]:x.git',
    '[::1]:/x',
    'user@[::1]:/x',
    '[user@::1]:x',
    '[::1]:2222:/x',
    'ssh://host/x',
    'ssh://host:/x',
    'ssh://user@host/x',
    'ssh://user@host:2222/srv/x.git',
    'ssh://user@host:0022/x',
    'ssh://h:1/x',
    'ssh://h:65535/x',
    'ssh://host/~user/x',
    'ssh://host/~/x',
    'ssh://user@[::1]/x',
    'ssh://user@[2001:0db8::1]/x',
    'ssh://user@[::1]:2222/x',
    'ssh://[user@::1]:2222/x',
    'ssh://user@[host:2222]/x',
    'ssh://user@[::1%25eth0]:2222/x',
    'ssh://::1/x',
    'ssh://user@2001:db8::1/x',
    'ssh://user@domain@host/x',
    'ssh://%68ost/a%20b%2fc',
    'ssh://host/%c3%bc',
    'ssh://host/%00%zz%2',
    'ssh://host/x@y:z',
    "user@host:/srv/it's here!/$(x)`y`.git",
    'user@host:/srv/ü/ß.git',
    'user@HOST.example:x',
    'user_1@host_1:x y',
  ]) {
    test(`agrees with git on ${url}`, async () => {
      const remote = parseRemote(url)
      const git = await askGit(url)
      assert.ok(remote?.host, git.stderr)
      assert.deepEqual(
        { destination: (remote.user ? `${remote.user}@` : '') + remote.host, port: remote.port, path: remote.path },
        { destination: git.destination, port: git.port, path: git.path },
      )
      assert.equal(remote.url, url)
    })
  }

  for (const url of [
    '/srv/app.git',
    './app.git',
    '../app.git',
    'app.git',
    'a b/ü.git',
    './user@host:x',
    '[a/b',
    'a]b',
    '/srv/x:y',
    '~/x',
  ]) {
    test(`takes ${url} for a path on this machine, as git does`, async () => {
      assert.deepEqual(parseRemote(url), { url, path: url })
      const { stderr } = await askGit(url)
      assert.ok(stderr.includes(`'${url}' does not appear to be a git repository`), stderr)
    })
  }

  for (const url of [
    '/srv/a://b',
    '[a]/b',
    'x@[a]/b',
    'user@host:a://b',
    'host:x@[y]',
    'ssh://host',
    'ssh://user@host:22',
    'host:-x',
    '-oProxyCommand=x:y',
    'ssh://-oProxyCommand=x/y',
    'ssh://%2doProxyCommand=x/y',
    'rsync:/x',
    'SSH://host/x',
    'nothing::x',
  ]) {
    test(`refuses ${url}, as git does`, async () => {
      assert.equal(parseRemote(url), undefined)
      const { stderr, destination } = await askGit(url)
      assert.equal(destination, undefined)
      assert.match(stderr, /^(fatal|git): /m)
    })
  }

  for (const url of [
    '',
    ' ',
    'https://github.com/x/y',
    'git://host/x',
    'git+ssh://host/x',
    'file:///srv/x.git',
    'ext::sh -c touch% /tmp/x',
    '-x',
    '--upload-pack=x',
    'user@host:/x\n',
    'user@host:/x\0y',
    'ssh://host/x%0ay',
    'ssh://ho%0ast/x',
    'ssh://host/%ff',
    '-l@host:/x',
    'user@-host:/x',
    '@host:/x',
    'user@:/x',
    ':/x',
    '[user@host:]:/x',
    'ssh://host:ssh/x',
    'ssh://host:0/x',
    'ssh://host:65536/x',
    'ssh://[::1]x/y',
    'ssh://[::1]:0x22/y',
    'ssh://[host:22]:5/y',
    ...[';', ' ', '$(id)', '`', "'", '/', '%25'].map(no => `ssh://[fe80::1%25a${no}b]/y`),
    'ssh://[::1/x',
    'host:',
    'ssh://user:password@host/x',
    'user@ho st:/x',
    'user@$(id):/x',
    'user@`id`:/x',
    "user@h'ost:/x",
    'user@ho*st:/x',
    'user@host,other:/x',
    '$(id)@host:/x',
    'us er@host:/x',
    'us%er@host:/x',
  ]) {
    test(`refuses ${JSON.stringify(url)}`, () => assert.equal(parseRemote(url), undefined))
  }
})

test('knownHostsName is what ssh looks up', () => {
  const nameOf = (url: string) => knownHostsName(parseRemote(url) ?? assert.fail())
  assert.equal(nameOf('user@Host.Example:/x'), 'host.example')
  assert.equal(nameOf('ssh://host:22/x'), 'host')
  assert.equal(nameOf('ssh://user@host:2222/x'), '[host]:2222')
  assert.equal(nameOf('user@[::1]:/x'), '::1')
  assert.equal(nameOf('ssh://[::1]:2222/x'), '[::1]:2222')
})

test('portHint says how to write a port that git takes for a folder', () => {
  const hintFor = (url: string) => portHint(parseRemote(url) ?? assert.fail())
  assert.match(
    hintFor('user@host:2222/srv/x.git') ?? '',
    /2222 looks like a port.* ssh:\/\/user@host:2222\/srv\/x\.git$/,
  )
  assert.match(hintFor('[::1]:2222') ?? '', / ssh:\/\/\[::1\]:2222\/PATH$/)
  for (const url of [
    'ssh://user@host:2222/x',
    '[user@host:2222]:/x',
    'user@host:/2222/x',
    'user@host:2222x',
    '2222/x',
  ]) {
    assert.equal(hintFor(url), undefined, url)
  }
})

test('parseJump takes what ssh -J takes for one host, and nothing that it would take for more or for an option', () => {
  const placeOf = (text: string) => {
    const { url, user, host, port } = parseJump(text) ?? assert.fail(text)
    return { url, user, host, port }
  }
  assert.deepEqual(placeOf(' ada@gate:2222\n'), { url: 'ada@gate:2222', user: 'ada', host: 'gate', port: 2222 })
  assert.deepEqual(placeOf('gate'), { url: 'gate', user: undefined, host: 'gate', port: undefined })
  assert.deepEqual(placeOf('ada@[::1]:22'), { url: 'ada@[::1]:22', user: 'ada', host: '::1', port: 22 })
  const wrong = [
    '',
    ' ',
    'none/',
    'ada@gate/x',
    'a@gate,b@gate',
    '-oProxyCommand=x',
    'ada@-x',
    'a%40b@gate',
    '$(id)@gate',
    'ssh://gate',
  ]
  for (const text of wrong) assert.equal(parseJump(text), undefined, text)
})
