import assert from 'node:assert/strict'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { check } from '../lib/checks.ts'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

const releases = (site: Site) => `${site.workTree}.releases`
/** The page as the web server finds it. */
const served = (site: Site) => site.read('page.txt')
const servedRelease = (site: Site) => Number(readlinkSync(site.workTree).split('/').at(-1))

/** Steps that record where they ran, and fail where the page says so. */
const recording = {
  RELEASES: '3',
  SMOKE_TEST: '',
  INSTALL_DEPS: 'echo "install $PWD" >> "$STEPS"; ! grep -q install-fails page.txt',
  UPGRADE_DB: 'echo "upgrade $PWD" >> "$STEPS"; ! grep -q upgrade-fails page.txt',
  RESTART: 'echo "restart $PWD" >> "$STEPS"; ! grep -q restart-fails page.txt',
}

describe('With RELEASES=3', async () => {
  const { newSite } = await startServer({ after })

  async function newSiteWithReleases(t: Parameters<typeof newSite>[0], settings: Record<string, string> = {}) {
    const site = await newSite(t)
    site.configure({ ...recording, ...settings })
    return site
  }

  /** Commits a page, deploys it, and returns the commit. */
  async function deployPage(site: Site, page: string, expected = 0) {
    const commit = await site.commit({ 'page.txt': page })
    const { output } = assertExit(await site.deploy(), expected)
    return { commit, output }
  }

  it('each commit gets a release of its own, the link leads to it, and the steps run at its real path', async t => {
    const site = await newSiteWithReleases(t)
    for (const number of [1, 2, 3, 1, 2]) {
      await deployPage(site, `page ${Math.random()}`)
      assert.equal(servedRelease(site), number)
      const path = join(releases(site), String(number))
      assert.deepEqual(site.steps(), [`install ${path}`, `upgrade ${path}`, `restart ${path}`])
    }
  })

  for (const step of ['install', 'upgrade']) {
    it(`a failing ${step} changes nothing in the live release, and nothing has to be put back`, async t => {
      const site = await newSiteWithReleases(t)
      const good = await deployPage(site, 'good')
      site.steps()
      const { output } = await deployPage(site, `${step}-fails`, 1)
      assert.match(output, new RegExp(`${good.commit} is live as before`))
      assert.doesNotMatch(output, /PUTTING BACK/)
      assert.equal(served(site), 'good')
      assert.equal(site.steps().filter(each => each.startsWith('restart')).length, 0)
      assert.equal(output.includes('The database was left as it is'), step === 'upgrade', output)
    })
  }

  it('after a failing restart the link leads to the previous release again, which is restarted', async t => {
    const site = await newSiteWithReleases(t)
    const good = await deployPage(site, 'good')
    site.steps()
    const { output } = await deployPage(site, 'restart-fails', 1)
    assert.match(output, new RegExp(`The previous code \\(${good.commit}\\) is back in place`))
    assert.equal(served(site), 'good')
    assert.deepEqual(
      site.steps().map(each => each.replace(`${releases(site)}/`, '')),
      ['install 2', 'upgrade 2', 'restart 2', 'restart 1'],
    )
  })

  it('commits that fail never overwrite the release that a rollback goes to', async t => {
    const site = await newSiteWithReleases(t)
    const first = await deployPage(site, 'first')
    await deployPage(site, 'second')
    for (const failing of ['install-fails', 'upgrade-fails', 'restart-fails', 'install-fails again']) {
      await deployPage(site, failing, 1)
    }
    site.steps()
    assertExit(await site.deploy(['rollback']), 0)
    assert.equal(await site.live(), first.commit)
    assert.equal(served(site), 'first')
    assert.deepEqual(site.steps(), [`restart ${releases(site)}/1`])
  })

  it('rollbacks switch from release to release, and a release that was rolled back is overwritten first', async t => {
    const site = await newSiteWithReleases(t)
    for (const page of ['a', 'b', 'c']) await deployPage(site, page)
    site.steps()
    for (const page of ['b', 'a']) {
      assertExit(await site.deploy(['rollback']), 0)
      assert.equal(served(site), page)
    }
    assert.deepEqual(
      site.steps(),
      [2, 1].map(number => `restart ${releases(site)}/${number}`),
    )
    await deployPage(site, 'd')
    assert.notEqual(servedRelease(site), 1)
    const { output } = await site.deploy(['rollback'])
    assert.equal(served(site), 'a', output)
  })

  it('a rollback to a release that is not kept builds it again, without UPGRADE_DB', async t => {
    const site = await newSiteWithReleases(t)
    const first = await deployPage(site, 'first')
    for (const page of ['b', 'c', 'd']) await deployPage(site, page)
    site.steps()
    assertExit(await site.deploy(['rollback', first.commit]), 0)
    assert.equal(served(site), 'first')
    assert.deepEqual(
      site.steps().map(step => step.split(' ')[0]),
      ['install', 'restart'],
    )
  })

  it('status names the releases that a rollback can switch to', async t => {
    const site = await newSiteWithReleases(t, { DB_REVISION: 'cat page.txt' })
    const first = await deployPage(site, 'first')
    const second = await deployPage(site, 'second')
    const { output } = await site.deploy(['status'])
    assert.match(
      output,
      new RegExp(`^ {2}↺ kept +${first.commit} .* deploy rollback \\(release 1, database at first\\)$`, 'm'),
    )
    assert.match(output, new RegExp(`^ {2}● in place  ${second.commit} `, 'm'))
  })

  it('INSTALL_DEPS_IF_CHANGED compares with what the same release has installed', async t => {
    const site = await newSiteWithReleases(t, { INSTALL_DEPS_IF_CHANGED: 'deps.txt', UPGRADE_DB: '' })
    const installs = async (deps: string, page: string, code = 0) => {
      await site.commit({ 'deps.txt': deps, 'page.txt': page })
      assertExit(await site.deploy(), code)
      return site.steps().some(step => step.startsWith('install'))
    }
    assert.deepEqual(
      [await installs('1', 'a'), await installs('1', 'b'), await installs('1', 'c'), await installs('1', 'd')],
      [true, true, true, false],
    )
    assert.equal(await installs('2', 'e'), true)
    assert.equal(await installs('2', 'f'), true)
    assert.equal(await installs('2', 'g'), true)
    assert.equal(await installs('2', 'h'), false)
    assert.equal(await installs('3', 'install-fails', 1), true)
    // A half-finished installation does not count.
    assert.equal(await installs('2', 'i'), true)
  })

  it('a release whose state is lost is built again, whatever it contains', async t => {
    const site = await newSiteWithReleases(t)
    for (const page of ['a', 'b', 'c']) await deployPage(site, page)
    for (const number of [1, 2]) rmSync(join(site.repository, 'pushlive/releases', String(number)), { recursive: true })
    writeFileSync(join(releases(site), '1/page.txt'), 'garbage')
    writeFileSync(join(releases(site), '1/other.txt'), 'garbage')
    await deployPage(site, 'd')
    assert.equal(served(site), 'd')
    const { commit } = await deployPage(site, 'e')
    assert.equal(served(site), 'e')
    assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), commit)
  })

  it('where the live release was removed, and the link leads nowhere, the next commit goes live', async t => {
    const site = await newSiteWithReleases(t)
    site.configure({ SHARED_PATHS: 'media' })
    await deployPage(site, 'a')
    rmSync(join(releases(site), '1'), { recursive: true })
    await deployPage(site, 'b')
    assert.equal(served(site), 'b')
  })

  it('the verdict is about the release that the link leads to, even where the link was changed by hand', async t => {
    const site = await newSiteWithReleases(t)
    await deployPage(site, 'a')
    await deployPage(site, 'b')
    rmSync(site.workTree)
    symlinkSync('www.releases/1', site.workTree)
    const { output } = assertExit(await site.deploy(), 0)
    assert.doesNotMatch(output, /already live/)
    assert.equal(served(site), 'b')
  })

  it('local changes of a release are named when another one goes live, and no rollback goes to them', async t => {
    const site = await newSiteWithReleases(t)
    const first = await deployPage(site, 'first')
    writeFileSync(join(site.workTree, 'page.txt'), 'edited')
    const { output } = await deployPage(site, 'second')
    assert.match(output, /LOCAL CHANGES LEFT BEHIND in .*\.releases\/1: page\.txt$/m)
    assertExit(await site.deploy(['rollback']), 0)
    assert.equal(await site.live(), first.commit)
    assert.equal(served(site), 'first')
    writeFileSync(join(site.workTree, 'page.txt'), 'edited')
    await deployPage(site, 'third')
    await deployPage(site, 'fourth')
    writeFileSync(join(site.workTree, 'page.txt'), 'edited')
    const back = assertExit(await site.deploy(['rollback']), 0)
    assert.match(back.output, /LOCAL CHANGES LEFT BEHIND in .*: page\.txt$/m)
    assert.equal(served(site), 'third')
  })

  for (const isForgotten of [false, true]) {
    const where = isForgotten ? ', also where the journal is lost' : ''
    it(`a file in place of the link is not lost${where}`, async t => {
      const site = await newSiteWithReleases(t)
      await deployPage(site, 'first')
      rmSync(site.workTree)
      writeFileSync(site.workTree, 'mine')
      if (isForgotten) rmSync(join(site.repository, 'pushlive/journal'))
      await site.commit()
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /www is a file/)
      assert.equal(readFileSync(site.workTree, 'utf8'), 'mine', output)
      assert.doesNotMatch(output, /CHECKING OUT/)
    })
  }

  it('check verifies what releases need', async t => {
    const site = await newSiteWithReleases(t)
    await deployPage(site, 'first')
    assert.match((await check(site, 0)).found, new RegExp(`^ok releases: ${site.folder}`, 'm'))
  })

  describe('the WSGI file', () => {
    it('is loaded before the switch: code that cannot be imported never goes live', async t => {
      const site = await newSite(t)
      site.configure({ RELEASES: '3' })
      await deployPage(site, 'good')
      await site.commit({ 'wsgi.py': 'import helper\napplication = helper.missing\n', 'helper.py': '' })
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(
        output,
        /TESTING RELEASE failed: `python3 -c "\$LOAD_WSGI" "\$PATH_TO_WSGI" "\$PWD"` exited with 1\./,
      )
      assert.match(output, /^remote: To do: mend it, or set SMOKE_TEST to another command; empty: no test/m)
      assert.match(output, /AttributeError: module 'helper' has no attribute 'missing'/)
      assert.equal(servedRelease(site), 1)
    })

    it('is loaded as servers load it: by its name in the outermost package, from the folder of that', async t => {
      const site = await newSite(t)
      const wsgi = 'from importlib import import_module\n'
      const files = (folder: string) => ({
        [`${folder}/wsgi.py`]: `${wsgi}from . import settings\nimport_module("mysite.settings")\n`,
        [`${folder}/settings.py`]: '',
        // It would hide Python's own, if its folder came first.
        [`${folder}/logging.py`]: 'raise Exception\n',
      })
      site.configure({ RELEASES: '3', PATH_TO_WSGI: 'mysite/wsgi.py' })
      await site.commit({ ...files('mysite'), 'mysite/__init__.py': 'import logging.config\n' })
      assertExit(await site.deploy(), 0)
      const others = ['backend/mysite', 'mysite', 'src', 'not-a-name', 'code']
      site.configure({
        SMOKE_TEST: others.map(each => `python3 -c "$LOAD_WSGI" "$PWD/${each}/wsgi.py" "$PWD"`).join('; '),
      })
      const beside = { 'wsgi.py': 'import beside\n', 'beside.py': '' }
      await site.commit({
        ...files('backend/mysite'),
        'backend/mysite/__init__.py': 'import logging.config\n',
        'mysite/__init__.py': undefined,
        'mysite/logging.py': undefined,
        ...Object.fromEntries(
          ['src', 'not-a-name', 'code'].flatMap(folder =>
            Object.entries(beside).map(([name, text]) => [`${folder}/${name}`, text]),
          ),
        ),
      })
      assertExit(await site.deploy(), 0)
    })

    it('is touched before the switch, in a later second than that of the live release', async t => {
      const site = await newSite(t)
      site.configure({ RELEASES: '3' })
      const second = () => Math.floor(lstatSync(join(site.workTree, 'wsgi.py')).mtimeMs / 1000)
      await deployPage(site, 'a')
      const a = second()
      await deployPage(site, 'b')
      const b = second()
      assertExit(await site.deploy(['rollback']), 0)
      assert.ok(a < b && b < second(), `${a} ${b} ${second()}`)
    })
  })

  describe('SHARED_PATHS', () => {
    it('are the same in each release, and outlive them', async t => {
      const site = await newSiteWithReleases(t, { SHARED_PATHS: 'instance .env media' })
      const { output } = await deployPage(site, 'a')
      assert.match(output, /NOT THERE YET IN .*: \.env/)
      writeFileSync(join(site.workTree, 'instance/app.db'), 'data')
      writeFileSync(join(site.workTree, '.env'), 'SECRET=1')
      writeFileSync(join(site.workTree, 'media/picture'), 'picture')
      for (const page of ['b', 'c', 'd']) await deployPage(site, page)
      assert.deepEqual(
        ['instance/app.db', '.env', 'media/picture'].map(file => site.read(file)),
        ['data', 'SECRET=1', 'picture'],
      )
    })

    it('that are named later are taken from the live release, and what other releases have there is named', async t => {
      const site = await newSiteWithReleases(t)
      for (const page of ['a', 'b', 'c']) {
        await deployPage(site, page)
        mkdirSync(join(site.workTree, 'media'))
        writeFileSync(join(site.workTree, 'media', page), page)
      }
      site.configure({ SHARED_PATHS: 'media' })
      const { output } = await deployPage(site, 'd')
      assert.match(output, /MOVED TO .*\/shared, and linked: media/)
      const [, aside = ''] = /MOVED ASIDE: .*\/1\/media is (.*\/replaced\/.*\/media) now/.exec(output) ?? []
      assert.equal(site.read('media/c'), 'c')
      assert.equal(readFileSync(join(aside, 'a'), 'utf8'), 'a')
    })

    it('that the commit tracks are refused before anything is changed', async t => {
      const site = await newSiteWithReleases(t, { SHARED_PATHS: 'instance .env' })
      await deployPage(site, 'a')
      site.steps()
      await site.commit({ 'instance/config.py': '' })
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /The commit has instance\/config\.py, which SHARED_PATHS names/)
      assert.deepEqual(site.steps(), [])
    })
  })

  describe('the virtual environment', () => {
    for (const [name, settings] of Object.entries({
      'reached through the link': (site: Site) => ({ PATH_TO_VENV: join(site.workTree, '.venv') }),
      'one for all releases': (site: Site) => ({ PATH_TO_VENV: join(site.folder, 'venv') }),
      "uv's, for all releases": (site: Site) => ({ UV_PROJECT_ENVIRONMENT: join(site.folder, 'venv') }),
    })) {
      it(`is refused before anything is changed where it is ${name}`, async t => {
        const site = await newSite(t)
        site.configure({ ...recording, ...settings(site) })
        await site.commit()
        const { output } = assertExit(await site.deploy(), 1)
        assert.match(output, /is one for all releases: give it relative to each, such as \.venv/)
        assert.ok(!existsSync(releases(site)))
      })
    }

    it('is refused where ACTIVATE_VENV activates one environment for all releases', async t => {
      const site = await newSite(t)
      const venv = join(site.folder, 'venv')
      mkdirSync(venv)
      site.configure({ ...recording, ACTIVATE_VENV: `export VIRTUAL_ENV=${venv}` })
      await site.commit()
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /ACTIVATE_VENV activates .*, which is not the release's own/)
      assert.deepEqual(site.steps(), [])
    })
  })

  describe('settings that cannot be right are refused before anything is changed:', () => {
    for (const [settings, message] of [
      [{ RELEASES: '2' }, /RELEASES is 2: a deployment that fails would overwrite/],
      [{ RELEASES: '0' }, /RELEASES is not 1, nor a number from 3/],
      [{ RELEASES: 'many' }, /RELEASES is not 1/],
      [{ RELEASES: '3', SHARED_PATHS: '../instance' }, /SHARED_PATHS names \.\.\/instance/],
      [{ RELEASES: '3', SHARED_PATHS: '/var/lib' }, /SHARED_PATHS names \/var\/lib/],
      [{ RELEASES: '3', SHARED_PATHS: '.git' }, /SHARED_PATHS names \.git/],
      [
        { RELEASES: '3', SHARED_PATHS: 'media instance instance/up' },
        /names instance, and instance\/up, which lies in it/,
      ],
      [
        { RELEASES: '3', SHARED_PATHS: 'instance/up/ ./instance' },
        /names instance, and instance\/up, which lies in it/,
      ],
      [{ RELEASES: '3', SHARED_PATHS: '"instance media' }, /SHARED_PATHS names "instance: is a quote missing\?/],
      [{ RELEASES: '3', SHARED_PATHS: 'instance,media' }, /names instance,media: .*without quotes or commas/],
      [
        { RELEASES: '3', SHARED_PATHS: 'a .venv', PATH_TO_VENV: './.venv' },
        /names \.venv, and PATH_TO_VENV is \.\/\.venv/,
      ],
      [
        { RELEASES: '3', SHARED_PATHS: 'data', PATH_TO_VENV: 'data/venv' },
        /each release needs an environment of its own/,
      ],
      [{ RELEASES: '3', SHARED_PATHS: 'a,b', HEALTH_CHECK_URL: 'x' }, /2 settings are wrong/],
      [{ RELEASES: '3', DOWNGRADE_DB: 'true' }, /DB_REVISION is missing/],
    ] as const) {
      it(JSON.stringify(settings), async t => {
        const site = await newSite(t)
        site.configure(settings)
        await site.commit()
        const { output } = assertExit(await site.deploy(), 1)
        assert.match(output, message)
        assert.ok(!existsSync(site.workTree))
      })
    }

    it('a link that leads elsewhere', async t => {
      const site = await newSite(t)
      mkdirSync(join(site.folder, 'elsewhere'))
      symlinkSync('elsewhere', site.workTree)
      site.configure(recording)
      await site.commit()
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /is a link to elsewhere, which is no release/)
      assert.deepEqual(readdirSync(join(site.folder, 'elsewhere')), [])
    })
  })

  describe('From in place to releases', () => {
    it('the folder becomes a release with all its files, and a link to it; shared paths move out of it', async t => {
      const site = await newSite(t)
      site.configure({ ...recording, RELEASES: '1' })
      const first = await deployPage(site, 'first')
      mkdirSync(join(site.workTree, 'instance'))
      writeFileSync(join(site.workTree, 'instance/app.db'), 'data')
      writeFileSync(join(site.workTree, 'notes.txt'), 'mine')
      site.configure({ RELEASES: '3', SHARED_PATHS: 'instance' })
      const { output } = await deployPage(site, 'second')
      assert.match(output, /IS A LINK NOW: what was there is release 1/)
      assert.match(output, /MOVED TO .*\.releases\/shared, and linked: instance/)
      assert.match(output, /NOT IN THE NEXT RELEASES, unless SHARED_PATHS names them: notes\.txt$/m)
      assert.equal(servedRelease(site), 2)
      assert.equal(site.read('instance/app.db'), 'data')
      assert.equal(readFileSync(join(releases(site), '1/notes.txt'), 'utf8'), 'mine')
      assert.equal(readFileSync(join(releases(site), '1/instance/app.db'), 'utf8'), 'data')
      site.steps()
      assertExit(await site.deploy(['rollback']), 0)
      assert.equal(await site.live(), first.commit)
      assert.equal(served(site), 'first')
      assert.deepEqual(site.steps(), [`restart ${releases(site)}/1`])
    })

    it('a commit that fails leaves the previous code live', async t => {
      const site = await newSite(t)
      site.configure({ ...recording, RELEASES: '1' })
      await deployPage(site, 'first')
      site.configure({ RELEASES: '3' })
      await deployPage(site, 'restart-fails', 1)
      assert.equal(served(site), 'first')
      assert.equal(servedRelease(site), 1)
    })

    it('and back: it is a folder again, with the shared files', async t => {
      const site = await newSiteWithReleases(t, { SHARED_PATHS: 'instance' })
      await deployPage(site, 'a')
      await deployPage(site, 'b')
      writeFileSync(join(site.workTree, 'instance/app.db'), 'data')
      site.configure({ RELEASES: '1' })
      const { output } = await deployPage(site, 'c')
      assert.match(output, /IS NO LINK ANY MORE/)
      assert.ok(lstatSync(site.workTree).isDirectory())
      assert.equal(served(site), 'c')
      assert.equal(site.read('instance/app.db'), 'data')
      site.configure({ RELEASES: '3' })
      await deployPage(site, 'd')
      assert.equal(served(site), 'd')
      assert.equal(site.read('instance/app.db'), 'data')
      assertExit(await site.deploy(['rollback']), 0)
      assert.equal(served(site), 'c')
    })
  })
})
