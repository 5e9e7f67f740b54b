import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { quote, $ as zx } from 'zx/core'
import { assertExit } from './lib/exit.ts'
import { newPlace } from './lib/place.ts'
import { program } from './lib/programs.ts'
import { startSite } from './lib/setup-site.ts'
import { environmentOf } from './lib/site.ts'
import { ask } from './lib/web-server.ts'

const read = (page: string) => readFileSync(join(import.meta.dirname, '../docs', page), 'utf8')
/** What a text tells people to type. */
const blocks = (text: string) => [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = '']) => block)
const page = read('getting-started.md').replace(/^## By hand$.*/ms, '')

it('The commands of docs/getting-started.md, in their order, put a site live', async t => {
  const { sshd, repository, folder, sshFolder, hostFingerprint } = await startSite({ after }, { path: 'srv/shop.git' })
  rmSync(repository, { recursive: true })
  const [project, bin] = [join(folder, 'shop'), join(folder, 'bin')]
  for (const each of [project, bin]) mkdirSync(each)
  const workTree = repository.replace(/\.git$/, '')
  const webServer = createServer((_, response) => {
    const file = join(workTree, 'index.html')
    response.writeHead(existsSync(file) ? 200 : 404).end(existsSync(file) ? readFileSync(file) : '')
  })
  await new Promise<void>(done => webServer.listen(0, '127.0.0.1', done))
  t.after(() => webServer.close())
  const url = `http://127.0.0.1:${(webServer.address() as { port: number }).port}/`

  // The programs on PATH, with the files of this test's ssh in place of the user's.
  const script = (name: string, text: string) => writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  const calling = (name: Parameters<typeof program>[0], ...args: string[]) =>
    `exec ${[...program(name), ...args].map(quote).join(' ')} "$@"`
  const ofCi = `SSH_DEPLOYMENT_KEY=${quote(join(sshFolder, 'pushlive-127.0.0.1-shop'))} KNOWN_DEPLOYMENT_HOSTS=${quote(join(sshFolder, 'known_hosts'))}`
  script('deploy', `export ${ofCi}\n${calling('deploy')}`)
  script('setup-ssh', calling('setup-ssh', '--ssh-dir', sshFolder))
  script('hook', calling('post-receive'))
  const env = {
    ...environmentOf(folder),
    PATH: `${bin}:${process.env.PATH}`,
    HOOK_BINARY: join(bin, 'hook'),
    HOST_FINGERPRINT: hostFingerprint,
  }
  let cwd = folder
  const type = async (line: string, exitCode = 0) => {
    const $ = zx({ cwd, env, quiet: true, nothrow: true, stdio: ['ignore', 'pipe', 'pipe'] })
    const ended = await $`bash -c ${line}`
    return assertExit({ exitCode: ended.exitCode, output: `$ ${line}\n${ended.stdout}${ended.stderr}` }, exitCode)
      .output
  }
  writeFileSync(join(project, 'index.html'), 'version 1\n')
  const commit = (message: string) => `git add --all && git commit --quiet --message '${message}'`
  await type(`cd ${project} && git init --quiet --initial-branch=main && ${commit('version 1')}`)

  // Where there is no terminal, init takes its answers as options: the page says how.
  const [, init = ''] = /`(deploy init --server .*?)`/.exec(page) ?? []
  const here: Readonly<Record<string, string>> = {
    'deploy init': init,
    'seita@shop.our-server.com': `${sshd.user}@127.0.0.1:${sshd.port}:${repository}`,
    ' /health ': ` ${url} `,
  }
  const lines = blocks(page).flatMap(block => block.trimEnd().split('\n'))
  const commands = lines.map(line => line.replace(/\s+#.*/, ''))
  let last = ''
  for (const command of commands) {
    if (command.startsWith('cd ')) cwd = join(cwd, command.slice(3))
    else if (command.startsWith('ssh ')) {
      // root.sh installs nginx for all of the machine: test/first-hour runs it. What setup-ssh said is what the page says.
      const [, told = ''] = /^as root +TO DO +(ssh .*)$/m.exec(last) ?? []
      const words = (text: string) => text.replace(/ -[Fop] \S+| sudo\b|\S*(?=shop\.git)|\S+(?=@)|(?<=@)\S+/g, '')
      assert.equal(words(told), words(command))
      assert.match(await type('setup-ssh'), /^Next: deploy$/m)
    } else {
      const line = Object.entries(here).reduce((text, [from, to]) => text.replace(from, to), command)
      last = await type(line, command === 'setup-ssh' ? 1 : 0)
      if (command === 'deploy init') await type(commit('What init writes'))
      if (command === 'setup-ssh get') assert.match(last, /^SECRET_KEY \(hidden/m)
    }
  }
  assert.equal(commands.at(-1), 'deploy')
  assert.match(last, /IS LIVE \(in /)
  assert.equal((await ask(url))?.text, 'version 1\n')
  assert.match(await type('deploy status'), /\blive\b/)
})

it('The commands of docs/install.md make a repository one like any other again', async t => {
  const { install, push, commit, git, serverGit, repository, workTree, folder } = await newPlace(t)
  assertExit(await install(), 0)
  assert.ok((await push('main')).isAccepted)
  assert.ok(!(await push('main:other')).isAccepted)
  const [uninstalling = ''] = blocks(read('install.md').replace(/.*^## Uninstall$/ms, ''))
  const $ = zx({ cwd: repository, env: environmentOf(folder), quiet: true, nothrow: true })
  assert.equal((await $`bash -c ${uninstalling}`).stderr, '')
  await commit()
  const pushed = await push('main', 'main:other')
  assert.ok(pushed.isAccepted && !/pushlive/.test(pushed.output), pushed.output)
  await git`git commit --quiet --amend --allow-empty --message ${'A rewritten one'}`
  assert.ok((await push('+main', ':other')).isAccepted)
  const left = await serverGit`git config --list --local && git for-each-ref && ls -A`
  assert.doesNotMatch(left.stdout, /refs\/deploy|receive\.|core\.fsync|pushlive|\.before|^server$|^\.env/m)
  assert.ok(!existsSync(join(workTree, '.git')) && existsSync(workTree))
})
