import assert from 'node:assert/strict'
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import { bundleForNode } from '../../build/bundle.ts'
import { assertExit } from '../lib/exit.ts'
import { newOperator as newOperatorOf } from '../lib/operator.ts'
import { holdPort } from '../lib/ports.ts'
import { program, testsBinaries } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'

const root = join(import.meta.dirname, '../..')
const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
/** A login shell that prints a greeting, and knows only words and single quotes. */
const shellOfFewWords = `
const words = [...process.argv[2].matchAll(/'([^']*)'|([^\\s']+)/g)].map(([, quoted, plain]) => quoted ?? plain)
console.log('Welcome!')
const { status } = require('node:child_process').spawnSync(words[0], words.slice(1), { stdio: 'inherit' })
process.exit(status)
`

describe('setup-ssh --hook', async () => {
  const server = await startServer({ after })
  const { sshd } = server

  const newOperator = (t: TestContext, name?: string) => newOperatorOf(sshd, t, name)

  for (const name of ['operator', 'an odd; place (é)']) {
    it(`copies the hook to the server and installs it there (${name})`, async t => {
      const place = await newOperator(t, name)
      const { output } = assertExit(await place.installHook(testsBinaries ? { HOOK_BINARY: undefined } : {}), 0)
      assert.match(output, /COPYING TO THE SERVER .*\nCREATING THE REPOSITORY [\s\S]*PROTECTING THE REPOSITORY/)
      assert.equal(readFileSync(join(place.repository, '.env'), 'utf8'), place.minimal)
      assert.match((await place.push('HEAD:refs/heads/main')).output, /is live/)
      assert.deepEqual(
        readdirSync(sshd.home).filter(file => file.startsWith('.pushlive')),
        [],
      )
    })
  }

  /** Lets a call of `uname -sm` on the server answer something else, until the next start of sshd. */
  async function claimToBe(machine: string, folder: string) {
    writeFileSync(join(folder, 'uname'), `#!/bin/sh\necho Linux ${machine}\n`, { mode: 0o755 })
    await sshd.restart({ setEnv: { PATH: `${folder}:${process.env.PATH}` } })
  }

  const skip = testsBinaries ? false : 'there are no binaries'
  const platform = `${process.platform}-${process.arch}`
  const layouts: Record<string, readonly [setupSsh: string, hook: string, machine?: string]> = {
    'in a folder': ['setup-ssh', 'post-receive'],
    'as a release names them': [`setup-ssh-${platform}`, `post-receive-${platform}`],
    'as a build puts that for another machine': [`${platform}/setup-ssh`, 'linux-riscv64/post-receive', 'riscv64'],
  }
  for (const [name, [setupSsh, hook, machine]] of Object.entries(layouts)) {
    it(`finds the hook beside itself, ${name}`, { skip }, async t => {
      const place = await newOperator(t)
      if (machine !== undefined) {
        await claimToBe(machine, place.folder)
        t.after(() => sshd.restart({ setEnv: {} }))
      }
      const copy = (program: string | undefined, file: string, mode: number) => {
        const copied = join(place.folder, 'downloads', file)
        mkdirSync(dirname(copied), { recursive: true })
        copyFileSync(program ?? '', copied, constants.COPYFILE_FICLONE)
        chmodSync(copied, mode)
        return copied
      }
      const command = [copy(program('setup-ssh')[0], setupSsh, 0o755)]
      const run = () => place.installHook({ HOOK_BINARY: undefined }, ['--hook', 'server.env'], command)
      const missing = assertExit(await run(), 2)
      assert.match(missing.output, new RegExp(`put it into ${dirname(command[0] ?? '')}, or set HOOK_BINARY`))
      // With the mode that a download has.
      const copied = copy(program('post-receive')[0], hook, 0o644)
      const { output } = assertExit(await run(), 0)
      assert.ok(output.includes(`COPYING TO THE SERVER (${copied}) ...`), output)
      assert.match((await place.push('HEAD:refs/heads/main')).output, /is live/)
    })
  }

  it('is what `make install-hook` runs, with HOOK_ENV or server.env', async t => {
    const place = await newOperator(t)
    for (const HOOK_ENV of [undefined, 'an odd "name".env']) {
      const make = $({ env: { ...process.env, HOOK_ENV } })
      const { stdout } = await make`make --dry-run --directory=${root} install-hook ARGS=${'--env-file shop.env'}`
      const command = /--hook .*/.exec(stdout)?.[0] ?? ''
      const { stdout: words } = await $({ env: { ...process.env, HOOK_ENV } })`sh -c ${`printf '%s|' ${command}`}`
      const expected = HOOK_ENV === undefined ? ['server.env', '--keep-settings'] : [HOOK_ENV]
      assert.equal(words, ['--hook', ...expected, '--env-file', 'shop.env', ''].join('|'))
    }
    assert.ok(!existsSync(place.repository))
  })

  it('is named by --help', async () => {
    const { stdout } = await $`${program('setup-ssh')} --help`
    assert.match(stdout, /^ {7}setup-ssh --hook SERVER_ENV \[--keep-settings\]/m)
    assert.match(stdout, /^ {2}--hook SERVER_ENV /m)
  })

  it("replaces the server's settings, unless --keep-settings says that those on the server count", async t => {
    const place = await newOperator(t)
    const env = join(place.repository, '.env')
    const kept = (file: string) => ['--hook', file, '--keep-settings']
    assertExit(await place.installHook({}, kept('server.env')), 0)
    writeFileSync(env, `${place.minimal}# changed on the server\n`)
    for (const file of ['server.env', 'nowhere.env']) {
      assert.match(assertExit(await place.installHook({}, kept(file)), 0).output, /KEEPING THE SETTINGS/)
      assert.match(readFileSync(env, 'utf8'), /# changed on the server/)
    }
    writeFileSync(join(place.operator, 'other.env'), `${place.minimal}NEW=1\n`)
    assertExit(await place.installHook({}, ['--hook', 'other.env']), 0)
    assert.equal(readFileSync(env, 'utf8'), `${place.minimal}NEW=1\n`)
    assert.match(readFileSync(`${env}.before`, 'utf8'), /# changed on the server/)
  })

  it('understands STAGING_REMOTE_REPO in all forms that git does', async t => {
    const place = await newOperator(t, 'all forms')
    const { user, port, home } = sshd
    const login = `${user}@127.0.0.1`
    const forms = [
      [`ssh://${login}:${port}${place.folder}/1.git`, join(place.folder, '1.git')],
      [`ssh://${login}:${port}${place.folder.replaceAll(' ', '%20')}/2%C3%A9.git`, join(place.folder, '2é.git')],
      [`ssh://${login}:${port}/~/3.git`, join(home, '3.git')],
      [`[${login}:${port}]:${place.folder}/4.git`, join(place.folder, '4.git')],
      [`${login}:${place.folder}/5.git`, join(place.folder, '5.git')],
      [`${login}:${relative(userInfo().homedir, place.folder)}/6.git`, join(place.folder, '6.git')],
      [`${login}:~/7.git`, join(home, '7.git')],
      [`${place.folder}/8.git`, join(place.folder, '8.git')],
      ['./9:.git', join(place.operator, '9:.git')],
    ] as const
    const GIT_SSH_COMMAND = `ssh -F ${place.sshFolder}/config -o UserKnownHostsFile=${place.sshFolder}/known_hosts`
    const asOperator = $({ cwd: place.operator, env: { ...process.env, GIT_SSH_COMMAND } })
    for (const [STAGING_REMOTE_REPO, repository] of forms) {
      assertExit(await place.installHook({ STAGING_REMOTE_REPO }), 0)
      assert.ok(existsSync(join(repository, 'hooks/post-receive')), STAGING_REMOTE_REPO)
      assert.ok((await asOperator`git ls-remote -- ${STAGING_REMOTE_REPO}`).ok)
    }
  })

  it('reads STAGING_REMOTE_REPO and BRANCH_NAME from .env as well', async t => {
    const place = await newOperator(t)
    writeFileSync(join(place.operator, '.env'), `STAGING_REMOTE_REPO='${place.url}'\nBRANCH_NAME=production\n`)
    const refused = assertExit(await place.installHook({ STAGING_REMOTE_REPO: undefined }), 2)
    assert.match(refused.output, /main is the branch that is deployed here, and not production/)
    writeFileSync(join(place.operator, 'server.env'), `${place.minimal}BRANCH_NAME=production\n`)
    assertExit(await place.installHook({ STAGING_REMOTE_REPO: undefined }), 0)
    assert.ok(existsSync(place.hook))
  })

  it('works with other login shells', async t => {
    const place = await newOperator(t)
    // It prints before the command's output, and has no functions, traps or brackets.
    const shell = join(place.folder, 'shell')
    writeFileSync(shell, `#!${process.execPath}\n${shellOfFewWords}`, { mode: 0o755 })
    await sshd.restart({ config: [`ForceCommand ${shell} "$SSH_ORIGINAL_COMMAND"`] })
    t.after(() => sshd.restart({ config: [] }))
    assertExit(await place.installHook(), 0)
    assert.ok(existsSync(place.hook))
  })

  describe('stops before it changes anything', () => {
    it('for settings that are wrong', async t => {
      const place = await newOperator(t)
      const tries = [
        [{ STAGING_REMOTE_REPO: ' ' }, /STAGING_REMOTE_REPO is missing/],
        [{ STAGING_REMOTE_REPO: 'https://example.org/x.git' }, /STAGING_REMOTE_REPO is neither user@host:path/],
        [{ HOOK_BINARY: 'nowhere' }, /HOOK_BINARY is not there, or no file \(nowhere\)/],
      ] as const
      for (const [changes, message] of tries) {
        const { output } = assertExit(await place.installHook(changes), 2)
        assert.match(output, message)
      }
      rmSync(join(place.operator, 'server.env'))
      const missing = assertExit(await place.installHook(), 2)
      assert.match(missing.output, /The settings file server\.env is not there/)
      const none = assertExit(await place.installHook({}, ['--hook', 'server.env', '--keep-settings']), 2)
      assert.match(none.output, /There are no settings for the hook/)
      assert.ok(!existsSync(place.repository))
    })

    it('when the server cannot be reached, or shows another host key', async t => {
      const place = await newOperator(t)
      const refused = `ssh://${userInfo().username}@127.0.0.1:${await holdPort()}${place.repository}`
      assertExit(await place.installHook({ STAGING_REMOTE_REPO: refused }), 3)
      writeFileSync(join(place.sshFolder, 'known_hosts'), '')
      for (const HOOK_BINARY of [undefined, program('post-receive')[0]]) {
        const { output } = assertExit(await place.installHook({ HOOK_BINARY }), 3)
        assert.match(output, /Host key verification failed/)
      }
    })

    it('when there is no binary for the machine that the server is', async t => {
      const place = await newOperator(t)
      await claimToBe('riscv64', place.folder)
      const refused = await place.installHook({ HOOK_BINARY: undefined })
      await sshd.restart({ setEnv: {} })
      const { output } = assertExit(refused, 2)
      assert.match(
        output,
        /^The server is linux-riscv64, and the hook for it, post-receive-linux-riscv64, is not here\.$/m,
      )
      assert.match(output, /^ {4}\/.*\/post-receive-linux-riscv64$/m)
      assert.match(output, /^To do: download post-receive-linux-riscv64 .*put it into \/.* or set HOOK_BINARY/m)
    })

    it('when it comes from the npm package, which has no hook', async t => {
      const place = await newOperator(t)
      const npm = join(place.folder, 'pushlive.cjs')
      bundleForNode('build/packages/npm.ts', '0.0.0', npm)
      const pushlive = [process.execPath, '--', npm, 'setup-ssh']
      const refused = await place.installHook({ HOOK_BINARY: undefined }, ['--hook', 'server.env'], pushlive)
      const { output } = assertExit(refused, 2)
      assert.match(
        output,
        /The package for Node has no hook[\s\S]*^To do: download [\s\S]*; then set HOOK_BINARY to its path$/m,
      )
      assertExit(await place.installHook({}, ['--hook', 'server.env'], pushlive), 0)
    })

    it('for options that do not go together', async t => {
      const place = await newOperator(t)
      const tries = [
        [['--hook', 'server.env', '--github', 'a/b'], /--hook does nothing about keys/],
        [['--hook', 'server.env', '--print-secrets', 'x'], /--hook does nothing about keys/],
        [['--keep-settings'], /--keep-settings goes with --hook/],
      ] as const
      for (const [args, message] of tries) {
        assert.match(assertExit(await place.installHook({}, args), 2).output, message)
      }
      assert.ok(!existsSync(place.repository))
    })

    it('when the hook does not run on the server', async t => {
      const place = await newOperator(t)
      const broken = join(place.operator, 'broken')
      writeFileSync(broken, '#!/nowhere/interpreter\n', { mode: 0o755 })
      const { output } = assertExit(await place.installHook({ HOOK_BINARY: broken }), 2)
      assert.match(output, /^\/.*\/broken does not run on the server: see above\.\nTo do: set HOOK_BINARY /m)
      assert.ok(!existsSync(place.repository))
    })
  })
})
