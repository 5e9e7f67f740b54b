import assert from 'node:assert/strict'
import {
  existsSync,
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
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

describe('A release folder that is used again', async () => {
  const { newSite } = await startServer({ after })

  /** Its second release can be used again at once, because the upgrade fails there. */
  async function newSiteThatFails(t: Parameters<typeof newSite>[0], settings: Record<string, string>) {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', RESTART: '', SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '' })
    await deployPage(site, 'first')
    site.configure({ UPGRADE_DB: '! grep -q fails page.txt', ...settings })
    return site
  }

  async function deployPage(site: Site, page: string, more: Record<string, string | undefined> = {}) {
    const commit = await site.commit({ 'page.txt': page, ...more })
    const { output } = assertExit(await site.deploy(), page === 'fails' ? 1 : 0)
    return { commit, output }
  }

  const second = (site: Site, file = '') => join(`${site.workTree}.releases`, '2', file)
  const filesIn = (site: Site) =>
    readdirSync(second(site), { recursive: true, encoding: 'latin1' })
      .filter(file => file !== '.git')
      .sort()

  it('has nothing but what the commit has and its own steps make', async t => {
    const site = await newSiteThatFails(t, { INSTALL_DEPS: 'mkdir -p dist; cp src/*.js dist' })
    const outside = join(site.folder, 'outside')
    mkdirSync(outside)
    writeFileSync(join(outside, 'mine'), 'mine')
    site.write({ '.gitignore': 'dist\n*.log\n__pycache__\n', 'src/001.js': '', 'package/module.py': '' })
    await deployPage(site, 'fails', { 'src/002-drop.js': '' })
    assert.ok(existsSync(second(site, 'dist/002-drop.js')))
    for (const folder of ['empty/deep', 'package/__pycache__', 'nested/.git', 'dist/locked']) {
      mkdirSync(second(site, folder), { recursive: true })
    }
    for (const file of ['a.log', 'package/gone.pyc', 'package/__pycache__/gone.cpython-311.pyc', 'dist/locked/x']) {
      writeFileSync(second(site, file), '')
    }
    writeFileSync(Buffer.from(second(site, 'caf\xe9'), 'latin1'), '')
    symlinkSync(outside, second(site, 'link'))
    symlinkSync('nowhere', second(site, 'package/dangling'))
    const { output } = await deployPage(site, 'good', { 'src/002-drop.js': undefined })
    assert.equal(site.read('page.txt'), 'good')
    const expected = ['.gitignore', 'Makefile', 'dist', 'dist/001.js', 'package', 'package/module.py', 'page.txt']
    assert.deepEqual(filesIn(site), [...expected, 'src', 'src/001.js', 'wsgi.py'])
    assert.deepEqual(readdirSync(outside), ['mine'])
    assert.match(output, /REMOVED, because the last use of this folder left it: .*dist, empty, link/)
  })

  it('keeps KEEP_PATHS and the virtual environment, and nothing beside them', async t => {
    const site = await newSiteThatFails(t, {
      INSTALL_DEPS: 'mkdir -p web/node_modules web/dist; echo x | tee -a web/node_modules/x .venv/x > web/dist/x',
      KEEP_PATHS: 'web/node_modules target',
      PATH_TO_VENV: '.venv',
    })
    await deployPage(site, 'fails')
    writeFileSync(second(site, 'web/dist/old'), '')
    await deployPage(site, 'good')
    assert.deepEqual(['web/node_modules/x', '.venv/x', 'web/dist/x'].map(site.read), ['x\nx\n', 'x\nx\n', 'x\n'])
    assert.ok(!existsSync(second(site, 'web/dist/old')))
  })

  it('keeps what the install left where that is skipped, down to empty folders, and nothing beside it', async t => {
    const site = await newSiteThatFails(t, {
      INSTALL_DEPS: 'echo install >> "$STEPS"; mkdir -p modules/empty modules/link; echo installed > modules/installed',
      INSTALL_DEPS_IF_CHANGED: 'deps.lock',
      BUILD: 'cp page.txt "modules/built-$(cat page.txt)"; mkdir -p dist; cp page.txt "dist/$(cat page.txt)"',
    })
    await deployPage(site, 'fails')
    site.steps()
    await deployPage(site, 'good')
    assert.deepEqual(site.steps(), [])
    const found = filesIn(site).filter(file => /^(modules|dist)/.test(file))
    const modules = ['modules', 'modules/built-good', 'modules/empty', 'modules/installed', 'modules/link']
    assert.deepEqual(found, ['dist', 'dist/good', ...modules])
  })

  it('keeps nothing of an install that runs again', async t => {
    const site = await newSiteThatFails(t, {
      INSTALL_DEPS: 'mkdir -p modules; cp deps.lock "modules/$(cat deps.lock)"',
      INSTALL_DEPS_IF_CHANGED: 'deps.lock',
    })
    await deployPage(site, 'fails', { 'deps.lock': 'old' })
    await deployPage(site, 'good', { 'deps.lock': 'new' })
    assert.deepEqual(readdirSync(second(site, 'modules')), ['new'])
  })

  it('loses no file that was there before its first use: it is moved to the side, and named', async t => {
    const site = await newSiteThatFails(t, {})
    mkdirSync(second(site, 'uploads'), { recursive: true })
    writeFileSync(second(site, 'uploads/picture'), 'mine')
    const { output } = await deployPage(site, 'good')
    const [, aside = ''] =
      /MOVED TO (\S+), because it was in this folder before its first use: uploads$/m.exec(output) ?? []
    assert.equal(readFileSync(join(aside, 'uploads/picture'), 'utf8'), 'mine')
    assert.ok(!existsSync(second(site, 'uploads')))
  })

  it('gets a new virtual environment where the python of the old one is gone, or is another version', async t => {
    const site = await newSiteThatFails(t, {
      PATH_TO_VENV: '.venv',
      INSTALL_DEPS: 'echo install >> "$STEPS"; touch .venv/installed',
      INSTALL_DEPS_IF_CHANGED: 'deps.lock',
    })
    const breakings: Record<string, () => void> = {
      'nothing is wrong': () => {},
      'its link leads nowhere': () => {
        rmSync(second(site, '.venv/bin/python'))
        symlinkSync('/usr/bin/python2.0', second(site, '.venv/bin/python'))
      },
      'it was made for another version': () => {
        const file = second(site, '.venv/pyvenv.cfg')
        writeFileSync(file, readFileSync(file, 'utf8').replace(/^(version\S*) = .*/gm, '$1 = 2.0.1'))
      },
    }
    await deployPage(site, 'fails')
    for (const [what, makeBroken] of Object.entries(breakings)) {
      site.steps()
      makeBroken()
      writeFileSync(second(site, '.venv/old'), '')
      const { output } = await deployPage(site, 'fails')
      const isAnew = what !== 'nothing is wrong'
      assert.equal(/MAKING VIRTUAL ENVIRONMENT/.test(output), isAnew, what)
      assert.deepEqual(site.steps(), isAnew ? ['install'] : [], what)
      assert.equal(existsSync(second(site, '.venv/old')), !isAnew, what)
    }
  })

  // One test for all of this, because Python takes seconds for each environment.
  it("keeps the virtual environment, which is each release's own and made where there is none; a lost one is always installed again", async t => {
    const site = await newSite(t)
    site.configure({
      RELEASES: '3',
      SMOKE_TEST: '',
      PATH_TO_VENV: '.venv',
      INSTALL_DEPS_IF_CHANGED: 'deps.txt',
      INSTALL_DEPS: 'python -c "import sys; print(sys.prefix)" | tee --append .venv/installed >> "$STEPS"',
      UPGRADE_DB: '',
      RESTART: '',
    })
    const venv = (release: number) => join(`${site.workTree}.releases`, String(release), '.venv')
    await site.commit({ 'deps.txt': '' })
    for (const page of ['a', 'b', 'c']) await deployPage(site, page)
    assert.deepEqual(site.steps(), [1, 2, 3].map(venv))

    rmSync(venv(1), { recursive: true })
    await deployPage(site, 'd')
    assert.equal(readlinkSync(site.workTree).at(-1), '1')
    assert.deepEqual(site.steps(), [venv(1)])
    assert.equal(site.read('.venv/installed'), `${venv(1)}\n`)

    await site.commit({ 'deps.txt': 'another' })
    await deployPage(site, 'e')
    assert.equal(readlinkSync(site.workTree).at(-1), '2')
    assert.deepEqual(site.steps(), [venv(2)])
    assert.equal(site.read('.venv/installed'), `${venv(2)}\n${venv(2)}\n`)
  })
})
