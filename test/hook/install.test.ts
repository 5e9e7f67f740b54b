import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { describe, it, test } from 'node:test'
import { $ as zx } from 'zx/core'
import { placeProgram } from '../../scripts/lib/hook/install/hook-files.ts'
import { findSharedHook } from '../../scripts/lib/hook/install/shared-hook.ts'
import { askRef } from '../../scripts/lib/protocol/asks.ts'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { newPlace, type Place } from '../lib/place.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

describe('post-receive install', () => {
  for (const name of ['place', `it's a $place;`]) {
    it(`creates a repository that deploys (${name})`, async t => {
      const place = await newPlace(t, name)
      const { output } = assertExit(await place.install(), 0)
      assert.match(
        output,
        /^CREATING THE REPOSITORY .*\nCOPYING THE SETTINGS .*\nCOPYING THE HOOK .*\nLINKING THE HOOK .*\nPROTECTING /,
      )
      assert.equal(statSync(join(place.repository, '.env')).mode & 0o777, 0o600)
      assert.equal((await place.serverGit`git symbolic-ref HEAD`).stdout, 'refs/heads/main\n')
      assert.equal((await place.serverGit`git config core.fsync`).stdout, 'committed\n')
      const commit = (await place.git`git rev-parse HEAD`).stdout.trim()
      const pushed = await place.push('HEAD:refs/heads/main')
      assert.match(pushed.output, new RegExp(`^remote: pushlive: ${commit} is live`, 'm'))
      assert.equal(readFileSync(join(place.repository, 'refs/deploy/main/live'), 'utf8').trim(), commit)
    })
  }

  it('can run again: it changes nothing that is right already, and leaves no other file', async t => {
    const place = await newPlace(t)
    await place.install()
    const before = place.contents()
    const hook = statSync(place.hook)
    for (const args of [['--settings', place.settings], [], ['--branch', 'main']]) {
      const { output } = assertExit(await place.install(args), 0)
      for (const what of ['REPOSITORY', 'SETTINGS', 'HOOK']) assert.match(output, new RegExp(`KEEPING THE ${what}`))
    }
    assert.deepEqual(place.contents(), before)
    assert.equal(statSync(place.hook).ino, hook.ino)
  })

  it('lets pushes in also where somebody has checked the branch out beside it', async t => {
    const place = await newPlace(t)
    await place.install()
    await place.push('HEAD:refs/heads/main')
    assertExit(await place.serverGit`git worktree add ${join(place.folder, 'checked-out')} main`, 0)
    await place.commit()
    const { isAccepted, output } = await place.push('HEAD:refs/heads/main')
    assert.ok(isAccepted, output)
  })

  it('replaces the settings by the given ones, and keeps the old ones beside them', async t => {
    const place = await newPlace(t)
    await place.install()
    const env = join(place.repository, '.env')
    chmodSync(env, 0o644)
    writeFileSync(place.settings, `${place.minimal}NEW=1\n`)
    const kept = await place.install(['--settings', place.settings, '--keep-settings'])
    assert.match(kept.output, /KEEPING THE SETTINGS/)
    assert.equal(readFileSync(env, 'utf8'), place.minimal)
    assert.equal(statSync(env).mode & 0o777, 0o600)
    assertExit(await place.install(), 0)
    assert.equal(readFileSync(env, 'utf8'), `${place.minimal}NEW=1\n`)
    assert.equal(readFileSync(`${env}.before`, 'utf8'), place.minimal)
    for (const file of [env, `${env}.before`]) assert.equal(statSync(file).mode & 0o777, 0o600)
  })

  it("keeps another hook, such as the seed's bash one, beside its own", async t => {
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    // It names pushlive, but is not ours.
    const bashHook = '#!/bin/bash\n# before pushlive post-receive\nGIT_WORK_TREE=/srv git checkout -f\n'
    writeFileSync(place.hook, bashHook, { mode: 0o755 })
    const { output } = assertExit(await place.install(), 0)
    assert.match(output, /another hook was there: it is in .*post-receive\.before/)
    assert.equal(readFileSync(`${place.hook}.before`, 'utf8'), bashHook)
    assertExit(await place.install(), 0)
    assert.equal(readFileSync(`${place.hook}.before`, 'utf8'), bashHook)

    writeFileSync(place.hook, '#!/bin/sh\n# a third\n')
    const refused = assertExit(await place.install(), 2)
    assert.match(refused.output, /post-receive is another hook, and post-receive\.before is there already/)
    assert.equal(readFileSync(place.hook, 'utf8'), '#!/bin/sh\n# a third\n')
  })

  it('completes an installation that was killed', async t => {
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    for (const [file, kept] of [
      [place.hook, `${place.hook}.before`],
      [place.update, `${place.update}.local`],
    ] as const) {
      writeFileSync(file, '#!/bin/sh\n', { mode: 0o755 })
      linkSync(file, kept)
    }
    // No process has this number: it is greater than the kernel's greatest.
    const left = [`${place.hook}.pushlive-4194305`, join(place.repository, '.env.pushlive-4194305')]
    for (const file of left) writeFileSync(file, 'half')
    // Of a `git config` and a `git update-ref` that were killed.
    mkdirSync(join(place.repository, 'refs/deploy/main'), { recursive: true })
    for (const locked of ['config', 'refs/deploy/main/hook']) {
      writeFileSync(join(place.repository, `${locked}.lock`), '')
    }
    assertExit(await place.install(), 0)
    for (const file of left) assert.ok(!existsSync(file), file)
    assert.equal(readFileSync(`${place.hook}.before`, 'utf8'), '#!/bin/sh\n')
    assert.equal(readFileSync(`${place.update}.local`, 'utf8'), '#!/bin/sh\n')
    assert.ok((await place.push('HEAD:refs/heads/main')).isAccepted)
  })

  it('makes the repository where an installation was killed in the middle of that', async t => {
    const place = await newPlace(t)
    const half = `${place.repository}.pushlive-4194305`
    mkdirSync(join(half, 'refs'), { recursive: true })
    assertExit(await place.install(), 0)
    assert.ok(!existsSync(half))
    assert.ok((await place.push('HEAD:refs/heads/main')).isAccepted)
  })

  it('updates the hook during a deployment, which continues', async t => {
    const place = await newPlace(t)
    const [begun, goOn] = [join(place.folder, 'begun'), join(place.folder, 'go-on')]
    const waits = `touch '${begun}'; until test -e '${goOn}'; do sleep 0.05; done`
    writeFileSync(place.settings, place.minimal.replace('INSTALL_DEPS=', `INSTALL_DEPS="${waits}"`))
    await place.install()
    const pushing = place.push('HEAD:refs/heads/main')
    await waitFor('the deployment begins', () => existsSync(begun))
    // Now the installed program differs from this one.
    const old = readFileSync(place.sharedHook)
    rmSync(place.sharedHook)
    writeFileSync(place.sharedHook, Buffer.concat([old, Buffer.from('\n# older\n')]), { mode: 0o755 })
    const { output } = assertExit(await place.install(), 0)
    assert.match(output, /COPYING THE HOOK .*\n {2}it was .*: all repositories of \S+ that link to it have /)
    assert.ok(!existsSync(`${place.hook}.before`))
    assert.ok(readFileSync(place.hook).equals(old))
    writeFileSync(goOn, '')
    assert.match((await pushing).output, /is live/)
    await place.commit()
    assert.match((await place.push('HEAD:refs/heads/main')).output, /is live/)
  })

  it('removes what 0.1.0 had hidden, and keeps what the user hides', async t => {
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    const old = ['refs', '!refs/heads/main', '!refs/tags', '!refs/deploy-request/main', '!refs/deploy-check/main']
    for (const ref of [...old, 'refs/pull']) await place.serverGit`git config --add receive.hideRefs ${ref}`
    for (let time = 1; time <= 2; time++) {
      assertExit(await place.install(), 0)
      const { stdout } = await place.serverGit`git config --get-all receive.hideRefs`
      assert.equal(stdout, 'refs/pull\nrefs/deploy\n')
    }
  })

  it('names the commands that nobody has set, and what the branch lacks for them', async t => {
    const place = await newPlace(t)
    writeFileSync(place.settings, place.minimal.replaceAll(/^(INSTALL|UPGRADE).*\n/gm, ''))
    const before = assertExit(await place.install(), 0)
    assert.match(before.output, /^TO DO in .*: INSTALL_DEPS and UPGRADE_DB are not set: the Makefile has to have/m)
    await place.push('HEAD:refs/heads/main')
    const { output } = assertExit(await place.install(), 0)
    assert.match(
      output,
      /^TO DO in .*: INSTALL_DEPS and UPGRADE_DB are not set, and \w+ has no Makefile\. To do: set /m,
    )
  })

  it('replaces a link in place of the settings by a file', async t => {
    const place = await newPlace(t)
    await place.install()
    const elsewhere = join(place.folder, 'elsewhere.env')
    writeFileSync(elsewhere, place.minimal)
    const env = join(place.repository, '.env')
    rmSync(env)
    symlinkSync(elsewhere, env)
    assertExit(await place.install([]), 0)
    writeFileSync(place.settings, `${place.minimal}NEW=1\n`)
    assertExit(await place.install(), 0)
    assert.equal(readFileSync(elsewhere, 'utf8'), place.minimal)
    assert.equal(readFileSync(env, 'utf8'), `${place.minimal}NEW=1\n`)
  })
})

test('A hook that does not run where it is to be is not placed there', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'hook-files-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const hook = join(folder, 'post-receive')
  writeFileSync(hook, 'old')
  const [, program = ''] = process.argv
  t.after(() => (process.argv[1] = program))
  process.argv[1] = '/nowhere/post-receive.ts'
  await assert.rejects(placeProgram(hook), { message: /^The hook does not run in / })
  assert.equal(readFileSync(hook, 'utf8'), 'old')
  assert.deepEqual(readdirSync(folder), ['post-receive'])
})

describe('The hooks of a login', () => {
  it('are one file, to which its repositories link, also those that had a copy; a link that leads nowhere is named', async t => {
    const place = await newPlace(t)
    await place.install()
    const copied = join(place.folder, 'copied.git')
    await $`git init --quiet --bare ${copied} && cp -L ${place.hook} ${copied}/hooks`
    const other = assertExit(await place.installInto(copied, ['--settings', place.settings]), 0)
    assert.match(other.output, /^KEEPING THE REPOSITORY .*\nCOPYING THE SETTINGS .*\nLINKING THE HOOK .*\nPROTECTING /m)
    for (const repository of [place.repository, copied]) {
      assert.equal(readlinkSync(join(repository, 'hooks/post-receive')), place.sharedHook)
    }
    assert.equal(statSync(place.sharedHook).mode & 0o777, 0o755)
    rmSync(place.sharedHook)
    const commit = (await place.git`git rev-parse HEAD`).stdout.trim()
    const ask = (id: string) => `${commit}:${askRef('main', { verb: 'deploy', commit }, id)}`
    const { output } = await place.push('HEAD:refs/heads/main', ask('install00000001'))
    assert.match(
      output,
      /hooks\/post-receive leads to a file that is not there, so nothing is deployed\. To do: on the server/,
    )
    const again = assertExit(await place.install(), 0)
    assert.match(again.output, /hooks\/post-receive was a link to .*, which is not there\nCOPYING THE HOOK/)
    assert.match((await place.push(ask('install00000002'))).output, /is live/)
  })

  it('may be of a newer version, which is said; what was written through a link is kept', async t => {
    const place = await newPlace(t)
    await place.install()
    const newer = '#!/bin/sh\n# pushlive post-receive, run from its source.\necho "pushlive post-receive 99.1 (abc)"\n'
    writeFileSync(place.sharedHook, newer)
    assert.match(assertExit(await place.install(), 0).output, /^ {2}it was 99\.1 \(abc\).*: all repositories of /m)
    writeFileSync(place.hook, '#!/bin/sh\nexit 1\n')
    assert.match(assertExit(await place.install(), 0).output, /another hook was there: it is in .*post-receive\.before/)
    assert.equal(readFileSync(`${place.hook}.before`, 'utf8'), '#!/bin/sh\nexit 1\n')
    assert.match((await place.push('HEAD:refs/heads/main')).output, /is live/)
  })

  it('are copies where others can write the home folder or the repository, or where that cannot have it', async t => {
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    const local = join(place.folder, '.local')
    writeFileSync(local, '')
    const { output } = assertExit(await place.install(), 0)
    assert.match(
      output,
      /^COPYING THE HOOK .*app\.git\/hooks\/post-receive\) .*\n {2}a copy of its own: \S+ cannot write .*\.local,/m,
    )
    assert.ok(lstatSync(place.hook).isFile())
    assert.match(assertExit(await place.install(), 0).output, /^KEEPING THE HOOK/m)

    const { HOME } = process.env
    t.after(() => Object.assign(process.env, { HOME }))
    const whyAt = (home: string) => {
      process.env.HOME = home
      return findSharedHook(place.repository, place.hook).why ?? ''
    }
    rmSync(local)
    assert.deepEqual(['', 'home', '/nowhere', place.folder].map(whyAt).map(Boolean), [true, true, true, false])
    mkdirSync(join(local, 'lib/pushlive'), { recursive: true })
    for (const folder of [local, join(local, 'lib/pushlive'), place.repository]) {
      const { mode } = statSync(folder)
      chmodSync(folder, 0o777)
      assert.match(whyAt(place.folder), new RegExp(`^others than \\S+ can write ${folder}$`))
      chmodSync(folder, mode)
    }
    writeFileSync(place.sharedHook, '#!/bin/sh\n', { mode: 0o755 })
    assert.match(whyAt(place.folder), /post-receive is another program$/)
    rmSync(place.sharedHook)
    assert.equal(whyAt(place.folder), '')
  })
})

describe('post-receive install changes nothing, exits with 2 and says why', () => {
  const cases: Record<string, [prepare: (place: Place) => unknown, message: RegExp, args?: readonly string[]]> = {
    'where there are no settings': [() => {}, /There are no settings for the hook/, []],
    'where the settings that are named are not there': [
      () => {},
      /\/nowhere\/server\.env cannot be read\. .*ENOENT/,
      ['--settings', '/nowhere/server.env'],
    ],
    'where a # would cut a setting': [
      place => writeFileSync(place.settings, `${place.minimal}PASSWORD=ab#cd\n`),
      /PASSWORD would end at the #\. To do: put the value in quotes/,
    ],
    'where .env is a folder': [
      async place => {
        await $`git init --quiet --bare ${place.repository}`
        mkdirSync(join(place.repository, '.env'))
      },
      /\.env is a folder/,
    ],
    'without PATH_TO_GIT_WORK_TREE': [
      place => writeFileSync(place.settings, 'A=1\n'),
      /PATH_TO_GIT_WORK_TREE is missing/,
    ],
    'with a work tree whose path is not absolute': [
      place => writeFileSync(place.settings, 'PATH_TO_GIT_WORK_TREE=www\n'),
      /PATH_TO_GIT_WORK_TREE is not an absolute path \(www\)/,
    ],
    'with a work tree that cannot be made': [
      place => writeFileSync(place.settings, `PATH_TO_GIT_WORK_TREE='${place.settings}/www'\n`),
      /PATH_TO_GIT_WORK_TREE cannot be made or written: .*server\.env is a file/,
    ],
    'with a work tree that is the repository': [
      place => writeFileSync(place.settings, `PATH_TO_GIT_WORK_TREE='${place.repository}'\n`),
      /lie in one another/,
    ],
    'with a work tree that a link leads into the repository': [
      place => {
        symlinkSync(place.folder, join(place.folder, 'link'))
        writeFileSync(place.settings, `PATH_TO_GIT_WORK_TREE='${place.folder}/link/app.git/www'\n`)
      },
      /lie in one another/,
    ],
    'with a name that no branch can have': [
      place => writeFileSync(place.settings, `${place.minimal}BRANCH_NAME=a..b\n`),
      /BRANCH_NAME is not a name that git allows for a branch/,
    ],
    'where another branch will be pushed than the settings name': [
      () => {},
      /main is the branch that is deployed here, and not production/,
      ['--settings=SETTINGS', '--branch=production'],
    ],
    'where the hook would not find its programs': [
      place => writeFileSync(place.settings, `${place.minimal}PATH='${place.folder}'\n`),
      /There is no git on the PATH [\s\S]*There is no bash on the PATH [\s\S]*There is no flock on the PATH /,
    ],
    'where the folder holds something else': [
      place => {
        mkdirSync(place.repository)
        writeFileSync(join(place.repository, 'thesis.txt'), '')
      },
      /is no bare repository/,
    ],
    'where it is a repository with a work tree': [
      place => $`git init --quiet ${place.repository}`,
      /is no bare repository/,
    ],
    'where a file has its path': [place => writeFileSync(place.repository, ''), /is no folder that/],
    'where git looks for hooks elsewhere': [
      async place => {
        await $`git init --quiet --bare ${place.repository}`
        await place.serverGit`git config --global core.hooksPath /srv/hooks`
      },
      /looks for hooks in \/srv\/hooks.*unset core\.hooksPath for the user/,
    ],
    'where two update hooks are there already': [
      async place => {
        await $`git init --quiet --bare ${place.repository}`
        writeFileSync(place.update, '#!/bin/sh\n')
        writeFileSync(`${place.update}.local`, '#!/bin/sh\n')
      },
      /another update hook, and update\.local is there too/,
    ],
  }
  for (const [name, [prepare, message, args]] of Object.entries(cases)) {
    it(name, async t => {
      const place = await newPlace(t)
      await prepare(place)
      const list = async () => (await $`find ${place.folder} -path '*/clone' -prune -o -printf '%p %T@ %s\n'`).stdout
      const before = await list()
      const { output } = assertExit(await place.install(args?.map(arg => arg.replace('SETTINGS', place.settings))), 2)
      assert.match(output, message)
      assert.equal(await list(), before)
    })
  }

  it('and reports everything at once', async t => {
    const place = await newPlace(t)
    writeFileSync(place.settings, 'BRANCH_NAME=a..b\n')
    mkdirSync(place.repository)
    writeFileSync(join(place.repository, 'thesis.txt'), '')
    const { output } = await place.install()
    assert.match(output, /BRANCH_NAME is not a name[\s\S]*PATH_TO_GIT_WORK_TREE is missing[\s\S]*is no bare repository/)
  })

  it('where git would refuse the pushes, or the user cannot write', async t => {
    if (userInfo().uid !== 0) return t.skip('only root can give a folder away')
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    await $`chown -R nobody ${place.repository}`
    const { output } = assertExit(await place.install(), 2)
    assert.match(output, /no bare repository that git lets root use: [\s\S]*dubious ownership/)
  })

  it('for other arguments', async t => {
    const place = await newPlace(t)
    for (const [args, message] of [
      [['--no-such'], /has no option --no-such/],
      [['second'], /takes one repository/],
    ] as const) {
      const { output } = assertExit(await place.install(args), 2)
      assert.match(output, message)
    }
  })
})
