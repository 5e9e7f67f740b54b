import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { newPlace, type Place } from '../lib/place.ts'
import { program } from '../lib/programs.ts'
import { environmentOf } from '../lib/site.ts'
import type { CleansUp } from '../lib/sshd.ts'

const $ = zx({ quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })

type Wrong = readonly [line: string, problem: RegExp]

/** Of each setting the lines that are wrong, each with what is said about it. */
const wrong: Record<string, readonly Wrong[]> = {
  BRANCH_NAME: [
    ['BRANCH_NAME main', /^line \d \(BRANCH_NAME\) of the settings sets nothing: a setting is NAME=VALUE/],
    ['BRANCH_NAME=a..b', /^BRANCH_NAME is not a name that git allows for a branch/],
  ],
  ACCEPT: [
    ['ACCEPT=all', /^ACCEPT is neither forward nor any: `forward`, where the branch only grows/],
    ['ACEPT=any', /^ACEPT is no setting of pushlive\. To do: rename it to ACCEPT/],
  ],
  PATH_TO_GIT_WORK_TREE: [
    ['PATH_TO_GIT_WORK_TREE=www', /^PATH_TO_GIT_WORK_TREE is not an absolute path \(www\)/],
    ['PATH_TO_GIT_WORK_TREE=/proc/version/www', /^PATH_TO_GIT_WORK_TREE cannot be made .* \/proc\/version is a file/],
    ['PATH_TO_GIT_WORK_TREE=REPOSITORY/www', /^PATH_TO_GIT_WORK_TREE .* lie in one another/],
  ],
  RELEASES: [
    ['RELEASES=2', /^RELEASES is 2: a deployment that fails/],
    ['RELASES=3', /^RELASES is no setting of pushlive\. To do: rename it to RELEASES/],
    ['RELEASES=0x3', /^RELEASES is not 1, nor a number/],
    ['releases=3', /^releases is no setting of pushlive\. To do: rename it to RELEASES/],
  ],
  SHARED_PATHS: [
    ['SHARED_PATHS=instance,media', /^SHARED_PATHS names instance,media: is a quote missing/],
    ['SHARED_PATHS=/srv/media', /^SHARED_PATHS names \/srv\/media, which is not a path inside/],
    ['SHARED_PATHS="media media/uploads"', /^SHARED_PATHS names media, and media\/uploads/],
  ],
  KEEP_PATHS: [
    ['KEEP_PATHS=../node_modules', /^KEEP_PATHS names \.\.\/node_modules/],
    ['KEEP_PATHS=caf\xe9', /^KEEP_PATHS is not UTF-8\. To do: save the settings as UTF-8/],
  ],
  PATH_TO_VENV: [
    ['PATH_TO_VENV=~/venv', /^PATH_TO_VENV has ~ or \$ in it/],
    ['PATH_TO_VENV=/nowhere', /^PATH_TO_VENV \(\/nowhere\) is no virtual environment/],
    ['PATH_TO_VENV=.', /^PATH_TO_VENV \(\.\) is the release itself/],
    ['PATH_TO_VENV=$HOME/venv', /^PATH_TO_VENV has ~ or \$ in it/],
  ],
  RESTART: [
    ['', /^RESTART and PATH_TO_WSGI are missing, .* or empty, which is right for static files and PHP/],
    ['PATH_TO_WSGI=/nowhere/wsgi.py', /^PATH_TO_WSGI \(\/nowhere\/wsgi\.py\) is not there/],
    ['RESTART="echo "a # b" c"', /^RESTART has quotes in quotes, and would end at the #/],
  ],
  INSTALL_DEPS: [
    ['INSTALL_DEPS="sh -c \\"make\\""', /^INSTALL_DEPS has quotes in quotes, and keeps the backslash .* another kind/],
    ["INSTALL_DEPS='echo '\\''a'\\'''", /^INSTALL_DEPS has quotes in quotes, and keeps the backslash/],
    ['INSTALL_DEPS=make#all', /^INSTALL_DEPS would end at the #/],
  ],
  DOWNGRADE_DB: [['DOWNGRADE_DB=x', /^DB_REVISION is missing: .*DOWNGRADE_DB has nowhere to go/]],
  HEALTH_CHECK_URL: [
    ['HEALTH_CHECK_URL=foo', /^HEALTH_CHECK_URL is not an http URL/],
    ['HEALTHCHECK_URL=http://127.0.0.1:1/', /^HEALTHCHECK_URL .* rename it to HEALTH_CHECK_URL; if you mean both/],
    ['HEALTH_CHECK_URL=unix:/run/x', /^HEALTH_CHECK_URL is not an http URL/],
    ['HEALTH_CEHCK_URL=http://127.0.0.1:1/', /^HEALTH_CEHCK_URL .* rename it to HEALTH_CHECK_URL/],
  ],
  HEALTH_CHECK_TIMEOUT: [['HEALTH_CHECK_TIMEOUT=-1', /^HEALTH_CHECK_TIMEOUT is not a number of seconds/]],
  STEP_TIMEOUT: [
    ['STEP_TIMEOUT=abc', /^STEP_TIMEOUT is not a number of seconds/],
    ['STEP_TIMEOUT=99999999', /^STEP_TIMEOUT is not a number of seconds/],
  ],
  PATH: [
    ['PATH=/opt/x/bin:$PATH', /^PATH has ~ or \$ in it, which no shell replaces here\. To do: write all/],
    ['PATH=~/.local/bin:/usr/bin:/bin', /^PATH has ~ or \$ in it/],
  ],
  BUILD: [
    ["BUILD='npm run build", /^BUILD begins with a quote that is not closed/],
    ['BUILD=`npm run build\nVERIFY=x`', /^BUILD ends only behind VERIFY\. To do: close its quote/],
  ],
}

describe('Settings', async () => {
  const place = await newPlace({ after })
  assertExit(await place.install(), 0)
  const longest = Math.max(...Object.values(wrong).map(({ length }) => length))
  for (const index of Array.from({ length: longest }, (_, index) => index)) {
    it(`that are wrong are named alike by install, check and a push, all at once (${index + 1})`, async () => {
      const right = { PATH_TO_GIT_WORK_TREE: `PATH_TO_GIT_WORK_TREE=${place.workTree}`, RESTART: 'RESTART=' }
      const chosen = Object.entries(wrong).flatMap(([name, { [index]: row }]) => (row ? [[name, row] as const] : []))
      const lines = { ...right, ...Object.fromEntries(chosen.map(([name, [line]]) => [name, line])) }
      const text = `${Object.values(lines).join('\n')}\n`.replace('REPOSITORY', place.repository)
      const problems = await findProblems(place, text)
      for (const [, [line, problem]] of chosen) {
        const found = problems.filter(each => problem.test(each))
        assert.equal(found.length, 1, `${line}: ${problem}\n${problems.join('\n')}`)
      }
      assert.equal(problems.length, chosen.length, problems.join('\n'))
    })
  }

  it('that are right, and what only looks odd, are taken by all three', async () => {
    const lines = [
      '# a comment',
      place.minimal,
      "export SECRET='-----BEGIN KEY-----",
      'b3BlbnNzaC1rZXk',
      "-----END KEY-----' # a comment",
      'BUILD="echo "a" b" # quotes in quotes',
      'VERIFY="/bin/echo" a',
      'HEALTH_CHECK_URL=',
      'HEALTHCHECK_URL=https://hc.example.org/ping',
      'BUILDER=docker',
      'ACCEPT=any',
      'NODE_ENV: production',
    ]
    assert.deepEqual(await findProblems(place, lines.join('\r\n')), [])
  })
})

describe('A place where no rename can lead a link to a release', async () => {
  const place = await newPlace({ after })
  assertExit(await place.install(), 0)
  const skip = process.getuid?.() === 0 ? false : 'only root may mount file systems'
  const mount = async (folder: string, t: CleansUp) => {
    mkdirSync(folder, { recursive: true })
    await $`mount -t tmpfs -o size=1m tmpfs ${folder}`
    // With all that is mounted in it.
    t.after(async () => {
      await $`umount --lazy ${folder}`
    })
  }
  const places: Record<
    string,
    readonly [prepare: (workTree: string, t: CleansUp) => unknown, problem: RegExp, skip: string | false]
  > = {
    'a mount point': [mount, /mounted\/www is a mount point\. To do: mount the folder above it/, skip],
    "another repository's work tree": [
      async (workTree, t) => {
        const other = await newPlace(t, 'other')
        writeFileSync(other.settings, other.minimal.replace(other.workTree, workTree))
        assertExit(await other.install(), 0)
        await other.push('HEAD:refs/heads/main')
      },
      /www belongs to another repository, .*app\.git\. To do: give each .*: rm .*, or change/,
      false,
    ],
    'a folder whose releases are on another disk': [
      (workTree, t) => mount(`${workTree}.releases`, t),
      /www\.releases is on another file system than .*\. To do: have both on one/,
      skip,
    ],
    "another program's link": [
      workTree => symlinkSync('releases/2026', workTree),
      /www is a link to releases\/2026, which is no release\. To do: move it away/,
      false,
    ],
  }
  for (const [name, [prepare, problem, skip]] of Object.entries(places)) {
    it(`is named by all three, before anything is done: ${name}`, { skip }, async t => {
      const workTree = join(place.folder, name.replaceAll(/\W/g, '-'), 'mounted/www')
      mkdirSync(dirname(workTree), { recursive: true })
      await prepare(workTree, t)
      const list = () => readdirSync(dirname(workTree), { recursive: true })
      const before = list()
      const text = `${place.minimal.replace(/.*\n/, `PATH_TO_GIT_WORK_TREE='${workTree}'\n`)}RELEASES=3\n`
      const problems = await findProblems(place, text)
      assert.equal(problems.length, 1)
      assert.match(problems[0] ?? '', problem)
      assert.deepEqual(list(), before)
    })
  }

  it('is told where nothing tells before: the lower layer of an overlay', { skip }, async t => {
    const disk = join(place.folder, 'disk')
    await mount(disk, t)
    for (const each of ['lower/www', 'upper', 'work', 'merged']) mkdirSync(join(disk, each), { recursive: true })
    writeFileSync(join(disk, 'lower/www/page.txt'), 'one')
    const layers = ['lower', 'upper', 'work'].map(each => `${each}dir=${join(disk, each)}`).join(',')
    const merged = join(disk, 'merged')
    await $`mount -t overlay overlay -o ${layers} ${merged}`
    const text = `${place.minimal.replace(/.*\n/, `PATH_TO_GIT_WORK_TREE='${merged}/www'\n`)}RELEASES=3\n`
    writeFileSync(join(place.repository, '.env'), text)
    await place.commit()
    const { output } = await place.push('HEAD:refs/heads/main')
    assert.match(output, /merged\/www cannot be renamed\.[\s\S]*EXDEV[\s\S]*To do: copy it \(cp -a\)/)
    assert.match(output, / is not live: /)
    assert.deepEqual(readdirSync(join(merged, 'www')), ['page.txt'])
    assert.deepEqual(readdirSync(join(merged, 'www.releases')), [])
  })
})

/** What install, check and a push say of the settings, which is the same. A push deploys where there is nothing. */
async function findProblems(place: Place, text: string): Promise<string[]> {
  writeFileSync(place.settings, text, 'latin1')
  const installed = await place.install()
  const problems = installed.output.split('\n').flatMap(line => /^ {4}(.*)$/.exec(line)?.[1] ?? [])
  assert.equal(installed.exitCode, problems.length > 0 ? 2 : 0, installed.output)
  writeFileSync(join(place.repository, '.env'), text, 'latin1')

  const env = { ...environmentOf(place.folder), STAGING_REMOTE_REPO: place.repository, BRANCH_NAME: 'main' }
  const checking = zx({ cwd: join(place.folder, 'clone'), env, quiet: true, nothrow: true })
  const checked = await checking`${program('deploy')} check --json`
  const wrong: { what: string; ok: boolean; found: string; toDo: string | null }[] = JSON.parse(checked.stdout).checks
  const found = wrong.filter(({ what, ok }) => !ok && what === 'settings of the hook')
  assert.equal(found.length, problems.length, checked.stdout)
  for (const [index, { found: said, toDo }] of found.entries()) {
    const problem = `${problems[index]}`
    const [what = '', fix = `correct it in ${place.repository}/.env`] = problem.split(' To do: ')
    assert.deepEqual([said, toDo], [what.replace(/\.$/, ''), fix.replace(/\.$/, '')])
  }
  assert.equal(checked.exitCode, problems.length > 0 ? 1 : 0, checked.stdout)

  await place.commit()
  const { output } = await place.push('HEAD:refs/heads/main')
  const pushed = output.split('\n').flatMap(line => /^remote: {5}(.*?) *$/.exec(line)?.[1] ?? [])
  assert.deepEqual(problems.length > 0 ? pushed : [], problems)
  assert.match(output, problems.length > 0 ? / is not live: / : / is live:/)
  // In a CI's summary there is nothing else.
  const verdict = output.split('\n').find(line => line.includes(' is not live: ')) ?? ''
  for (const problem of problems) assert.ok(verdict.includes(problem.slice(0, 60)), verdict)
  return problems
}
