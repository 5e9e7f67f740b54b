import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

const releases = (site: Site) => `${site.workTree}.releases`
const sharedFile = (site: Site, name: string) => join(releases(site), 'shared', name)
const servedRelease = (site: Site) => Number(readlinkSync(site.workTree).split('/').at(-1))
/** The newest of the files of a name that were moved aside. */
function readReplaced(site: Site, name: string) {
  const folder = join(releases(site), 'replaced')
  const newest = readdirSync(folder).sort().at(-1) ?? ''
  return readFileSync(join(folder, newest, name), 'utf8')
}
const isLink = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false

describe('SHARED_PATHS', async () => {
  const { newSite } = await startServer({ after })
  type Test = Parameters<typeof newSite>[0]

  async function newSharingSite(t: Test, paths: string, settings: Record<string, string> = {}) {
    const site = await newSite(t)
    const none = { SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '', RESTART: '' }
    site.configure({ RELEASES: '3', ...none, SHARED_PATHS: paths, ...settings })
    return site
  }

  async function deploy(site: Site, files: Record<string, string | undefined> = {}, expected = 0) {
    const commit = await site.commit({ 'page.txt': `${Math.random()}`, ...files })
    const { output } = assertExit(await site.deploy(), expected)
    return { commit, output }
  }

  it('a file that has replaced its link in the live release is what the next release has, and the old one is kept', async t => {
    const site = await newSharingSite(t, '.env')
    mkdirSync(join(releases(site), 'shared'), { recursive: true })
    writeFileSync(sharedFile(site, '.env'), 'KEY=old')
    await deploy(site)
    // As `sed -i` and many editors do.
    writeFileSync(join(site.workTree, '.env.new'), 'KEY=new')
    renameSync(join(site.workTree, '.env.new'), join(site.workTree, '.env'))
    const { output } = await deploy(site)
    assert.match(output, /TAKEN OVER INTO .*\/shared, because it had replaced the link: .*\/1\/\.env/)
    assert.equal(site.read('.env'), 'KEY=new')
    assert.equal(readFileSync(sharedFile(site, '.env'), 'utf8'), 'KEY=new')
    assert.ok(isLink(join(releases(site), '1/.env')))
    assert.equal(readReplaced(site, '.env'), 'KEY=old')
  })

  it('a folder that has replaced its link adds its files to the shared ones, and wins over them', async t => {
    const site = await newSharingSite(t, 'media')
    await deploy(site)
    for (const name of ['a', 'b', 'b-wal']) writeFileSync(join(site.workTree, 'media', name), `old ${name}`)
    // In Latin-1, and with a line of its own.
    const odd = Buffer.concat([Buffer.from(join(site.workTree, 'media/')), Buffer.from('\xe9\npushlive: x', 'latin1')])
    writeFileSync(odd, 'old')
    rmSync(join(site.workTree, 'media'))
    mkdirSync(join(site.workTree, 'media/sub'), { recursive: true })
    writeFileSync(join(site.workTree, 'media/b'), 'new b')
    writeFileSync(join(site.workTree, 'media/sub/c'), 'new c')
    writeFileSync(odd, 'new')
    const { output } = await deploy(site)
    assert.doesNotMatch(output, /^(remote: )?pushlive: x/m)
    assert.equal(readFileSync(odd, 'utf8'), 'new')
    const found = ['a', 'b', 'sub/c'].map(name => site.read(`media/${name}`))
    assert.deepEqual(found, ['old a', 'new b', 'new c'])
    assert.equal(readReplaced(site, 'media/b'), 'old b')
    assert.ok(!existsSync(join(site.workTree, 'media/b-wal')), 'a log of the database that was replaced')
    await deploy(site)
    assert.equal(site.read('media/sub/c'), 'new c')
  })

  it('a step that cleans the work tree, edits a shared file or makes a shared folder anew loses nothing', async t => {
    const site = await newSharingSite(t, 'app.db .env media', {
      INSTALL_DEPS: 'git clean -ffdxq; mkdir media; echo step > media/a; echo step > media/b',
      UPGRADE_DB: 'cat app.db; sed -i s/old/new/ .env',
    })
    mkdirSync(sharedFile(site, 'media'), { recursive: true })
    for (const name of ['app.db', '.env', 'media/a']) writeFileSync(sharedFile(site, name), `old ${name}\n`)
    const { output } = await deploy(site)
    assert.match(output, /UPGRADING.*\n.*old app\.db/, 'the migration finds the database')
    assert.match(output, /LINKED AGAIN, because a step had removed it: .*\/1\/app\.db/)
    const found = ['app.db', '.env', 'media/a', 'media/b'].map(name => site.read(name))
    assert.deepEqual(found, ['old app.db\n', 'new .env\n', 'old media/a\n', 'step\n'])
    assert.equal(readReplaced(site, '.env'), 'old .env\n')
    assert.equal(readReplaced(site, 'media/a'), 'step\n')
    assert.ok(isLink(join(site.workTree, 'media')))
  })

  it('a file that comes while the live folder is moved to another disk is moved aside', async t => {
    const site = await newSharingSite(t, 'media')
    const disk = mkdtempSync('/dev/shm/shared-')
    t.after(() => rmSync(disk, { recursive: true }))
    mkdirSync(releases(site))
    symlinkSync(disk, join(releases(site), 'shared'))
    mkdirSync(join(site.workTree, 'media'), { recursive: true })
    writeFileSync(join(site.workTree, 'media/early'), 'early')
    // It is what puts the link there.
    const python = join(site.folder, 'bin/python3')
    mkdirSync(dirname(python))
    const late = `case "$*" in *next-shared*) echo late > '${site.workTree}/media/late';; esac`
    writeFileSync(python, `#!/bin/sh\n${late}\nPATH='${process.env.PATH}' exec python3 "$@"\n`, { mode: 0o755 })
    site.configure({ PATH: `${dirname(python)}:${process.env.PATH}` })
    const { output } = await deploy(site)
    assert.match(output, /MOVED ASIDE: .*\/next-shared\/late is /)
    assert.equal(readReplaced(site, 'media/late'), 'late\n')
    assert.equal(readFileSync(join(disk, 'media/early'), 'utf8'), 'early')
  })

  it("a link of the administrator's is kept, and the next releases lead to the same place", async t => {
    const site = await newSharingSite(t, 'media')
    await deploy(site)
    writeFileSync(join(site.workTree, 'media/before'), '')
    const inDisk = (file = '') => Buffer.from(`${site.folder}/d\xe9\ndisk/${file}`, 'latin1')
    const link = Buffer.from('../../d\xe9\ndisk', 'latin1')
    rmSync(join(site.workTree, 'media'))
    symlinkSync(link, join(site.workTree, 'media'))
    mkdirSync(inDisk())
    writeFileSync(join(site.workTree, 'media/picture'), 'picture')
    const { output } = await deploy(site)
    assert.match(output, /KEPT, AND SHARED WITH THE NEXT RELEASES: .*\/1\/media, which leads to .*\/d\ufffd disk$/m)
    assert.deepEqual(readlinkSync(join(releases(site), '1/media'), { encoding: 'buffer' }), link)
    assert.equal(site.read('media/picture'), 'picture')
    assert.equal(readReplaced(site, 'media/before'), '')
    await deploy(site)
    assert.equal(site.read('media/picture'), 'picture')

    rmSync(inDisk('picture'))
    chmodSync(inDisk(), 0o2775)
    const { ino } = statSync(inDisk())
    rmSync(join(site.workTree, 'media'))
    mkdirSync(join(site.workTree, 'media'))
    writeFileSync(join(site.workTree, 'media/another'), 'another')
    await deploy(site)
    assert.equal(readFileSync(inDisk('another'), 'utf8'), 'another')
    const found = statSync(inDisk())
    assert.deepEqual([found.ino, found.mode & 0o7777], [ino, 0o2775], "and the administrator's folder is as it was")
  })

  it('links that lead nowhere or in a circle, and what is neither file nor folder, stop no deployment', async t => {
    const site = await newSharingSite(t, 'media cache pipe.x')
    await deploy(site)
    for (const name of ['media', 'cache']) rmSync(join(site.workTree, name))
    rmSync(join(site.workTree, 'pipe.x'))
    symlinkSync('media', join(site.workTree, 'media'))
    symlinkSync(join(site.folder, 'unmounted'), join(site.workTree, 'cache'))
    await site.workTreeGit`mkfifo pipe.x`
    const { output } = await deploy(site)
    assert.match(output, /NOT THERE YET IN .*: cache/)
    assert.equal(readlinkSync(sharedFile(site, 'cache')), join(site.folder, 'unmounted'))
    assert.ok(lstatSync(sharedFile(site, 'pipe.x')).isFIFO())
    assert.ok(isLink(join(site.workTree, 'media')))
    rmSync(sharedFile(site, 'media'), { recursive: true })
    symlinkSync('media', sharedFile(site, 'media'))
    const failed = await deploy(site, {}, 1)
    assert.match(failed.output, /media, which SHARED_PATHS names, cannot be shared\.\n.*leads to itself/)
  })

  it('files that only keep or protect a folder are put there once; git has nothing to say about them', async t => {
    const site = await newSharingSite(t, 'storage médias data')
    const skeleton = { 'storage/app/.gitignore': '*\n!.gitignore\n', 'médias/.keep': '', 'data/.htaccess': 'Deny\n' }
    mkdirSync(Buffer.from(`${site.clone}/data/\xe9`, 'latin1'), { recursive: true })
    writeFileSync(Buffer.from(`${site.clone}/data/\xe9/.gitkeep`, 'latin1'), '')
    const first = await deploy(site, skeleton)
    assert.equal(site.read('storage/app/.gitignore'), skeleton['storage/app/.gitignore'])
    writeFileSync(join(site.workTree, 'storage/app/upload'), 'upload')
    writeFileSync(join(site.workTree, 'data/.htaccess'), 'mine\n')
    assert.match(assertExit(await site.deploy(), 0).output, /already live/)

    const second = await deploy(site, { 'data/.gitkeep': '' })
    assert.doesNotMatch(second.output, /LOCAL CHANGES|MOVED/)
    assert.match(second.output, /LEFT AS IT IS IN .*, where the commit has something else: data\/\.htaccess/)
    assert.deepEqual(['storage/app/upload', 'data/.htaccess', 'data/.gitkeep'].map(site.read), ['upload', 'mine\n', ''])
    const { output } = assertExit(await site.deploy(['rollback']), 0)
    assert.equal(servedRelease(site), 1, output)
    assert.equal(await site.live(), first.commit)
    for (let number = 0; number < 3; number++) {
      const { output } = await deploy(site)
      assert.doesNotMatch(output, /LOCAL CHANGES|MOVED/)
    }
    assert.equal(site.read('storage/app/upload'), 'upload')

    site.configure({ RELEASES: '1' })
    await deploy(site)
    await deploy(site)
    assert.equal(site.read('storage/app/upload'), 'upload')
  })

  it('a tracked folder that becomes shared stays in the releases that have it, and other files are copied', async t => {
    const site = await newSharingSite(t, ' ')
    const first = await deploy(site, { 'instance/config.py': 'config' })
    const odd = Buffer.from(`${site.workTree}/instance/caf\xe9`, 'latin1')
    for (const file of [join(site.workTree, 'instance/app.db'), odd]) writeFileSync(file, 'data')
    await site.git`git init --quiet ${join(site.workTree, 'instance/plugin')}`
    site.configure({ SHARED_PATHS: 'instance' })
    const { output } = await deploy(site, { 'instance/config.py': undefined })
    assert.match(
      output,
      /COPIED TO .*\/shared, because the live commit has files there: instance\/app\.db, instance\/caf\ufffd, /,
    )
    for (const file of [join(site.workTree, 'instance/app.db'), odd]) assert.equal(readFileSync(file, 'utf8'), 'data')
    assert.match(site.read('instance/plugin/.git/HEAD'), /^ref/)
    assert.ok(!existsSync(join(site.workTree, 'instance/config.py')))
    const back = assertExit(await site.deploy(['rollback']), 0)
    assert.match(back.output, /NOT SHARED IN .*\/1, because .* has files there: instance/)
    assert.equal(servedRelease(site), 1)
    assert.equal(site.read('instance/config.py'), 'config')
    assert.equal(await site.live(), first.commit)
  })

  it('a path that lies below a file or a link of the commit is refused before anything', async t => {
    const site = await newSharingSite(t, 'instance/db')
    const elsewhere = join(site.folder, 'elsewhere')
    mkdirSync(elsewhere)
    const refused = await deploy(site, { instance: '' }, 1)
    assert.match(refused.output, /The commit has instance as a file or a link, and SHARED_PATHS names instance\/db\./)
    rmSync(join(site.clone, 'instance'))
    symlinkSync('../../elsewhere', join(site.clone, 'instance'))
    const again = await deploy(site, {}, 1)
    assert.match(again.output, /The commit has instance as a file or a link/)
    assert.deepEqual(readdirSync(elsewhere), [])
  })

  it('a path that is not named any more, or only in part, is not linked any more, and the log says where it is', async t => {
    const site = await newSharingSite(t, 'media storage')
    await deploy(site)
    writeFileSync(join(site.workTree, 'media/a'), 'a')
    mkdirSync(join(site.workTree, 'storage/app'))
    writeFileSync(join(site.workTree, 'storage/app/a'), 'a')
    site.configure({ SHARED_PATHS: 'storage/app' })
    const { output } = await deploy(site)
    assert.match(output, /NOT SHARED ANY MORE, .* it is still in .*\/shared: media, storage/)
    for (const number of [3, 1]) {
      const { output } = await deploy(site)
      assert.doesNotMatch(output, /NOT SHARED ANY MORE/)
      assert.equal(servedRelease(site), number)
      assert.ok(!existsSync(join(site.workTree, 'media')))
      assert.ok(!isLink(join(site.workTree, 'storage')))
      assert.equal(site.read('storage/app/a'), 'a')
    }
    site.configure({ SHARED_PATHS: 'storage media' })
    await deploy(site)
    assert.deepEqual(['media/a', 'storage/app/a'].map(site.read), ['a', 'a'])
  })

  it('of what is moved aside the newest is kept, also where the clock was set back, and the log names what is removed', async t => {
    const site = await newSharingSite(t, '.env')
    for (let number = 0; number < 13; number++) {
      mkdirSync(join(releases(site), 'replaced', `${9910 + number}-9999-01-01`), { recursive: true })
    }
    await deploy(site)
    writeFileSync(sharedFile(site, '.env'), 'old')
    rmSync(join(site.workTree, '.env'))
    writeFileSync(join(site.workTree, '.env'), 'new')
    const { output } = await deploy(site)
    assert.match(output, /REMOVED, because only the newest 10 are kept: .*\/9910-9999-01-01$/m)
    assert.equal(readdirSync(join(releases(site), 'replaced')).length, 10)
    assert.equal(readReplaced(site, '.env'), 'old')
  })

  it("the log names what is not shared where the bash hook's folder becomes a release", async t => {
    const site = await newSharingSite(t, 'media')
    const commit = await site.commit()
    await site.serverGit`git fetch --quiet ${site.clone} main:main`
    mkdirSync(site.workTree)
    await site.serverGit`git --work-tree=${site.workTree} checkout --force ${commit} -- .`
    mkdirSync(join(site.workTree, 'instance'))
    writeFileSync(join(site.workTree, 'instance/app.db'), 'data')
    writeFileSync(join(site.workTree, '.env'), 'KEY')
    const { output } = await deploy(site)
    assert.match(output, /NOT IN THE NEXT RELEASES, unless SHARED_PATHS names them: \.env, instance\/$/m)
  })
})
