import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, relative } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import { type Ask, askRef, verbNames } from '../../scripts/lib/protocol/asks.ts'
import { waitFor } from '../lib/events.ts'
import { assertExit } from '../lib/exit.ts'
import { program, testsBinaries } from '../lib/programs.ts'
import { startServer } from '../lib/site.ts'
import { findFreePort, newKeyPair } from '../lib/sshd.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
const script = join(import.meta.dirname, '../../build/install-hook.ts')
const who = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
}

/** A login shell that greets, and knows nothing but words and single quotes. */
const shellOfFewWords = `
const words = [...process.argv[2].matchAll(/'([^']*)'|([^\\s']+)/g)].map(([, quoted, plain]) => quoted ?? plain)
console.log('Welcome!')
const { status } = require('node:child_process').spawnSync(words[0], words.slice(1), { stdio: 'inherit' })
process.exit(status)
`

/** A folder where a server is to be set up, and a clone that can be pushed to it. */
async function newPlace(t: TestContext, name = 'place') {
  const folder = mkdtempSync(join(tmpdir(), `${name}-`))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  const repository = join(folder, 'app.git')
  const workTree = join(folder, 'www')
  const clone = join(folder, 'clone')
  const settings = join(folder, 'server.env')
  const minimal = `PATH_TO_GIT_WORK_TREE="${workTree}"\nRESTART=\nINSTALL_DEPS=\nUPGRADE_DB=\n`
  writeFileSync(settings, minimal)
  const env = { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1', ...who }
  await $({ env })`git init --quiet --initial-branch=main ${clone}`
  const git = $({ env, cwd: clone, nothrow: true })
  await git`git commit --quiet --allow-empty --message ${'One'}`
  return {
    folder,
    repository,
    workTree,
    settings,
    minimal,
    git,
    serverGit: $({ env, cwd: repository, nothrow: true }),
    hook: join(repository, 'hooks/post-receive'),
    update: join(repository, 'hooks/update'),

    /** Runs `post-receive install` as somebody at the server does. */
    async install(args: readonly string[] = ['--settings', settings], changes: NodeJS.ProcessEnv = {}) {
      const run = zx({ quiet: true, nothrow: true, cwd: folder, env: { ...env, ...changes } })
      const { exitCode, stdout, stderr } = await run`${program('post-receive')} install ${repository} ${args}`
      return { exitCode, output: stdout + stderr }
    },

    /** Pushes as somebody who has access to the server. */
    async push(...refspecs: string[]) {
      const pushed = await git`git push --porcelain ${repository} ${refspecs}`
      return { isAccepted: pushed.ok, output: pushed.stdout + pushed.stderr }
    },

    commit: () => git`git commit --quiet --allow-empty --message ${'Another'}`,

    /** What is in each file of the repository, but for those that are git's alone. */
    contents() {
      const files = readdirSync(repository, { recursive: true, withFileTypes: true })
        .filter(file => file.isFile())
        .map(file => join(file.parentPath, file.name))
        .filter(file => !/\/(objects|branches|info|logs)\/|\.sample$/.test(file))
      return Object.fromEntries(
        files.map(file => [file, createHash('sha256').update(readFileSync(file)).digest('hex')]),
      )
    },
  }
}

describe('post-receive install', () => {
  for (const name of ['place', `it's a $place;`]) {
    it(`makes of nothing a repository that deploys (${name})`, async t => {
      const place = await newPlace(t, name)
      const { output } = assertExit(await place.install(), 0)
      assert.match(output, /^CREATING THE REPOSITORY .*\nCOPYING THE SETTINGS .*\nCOPYING THE HOOK .*\nPROTECTING /)
      assert.equal(statSync(join(place.repository, '.env')).mode & 0o777, 0o600)
      assert.equal((await place.serverGit`git symbolic-ref HEAD`).stdout, 'refs/heads/main\n')
      const commit = (await place.git`git rev-parse HEAD`).stdout.trim()
      const pushed = await place.push('HEAD:refs/heads/main')
      assert.match(pushed.output, new RegExp(`^remote: pushlive: ${commit} is live`, 'm'))
      assert.equal(readFileSync(join(place.repository, 'refs/deploy/main/live'), 'utf8').trim(), commit)
    })
  }

  it('can run again: it changes nothing that is as it should be, and leaves nothing beside it', async t => {
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

  it('replaces settings by those that are given, and keeps the old ones beside them', async t => {
    const place = await newPlace(t)
    await place.install()
    const env = join(place.repository, '.env')
    chmodSync(env, 0o644)
    writeFileSync(place.settings, `${place.minimal}NEW=1\n`)
    const kept = await place.install(['--settings', place.settings, '--keep-settings'])
    assert.match(kept.output, /KEEPING THE SETTINGS/)
    assert.equal(readFileSync(env, 'utf8'), place.minimal)
    assertExit(await place.install(), 0)
    assert.equal(readFileSync(env, 'utf8'), `${place.minimal}NEW=1\n`)
    assert.equal(readFileSync(`${env}.before`, 'utf8'), place.minimal)
    for (const file of [env, `${env}.before`]) assert.equal(statSync(file).mode & 0o777, 0o600)
  })

  it("keeps another hook, such as the seed's bash one, beside its own", async t => {
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    // That it names pushlive does not make it ours.
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

  it('goes on where an installation was killed', async t => {
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    for (const [file, kept] of [
      [place.hook, `${place.hook}.before`],
      [place.update, `${place.update}.local`],
    ] as const) {
      writeFileSync(file, '#!/bin/sh\n', { mode: 0o755 })
      linkSync(file, kept)
    }
    // No process has this number: it is beyond the kernel's greatest.
    const left = [`${place.hook}.pushlive-4194305`, join(place.repository, '.env.pushlive-4194305')]
    for (const file of left) writeFileSync(file, 'half')
    assertExit(await place.install(), 0)
    for (const file of left) assert.ok(!existsSync(file), file)
    assert.equal(readFileSync(`${place.hook}.before`, 'utf8'), '#!/bin/sh\n')
    assert.equal(readFileSync(`${place.update}.local`, 'utf8'), '#!/bin/sh\n')
    assert.ok((await place.push('HEAD:refs/heads/main')).isAccepted)
  })

  it('renews the hook while the old one deploys, which goes on', async t => {
    const place = await newPlace(t)
    const [begun, goOn] = [join(place.folder, 'begun'), join(place.folder, 'go-on')]
    const waits = `touch '${begun}'; until test -e '${goOn}'; do sleep 0.05; done`
    writeFileSync(place.settings, place.minimal.replace('INSTALL_DEPS=', `INSTALL_DEPS="${waits}"`))
    await place.install()
    const pushing = place.push('HEAD:refs/heads/main')
    await waitFor('the deployment begins', () => existsSync(begun))
    // What makes this program another one than that which is installed.
    const old = readFileSync(place.hook)
    rmSync(place.hook)
    writeFileSync(place.hook, Buffer.concat([old, Buffer.from('\n# older\n')]), { mode: 0o755 })
    const { output } = assertExit(await place.install(), 0)
    assert.match(output, /COPYING THE HOOK/)
    assert.ok(!existsSync(`${place.hook}.before`))
    assert.ok(readFileSync(place.hook).equals(old))
    writeFileSync(goOn, '')
    assert.match((await pushing).output, /is live/)
    await place.commit()
    assert.match((await place.push('HEAD:refs/heads/main')).output, /is live/)
  })

  it('takes back what 0.1.0 had hidden, and leaves what the user hides', async t => {
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

  it('replaces settings that are a link by a file of their own', async t => {
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

describe('post-receive install changes nothing, exits with 2 and says why', () => {
  type Place = Awaited<ReturnType<typeof newPlace>>
  const cases: Record<string, [prepare: (place: Place) => unknown, message: RegExp, args?: readonly string[]]> = {
    'where there are no settings': [() => {}, /There are no settings for the hook/, []],
    'where the settings that are named are not there': [
      () => {},
      /cannot be read: .*ENOENT/,
      ['--settings', '/nowhere/server.env'],
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
      /PATH_TO_GIT_WORK_TREE is not an absolute path: www/,
    ],
    'with a work tree that cannot be made': [
      place => writeFileSync(place.settings, `PATH_TO_GIT_WORK_TREE='${place.settings}/www'\n`),
      /PATH_TO_GIT_WORK_TREE cannot be made or written: .* which is a file/,
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
      /a\.\.b cannot be the name of a branch/,
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
        await place.serverGit`git config core.hooksPath /srv/hooks`
      },
      /looks for hooks in \/srv\/hooks/,
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

  it('and names all of it at once', async t => {
    const place = await newPlace(t)
    writeFileSync(place.settings, 'BRANCH_NAME=a..b\n')
    mkdirSync(place.repository)
    writeFileSync(join(place.repository, 'thesis.txt'), '')
    const { output } = await place.install()
    assert.match(output, /PATH_TO_GIT_WORK_TREE is missing[\s\S]*a\.\.b cannot be[\s\S]*is no bare repository/)
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
      [['--no-such'], /Unknown option '--no-such'/],
      [['second'], /takes one repository/],
    ] as const) {
      const { output } = assertExit(await place.install(args), 2)
      assert.match(output, message)
    }
  })
})

describe('hooks/update', () => {
  const id = '0123456789012345678901234567890123456789'
  const unique = '0123456789abcdef'

  for (const branch of ['main', 'release/1.x', `fix/a;b$(x)'q"`, '-lead', 'HEAD', 'é#%&{x}']) {
    it(`lets in the branch, new tags and asks, and nothing else (${branch})`, async t => {
      const place = await newPlace(t)
      const quote = branch.includes("'") ? '`' : "'"
      writeFileSync(place.settings, `${place.minimal}BRANCH_NAME=${quote}${branch}${quote}\n`)
      assertExit(await place.install(), 0)
      const accepts = async (...refspecs: string[]) => {
        const { isAccepted, output } = await place.push(...refspecs)
        assert.ok(isAccepted, output)
      }
      /** Each of them, and nothing has changed afterwards. */
      const refuses = async (refspecs: readonly string[], message: RegExp) => {
        const refs = async () => (await place.serverGit`git for-each-ref`).stdout
        const before = await refs()
        const { output } = await place.push(...refspecs)
        assert.equal(output.match(/^!\t/gm)?.length, refspecs.length, output)
        assert.equal(output.match(message)?.length, refspecs.length, output)
        assert.equal(await refs(), before)
      }

      await accepts(`HEAD:refs/heads/${branch}`, 'HEAD:refs/tags/v1', 'HEAD:refs/tags/v2')
      await place.commit()
      await accepts(`HEAD:refs/heads/${branch}`)
      await refuses(
        ['heads/other', `heads/${branch}x`, `heads/${branch}/x`, `heads/x${branch}`, 'notes/x', 'replace/x'].map(
          name => `HEAD:refs/${name}`,
        ),
        /^remote: Only .* can be pushed here, and new tags, not refs/gm,
      )
      await refuses(
        ['live', 'history', 'other'].map(name => `HEAD:refs/deploy/${branch}/${name}`),
        /\(deny updating a hidden ref\)/g,
      )
      await refuses([`:refs/heads/${branch}`], /deletion prohibited/g)
      await refuses(['+HEAD:refs/tags/v1', ':refs/tags/v2'], /^remote: A tag that is here can be neither moved nor/gm)
      await place.git`git commit --quiet --amend --allow-empty --message ${'Rewritten'}`
      await refuses([`+HEAD:refs/heads/${branch}`], /\(non-fast-forward\)/g)

      for (const verb of verbNames) await accepts(`HEAD:${askRef(branch, { verb, commit: id }, unique)}`)
      await accepts(`HEAD:${askRef(branch, { verb: 'rollback', commit: undefined }, unique)}`)
      const folder = `refs/deploy-ask/${branch}`
      await refuses(
        [
          'x',
          `deploy-${id}-${unique}/deeper`,
          `deploy-${id}-${unique}-more`,
          `deploy-${id}-UPPERCASE`,
          `deploy-${id}-short`,
          `deploy-${id.slice(1)}-${unique}`,
          `deploy-previous-${unique}`,
          `rollback-012-${unique}`,
          `rollback-${id}x-${unique}`,
          `destroy-${id}-${unique}`,
        ].map(name => `HEAD:${folder}/${name}`),
        /^remote: This is no way to ask for a deployment/gm,
      )
      await refuses(
        [folder, `refs/deploy-ask/other/deploy-${id}-${unique}`, `refs/deploy-ask/deploy-${id}-${unique}`].map(
          ref => `HEAD:${ref}`,
        ),
        /^remote: Only .* can be pushed here/gm,
      )
    })
  }

  it('lets nobody take an ask away, or put another in its place', async t => {
    const place = await newPlace(t)
    await place.install()
    await place.push('HEAD:refs/heads/main')
    // One whose hook was killed before it could remove it.
    const ref = askRef('main', { verb: 'again', commit: id }, unique)
    await place.serverGit`git update-ref ${ref} refs/heads/main`
    await place.commit()
    for (const refspec of [`:${ref}`, `HEAD:${ref}`]) {
      assert.match((await place.push(refspec)).output, /This is no way to ask for a deployment/)
    }
  })

  it('starts no process', async t => {
    const place = await newPlace(t)
    await place.install()
    const asked: Ask = { verb: 'deploy', commit: id }
    for (const [ref, old] of [
      ['refs/heads/main', id],
      ['refs/tags/v1', '0'.repeat(40)],
      [askRef('main', asked, unique), '0'.repeat(40)],
    ] as const) {
      const traced = await $({
        nothrow: true,
        cwd: place.repository,
      })`strace -f -qq -e trace=process hooks/update ${ref} ${old} ${id}`
      assertExit(traced, 0)
      assert.equal(traced.stderr.match(/execve\(/g)?.length, 1, traced.stderr)
      assert.doesNotMatch(traced.stderr, /fork|clone/)
    }
  })

  it('runs the update hook that was there after it, for the branch and for tags', async t => {
    const place = await newPlace(t)
    await $`git init --quiet --bare ${place.repository}`
    const own = '#!/bin/sh\necho "own: $1"\ncase $1 in *friday*) echo "not on a Friday" >&2; exit 1 ;; esac\n'
    writeFileSync(place.update, own, { mode: 0o755 })
    const { output } = assertExit(await place.install(), 0)
    assert.match(output, /another update hook was there: it is in .*update\.local, and runs after this one/)
    assertExit(await place.install(), 0)
    assert.equal(readFileSync(`${place.update}.local`, 'utf8'), own)

    const pushed = await place.push('HEAD:refs/heads/main', 'HEAD:refs/tags/v1')
    assert.match(pushed.output, /own: refs\/heads\/main[\s\S]*own: refs\/tags\/v1/)
    const refused = await place.push('HEAD:refs/tags/friday')
    assert.match(refused.output, /not on a Friday[\s\S]*hook declined/)
    const asked = await place.push(`HEAD:${askRef('main', { verb: 'check', commit: id }, unique)}`)
    assert.ok(asked.isAccepted)
    assert.doesNotMatch(asked.output, /own: /)
  })

  it('protects another branch, when the settings have come to name one', async t => {
    const place = await newPlace(t)
    await place.install()
    await place.push('HEAD:refs/heads/main')
    writeFileSync(place.settings, `${place.minimal}BRANCH_NAME="production" # from now on\n`)
    const { output } = await place.install()
    assert.match(output, /only production can be pushed/)
    await place.commit()
    assert.match((await place.push('HEAD:refs/heads/main')).output, /Only production can be pushed here/)
    assert.match((await place.push('HEAD:refs/heads/production')).output, /is live/)
  })
})

describe('install-hook', async () => {
  const server = await startServer({ after })
  const { sshd } = server

  /** Somebody who can log in to the server, with `server.env`, and with `.env` in their folder if they write one. */
  async function newOperator(t: TestContext, name?: string) {
    const place = await newPlace(t, name)
    const operator = join(place.folder, 'operator')
    mkdirSync(operator)
    writeFileSync(join(operator, 'server.env'), place.minimal)
    // Not in the place's folder, whose name may be one that ssh's configuration cannot hold.
    const sshFolder = mkdtempSync(join(sshd.folder, 'operator-'))
    const own = await newKeyPair(sshFolder)
    sshd.authorize(own.publicKey)
    const config = `Host *\n  Port ${sshd.port}\n  IdentityFile "${own.file}"\n  IdentitiesOnly yes\n  IdentityAgent none\n`
    writeFileSync(join(sshFolder, 'config'), config)
    writeFileSync(join(sshFolder, 'known_hosts'), sshd.knownHosts)
    const HOOK_BINARY = join(operator, 'hook')
    writeFileSync(HOOK_BINARY, `#!/bin/sh\nexec '${program('post-receive').join("' '")}' "$@"\n`, { mode: 0o755 })
    return {
      ...place,
      operator,
      sshFolder,
      url: `ssh://${sshd.user}@127.0.0.1:${sshd.port}${encodeURI(place.repository)}`,

      /** With a hook that has nothing to build, unless `HOOK_BINARY` is told otherwise. */
      async installHook(changes: NodeJS.ProcessEnv = {}) {
        const env = { PATH: process.env.PATH, HOME: operator, HOOK_BINARY, GIT_CONFIG_NOSYSTEM: '1' }
        const run = $({ cwd: operator, env: { ...env, STAGING_REMOTE_REPO: this.url, ...changes }, nothrow: true })
        const { exitCode, stdout, stderr } = await run`${process.execPath} -- ${script} --ssh-dir ${sshFolder}`
        return { exitCode, output: stdout + stderr }
      },
    }
  }

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

  it("keeps the server's settings, unless HOOK_ENV names others", async t => {
    const place = await newOperator(t)
    await place.installHook()
    const env = join(place.repository, '.env')
    writeFileSync(env, `${place.minimal}# changed on the server\n`)
    assert.match((await place.installHook()).output, /KEEPING THE SETTINGS/)
    assert.match(readFileSync(env, 'utf8'), /# changed on the server/)
    writeFileSync(join(place.operator, 'other.env'), `${place.minimal}NEW=1\n`)
    assertExit(await place.installHook({ HOOK_ENV: 'other.env' }), 0)
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
    // What a login shell prints, and one that has no functions, traps or brackets of sh's.
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
        [{ HOOK_ENV: 'nowhere.env' }, /HOOK_ENV is not there \(nowhere\.env\)/],
      ] as const
      for (const [changes, message] of tries) {
        const { output } = assertExit(await place.installHook(changes), 2)
        assert.match(output, message)
      }
      rmSync(join(place.operator, 'server.env'))
      const { output } = assertExit(await place.installHook(), 2)
      assert.match(output, /There are no settings for the hook/)
      assert.ok(!existsSync(place.repository))
    })

    it('when the server cannot be reached, or shows another host key', async t => {
      const place = await newOperator(t)
      const refused = `ssh://${userInfo().username}@127.0.0.1:${await findFreePort()}${place.repository}`
      assertExit(await place.installHook({ STAGING_REMOTE_REPO: refused }), 3)
      writeFileSync(join(place.sshFolder, 'known_hosts'), '')
      for (const HOOK_BINARY of [undefined, program('post-receive')[0]]) {
        const { output } = assertExit(await place.installHook({ HOOK_BINARY }), 3)
        assert.match(output, /Host key verification failed/)
      }
    })

    it('when there is no binary for the machine that the server is', async t => {
      const place = await newOperator(t)
      const programs = join(place.folder, 'programs')
      mkdirSync(programs)
      writeFileSync(join(programs, 'uname'), '#!/bin/sh\necho Linux riscv64\n', { mode: 0o755 })
      await sshd.restart({ setEnv: { PATH: `${programs}:${process.env.PATH}` } })
      const refused = await place.installHook({ HOOK_BINARY: undefined })
      await sshd.restart({ setEnv: {} })
      const { output } = assertExit(refused, 2)
      assert.match(output, /The server is linux-riscv64, and there is no hook for it in .*dist\./)
    })

    it('when the hook does not run on the server', async t => {
      const place = await newOperator(t)
      const broken = join(place.operator, 'broken')
      writeFileSync(broken, '#!/nowhere/interpreter\n', { mode: 0o755 })
      const { exitCode, output } = await place.installHook({ HOOK_BINARY: broken })
      assert.ok([126, 127].includes(exitCode ?? 0), output)
      assert.ok(!existsSync(place.repository))
    })
  })
})
