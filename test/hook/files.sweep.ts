import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { assertExit } from '../lib/exit.ts'
import { type Site, startServer } from '../lib/site.ts'

const write = (site: Site, files: Record<string, string>) => {
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(site.workTree, file)), { recursive: true })
    writeFileSync(join(site.workTree, file), content)
  }
}

/** Verifies that the work tree has exactly the commit's files, and that git agrees. */
async function verifyExact(site: Site, commit: string) {
  assert.equal((await site.workTreeGit`git rev-parse HEAD`).stdout.trim(), commit)
  assert.equal((await site.workTreeGit`git -c core.sparseCheckout=false diff ${commit}`).stdout, '')
  assert.equal((await site.workTreeGit`git status --porcelain --untracked-files=no`).stdout, '')
}

describe('An untracked file in the work tree', async () => {
  const { newSite } = await startServer({ after })

  const cases: Record<string, { untracked: Record<string, string>; adds: Record<string, string>; named: RegExp }> = {
    'a file': { untracked: { 'local.cfg': 'mine' }, adds: { 'local.cfg': 'theirs' }, named: /local\.cfg/ },
    'an ignored file': { untracked: { 'x.log': 'mine' }, adds: { 'x.log': 'theirs' }, named: /x\.log/ },
    'a folder': {
      untracked: { 'data/db': 'mine', 'data/deep/er': 'mine' },
      adds: { data: 'a file' },
      named: /data\/db/,
    },
    'a virtual environment': {
      untracked: { 'venv/bin/python': 'mine' },
      adds: { venv: 'a file' },
      named: /venv\/bin\/python/,
    },
    'a file for a folder': { untracked: { instance: 'mine' }, adds: { 'instance/config': 'x' }, named: /instance/ },
    'a repository': {
      untracked: { 'sub/.git/HEAD': 'ref: refs/heads/x' },
      adds: { sub: 'a file' },
      named: /sub\/\.git/,
    },
  }
  for (const [name, { untracked, adds, named }] of Object.entries(cases)) {
    it(`is named where ${name} collides with the commit: the commit is refused, and nothing is changed`, async t => {
      const site = await newSite(t)
      const live = await site.commit({ '.gitignore': '*.log\n' })
      await site.deploy()
      site.steps()
      write(site, untracked)
      site.write(adds)
      await site.git`git add --force --all`
      await site.commit({ 'page.txt': 'two\n' })
      const { output } = assertExit(await site.deploy(), 1)
      assert.match(output, /are in the way/)
      assert.match(output, named)
      assert.match(output, new RegExp(`${live} is live as before: nothing was changed`))
      assert.deepEqual(site.steps(), [])
      assert.equal(site.read('page.txt'), 'one\n')
      for (const [file, content] of Object.entries(untracked)) assert.equal(site.read(file), content)
      for (const file of Object.keys(untracked))
        rmSync(join(site.workTree, file.split('/')[0] ?? ''), { recursive: true, force: true })
      assertExit(await site.deploy(), 0)
    })
  }

  it('stays when a deployed commit fails and the previous one is put back', async t => {
    const site = await newSite(t)
    site.configure({ UPGRADE_DB: 'test "$(cat page.txt)" = one' })
    await site.commit()
    await site.deploy()
    const untracked = { 'inst.cfg': 'mine', 'instance/db': 'mine', '.env': 'SECRET=1' }
    write(site, untracked)
    await site.commit({ 'page.txt': 'two\n', 'other/file': 'x' })
    assertExit(await site.deploy(), 1)
    for (const [file, content] of Object.entries(untracked)) assert.equal(site.read(file), content)
    assert.equal(site.read('page.txt'), 'one\n')
    assert.equal(existsSync(join(site.workTree, 'other')), false)
  })

  it('does not stop a commit with the same content', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    write(site, { 'same.txt': 'the same' })
    const commit = await site.commit({ 'same.txt': 'the same' })
    assertExit(await site.deploy(), 0)
    await verifyExact(site, commit)
  })
})

describe('A name that is not UTF-8, or no word', async () => {
  const { newSite } = await startServer({ after })

  const latin1 = ['caf\xe9.txt', 'donn\xe9es/\xfcber/x\xff', 'a\nb', '"quoted"', 'back\\slash', '\x1b[31mred\x07\t']
  const names = [...latin1, '=', ' blank ', '-f', Buffer.from('é🚀').toString('latin1')]
  const at = (folder: string, name: string) => Buffer.from(`${folder}/${name}`, 'latin1')
  const read = (site: Site, name: string) => readFileSync(at(site.workTree, name), 'utf8')
  function put(folder: string, content: string, some: readonly string[] = names) {
    for (const name of some) {
      mkdirSync(at(folder, dirname(name)), { recursive: true })
      writeFileSync(at(folder, name), content)
    }
  }
  const assertShown = (output: string, before: string) => {
    assert.match(output, new RegExp(`${before}[^\n]*caf\ufffd\\.txt`))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these move a terminal's cursor
    assert.doesNotMatch(output, /[\x00-\x09\x0b-\x1f]/)
  }

  it('saves an untracked file as any other does, where a commit has one of that name or of a folder of it', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    put(site.workTree, 'mine')
    put(site.clone, 'theirs')
    const commit = await site.commit()
    assertShown(assertExit(await site.deploy(), 1).output, 'in the way in .*: ')
    for (const name of names) assert.equal(read(site, name), 'mine')

    // Content that git has is not lost; and a folder becomes a file.
    put(site.workTree, 'theirs')
    assertExit(await site.deploy(), 0)
    await verifyExact(site, commit)
    put(site.workTree, 'mine', ['donn\xe9es/\xe8'])
    rmSync(at(site.clone, 'donn\xe9es'), { recursive: true })
    put(site.clone, 'a file', ['donn\xe9es'])
    await site.commit()
    assert.match(assertExit(await site.deploy(), 1).output, /in the way in .*: donn\ufffdes\/\ufffd\.$/m)
    assert.equal(read(site, 'donn\xe9es/\xe8'), 'mine')
  })

  it('is like any other in a commit: edited by hand, changed by a step, removed, and where the state is lost', async t => {
    const site = await newSite(t)
    put(site.clone, 'one')
    site.configure({ INSTALL_DEPS: `echo compiled > "$(printf 'caf\\351.txt')"` })
    await site.commit()
    await site.deploy()
    assert.match(assertExit(await site.deploy(), 0).output, /already live/)
    put(site.workTree, 'edited')
    const again = assertExit(await site.deploy(), 0)
    assertShown(again.output, 'LOCAL CHANGES UNDONE: ')
    for (const name of names) assert.equal(read(site, name), name === 'caf\xe9.txt' ? 'compiled\n' : 'one')

    site.configure({ INSTALL_DEPS: '' })
    put(site.workTree, 'mine', ['\xe9t\xe9'])
    put(site.clone, 'theirs', ['\xe9t\xe9'])
    for (const name of names) rmSync(at(site.clone, name))
    const commit = await site.commit()
    for (const file of ['HEAD', 'index']) rmSync(join(site.repository, 'pushlive/work-tree', file))
    const { output } = assertExit(await site.deploy(), 0)
    const [, aside = ''] = /MOVED TO (\S+), because they belong to no known commit: \ufffdt\ufffd/.exec(output) ?? []
    assert.equal(readFileSync(at(aside, '\xe9t\xe9'), 'utf8'), 'mine', output)
    await verifyExact(site, commit)
    for (const name of names) assert.equal(existsSync(at(site.workTree, name)), false)
  })
})

describe('Changes by hand in the work tree', async () => {
  const { newSite } = await startServer({ after })

  it('of tracked files are undone, and named', async t => {
    const site = await newSite(t)
    await site.commit({ 'kept.txt': 'kept', 'folder/file': 'x' })
    await site.deploy()
    write(site, { 'page.txt': 'edited\n' })
    rmSync(join(site.workTree, 'kept.txt'))
    const commit = await site.commit({ 'other.txt': 'x' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /LOCAL CHANGES UNDONE: kept\.txt, page\.txt/)
    await verifyExact(site, commit)
  })

  it('are undone even where git was told not to look: assume-unchanged, skip-worktree, sparse', async t => {
    const site = await newSite(t)
    await site.commit({ 'a.txt': 'a', 'b.txt': 'b', 'c/file': 'c' })
    await site.deploy()
    await site.workTreeGit`git update-index --assume-unchanged a.txt`
    await site.workTreeGit`git update-index --skip-worktree b.txt`
    write(site, { 'a.txt': 'edited', 'b.txt': 'edited' })
    const commit = await site.commit({ 'd.txt': 'd' })
    assertExit(await site.deploy(), 0)
    await verifyExact(site, commit)
    assert.deepEqual([site.read('a.txt'), site.read('b.txt')], ['a', 'b'])
    await site.workTreeGit`git sparse-checkout set --no-cone a.txt`
    assert.equal(existsSync(join(site.workTree, 'c/file')), false)
    const next = await site.commit({ 'e.txt': 'e' })
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('c/file'), 'c')
    await verifyExact(site, next)
  })

  it("may be a checkout of the branch itself: exactly the commit's files are deployed", async t => {
    const site = await newSite(t)
    await site.commit({ 'gone.txt': 'x' })
    await site.deploy()
    await site.workTreeGit`git checkout --quiet main`
    const commit = await site.commit({ 'gone.txt': undefined, 'page.txt': 'two\n' })
    assertExit(await site.deploy(), 0)
    await verifyExact(site, commit)
    assert.equal(existsSync(join(site.workTree, 'gone.txt')), false)
  })

  it('are named even where the branch was checked out by hand', async t => {
    const site = await newSite(t)
    await site.commit({ 'other.txt': 'as committed\n' })
    await site.deploy()
    await site.workTreeGit`git checkout --quiet -B main HEAD`
    writeFileSync(join(site.workTree, 'other.txt'), 'edited\n')
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /LOCAL CHANGES UNDONE: other\.txt$/m)
    assert.equal(site.read('other.txt'), 'as committed\n')
  })

  it('may add a file to the index, which is not lost', async t => {
    const site = await newSite(t)
    await site.commit()
    await site.deploy()
    write(site, { 'mine.txt': 'mine' })
    await site.workTreeGit`git add mine.txt`
    await site.commit({ 'page.txt': 'two\n' })
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('mine.txt'), 'mine')
  })

  it('may put a link in place of a folder: it is undone and named, and nothing is written to its target', async t => {
    const site = await newSite(t)
    await site.commit({ 'media/tracked': 'x' })
    await site.deploy()
    const elsewhere = join(site.folder, 'elsewhere')
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, 'mine'), 'mine')
    rmSync(join(site.workTree, 'media'), { recursive: true })
    symlinkSync(elsewhere, join(site.workTree, 'media'))
    const commit = await site.commit({ 'media/tracked': 'y' })
    const { output } = assertExit(await site.deploy(), 0)
    assert.match(output, /LOCAL CHANGES UNDONE: media\/tracked/)
    await verifyExact(site, commit)
    assert.deepEqual(readdirSync(elsewhere), ['mine'])
  })

  it('are undone even where the commit is live already', async t => {
    const site = await newSite(t)
    const commit = await site.commit()
    await site.deploy()
    site.steps()
    write(site, { 'page.txt': 'edited\n' })
    assertExit(await site.deploy(), 0)
    assert.equal(site.read('page.txt'), 'one\n')
    await verifyExact(site, commit)
  })
})

describe('A work tree of another repository', async () => {
  const { newSite } = await startServer({ after })

  it("is refused, with what to do; once that is done, exactly the commit's files are there", async t => {
    const [site, other] = [await newSite(t), await newSite(t)]
    await site.commit({ 'only-of-a': 'a' })
    await site.deploy()
    other.configure({ PATH_TO_GIT_WORK_TREE: site.workTree, PATH_TO_WSGI: join(site.workTree, 'wsgi.py') })
    await other.commit({ 'page.txt': 'the other\n' })
    const { output } = assertExit(await other.deploy(), 1)
    assert.match(output, new RegExp(`belongs to another repository, ${site.repository}`))
    assert.equal(site.read('page.txt'), 'one\n')
    const commit = await site.commit({ 'page.txt': 'two\n' })
    assertExit(await site.deploy(), 0)
    await verifyExact(site, commit)
  })

  it('is taken over where the other repository no longer exists', async t => {
    const [site, other] = [await newSite(t), await newSite(t)]
    await site.commit()
    await site.deploy()
    rmSync(site.repository, { recursive: true })
    other.configure({ PATH_TO_GIT_WORK_TREE: site.workTree, PATH_TO_WSGI: join(site.workTree, 'wsgi.py') })
    await other.commit({ 'page.txt': 'one\n' })
    assertExit(await other.deploy(), 0)
  })
})

describe('A step that moves the work tree', async () => {
  const { newSite } = await startServer({ after })

  it('to another commit makes the deployment red, and the previous code is put back', async t => {
    const site = await newSite(t)
    const live = await site.commit()
    await site.deploy()
    const move = 'git commit --quiet --allow-empty -m mine'
    site.configure({
      INSTALL_DEPS: `test "$(cat page.txt)" != two || ${move}`,
      RESTART: `echo restart >> "$STEPS"; test "$(cat page.txt)" != three || ${move}`,
    })
    site.steps()
    for (const [name, value] of [
      ['user.name', 'x'],
      ['user.email', 'x'],
    ])
      await site.serverGit`git config ${name} ${value}`
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /a step has moved it/)
    await verifyExact(site, live)
    assert.ok(!site.steps().includes('restart'), output)
    await site.commit({ 'page.txt': 'three\n' })
    const restarted = assertExit(await site.deploy(), 1)
    assert.match(restarted.output, /a step has moved it/)
    await verifyExact(site, live)
  })

  it('away makes the deployment red, and the previous code is put back', async t => {
    const site = await newSite(t)
    const live = await site.commit()
    await site.deploy()
    site.configure({ INSTALL_DEPS: 'test "$(cat page.txt)" = one || rm -rf "$PWD"' })
    await site.commit({ 'page.txt': 'two\n' })
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /is back in place/)
    await verifyExact(site, live)
    assert.equal(readFileSync(join(site.workTree, 'page.txt'), 'utf8'), 'one\n')
  })
})

describe('A checkout', async () => {
  const { newSite } = await startServer({ after })

  it('that a post-checkout hook fails silently is red, with a reason; without the hook it is green', async t => {
    const site = await newSite(t)
    const hook = join(site.repository, 'hooks/post-checkout')
    writeFileSync(hook, '#!/bin/sh\nexit 1\n', { mode: 0o755 })
    const commit = await site.commit()
    const { output } = assertExit(await site.deploy(), 1)
    assert.match(output, /cannot be checked out[\s\S]*a post-checkout hook of the repository fails/)
    assert.deepEqual(site.steps(), [])
    rmSync(hook)
    assertExit(await site.deploy(), 0)
    await verifyExact(site, commit)
  })

  it('leaves a submodule as an empty folder and files of git LFS as pointers, and names those that no step fills', async t => {
    const site = await newSite(t)
    // Where git LFS is installed, it would get the file.
    const plain =
      'git config filter.lfs.required false; git config filter.lfs.smudge cat; git config filter.lfs.process ""'
    await site.serverGit`sh -c ${plain}`
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'
    const first = await site.commit({ '.gitattributes': '*.bin filter=lfs\n', 'logo.bin': pointer, '.gitmodules': '' })
    await site.git`git update-index --add --cacheinfo ${`160000,${first},library`}`
    await site.git`git commit --quiet --message ${'With a submodule'}`
    const { output } = assertExit(await site.deploy(), 0)
    assert.deepEqual(readdirSync(join(site.workTree, 'library')), [])
    assert.match(output, /^remote: SUBMODULES ARE EMPTY: library \(git submodule update/m)
    assert.match(output, /^remote: FILES ARE ONLY POINTERS OF GIT LFS: logo\.bin \(git lfs pull/m)
    site.configure({ INSTALL_DEPS: 'touch library/file; echo picture >logo.bin' })
    const filled = assertExit(await site.deploy(['--again']), 0)
    assert.doesNotMatch(filled.output, /SUBMODULES|POINTERS/)
  })
})
