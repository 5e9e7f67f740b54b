import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { separate } from '../../scripts/lib/hook/own-git.ts'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { environmentOf, type Site, startServer } from '../lib/site.ts'

/** What an installer of hooks does, and more. */
const spoils = [
  'git config core.hooksPath .husky/_',
  'git config user.name "$DEPLOY_COMMIT"',
  'git config gc.auto 1',
  'git maintenance register',
  'hooks=$(git rev-parse --git-common-dir)/hooks',
  'rm -rf "$hooks"',
  'mkdir "$hooks"',
  'printf "#!/bin/sh\\nexit 1\\n" | tee "$hooks/post-checkout" > "$hooks/post-receive"',
  'chmod +x "$hooks"/*',
].join('\n')

const asks = 'git describe --tags --dirty >> "$STEPS"; git status --porcelain >> "$STEPS"'

describe("A step's git", async () => {
  const { newSite } = await startServer({ after })

  /** What git goes by in the repository. */
  const surroundings = ({ repository }: Site) => [
    readFileSync(join(repository, 'config'), 'utf8'),
    ...readdirSync(join(repository, 'hooks')).map(name => [
      name,
      readFileSync(join(repository, 'hooks', name), 'utf8'),
    ]),
  ]

  for (const RELEASES of ['1', '3']) {
    it(`configures itself, and never the repository (RELEASES=${RELEASES})`, async t => {
      const site = await newSite(t)
      const isInPlace = RELEASES === '1'
      // In a folder that is kept, a remote is kept, too.
      const again = isInPlace ? '|| git remote get-url upstream' : ''
      site.write({ 'spoil.sh': `set -e\n${spoils}\ngit remote add upstream . ${again}\n` })
      const settings = { RELEASES, INSTALL_DEPS: `sh spoil.sh; ${asks}`, UPGRADE_DB: '', RESTART: '', SMOKE_TEST: '' }
      site.configure(settings)
      const before = surroundings(site)
      await site.commit()
      await site.git`git tag -a -m One v1`
      assertExit(await site.deploy(), 0)
      // The fourth uses the first one's folder again.
      for (let run = 2; run <= (isInPlace ? 2 : 4); run++) assertExit(await site.deploy(['--again']), 0)
      assert.deepEqual(new Set(site.steps()), new Set(['v1']))
      assert.deepEqual(surroundings(site), before)
      assert.equal((await site.workTreeGit`git config core.hooksPath`).stdout, '.husky/_\n')
      assert.equal((await site.git`git push ${site.url} HEAD:refs/heads/evil`.nothrow()).ok, false)
    })
  }

  it('is separated where an earlier version has left it, before a step of a release that is gone back to', async t => {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', INSTALL_DEPS: '', UPGRADE_DB: '', RESTART: 'git config a.b c', SMOKE_TEST: '' })
    const first = await site.commit()
    assertExit(await site.deploy(), 0)
    await site.commit({ 'page.txt': 'two\n' })
    assertExit(await site.deploy(), 0)
    const before = surroundings(site)
    for (const number of ['1', '2']) {
      const state = join(site.repository, 'pushlive/releases', number)
      for (const name of ['config', 'objects', 'refs', 'packed-refs', 'shallow']) rmSync(join(state, name))
      writeFileSync(join(state, 'commondir'), '../../..\n')
    }
    const { output } = assertExit(await site.deploy(['rollback']), 0)
    assert.doesNotMatch(output, /CHECKING OUT/)
    assert.equal(await site.live(), first)
    assert.deepEqual(surroundings(site), before)
    assert.equal((await site.workTreeGit`git config a.b`).stdout, 'c\n')
  })

  it('works again after its configuration was damaged, or its link to the objects', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: asks, UPGRADE_DB: '' })
    await site.commit()
    await site.git`git tag -a -m One v1`
    assertExit(await site.deploy(), 0)
    const state = join(site.repository, 'pushlive/work-tree')
    writeFileSync(join(state, 'config'), 'garbage \0 \n')
    rmSync(join(state, 'objects'))
    mkdirSync(join(state, 'objects/pack'), { recursive: true })
    assertExit(await site.deploy(['--again']), 0)
    assert.deepEqual(site.steps(), ['v1', 'v1'])
  })

  it('takes what the repository is configured to, and reads objects of its format', async t => {
    const folder = mkdtempSync(join(tmpdir(), 'own-git-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const $ = zx({ env: environmentOf(folder), cwd: folder, quiet: true })
    await $`git init --quiet --bare --object-format=sha256 app.git && git -C app.git config lfs.url ${'https://lfs.example'}`
    const gitDir = join(folder, 'app.git/pushlive/releases/12')
    mkdirSync(gitDir, { recursive: true })
    const commit = (await $`git -C app.git commit-tree -m One $(git -C app.git mktree < /dev/null)`).stdout.trim()
    writeFileSync(join(gitDir, 'HEAD'), `${commit}\n`)
    separate(gitDir, join(folder, 'app.git'))
    mkdirSync(join(folder, 'www'))
    writeFileSync(join(folder, 'www/.git'), `gitdir: ${gitDir}\n`)
    const git = $({ cwd: join(folder, 'www') })
    assert.equal(
      (await git`git log --format=%H && git status --porcelain && git config lfs.url`).stdout,
      `${commit}\nhttps://lfs.example\n`,
    )
  })
})

describe('A repository whose hooks a step has turned off', async () => {
  const { newSite } = await startServer({ after })

  it('is told by deploy, and mended by the next install', async t => {
    const site = await newSite(t)
    site.configure({ INSTALL_DEPS: '', UPGRADE_DB: '' })
    await site.commit()
    assertExit(await site.deploy(), 0)
    // As husky and lefthook did.
    await site.serverGit`git config core.hooksPath .husky/_ && rm hooks/update`
    writeFileSync(join(site.repository, 'hooks/post-checkout'), '#!/bin/sh\n[ -z "$LEFTHOOK" ] && exit 1\n', {
      mode: 0o755,
    })
    const commit = await site.commit()
    const { output } = assertExit(await site.deploy(), 5)
    assert.match(output, /core\.hooksPath leads git elsewhere .*post-receive install/)
    const install = zx({
      quiet: true,
      env: environmentOf(site.home),
    })`${program('post-receive')} install ${site.repository}`
    assert.match(
      (await install).stdout,
      /post-checkout\.before[\s\S]*core\.hooksPath was \.husky\/_, so .* it is unset/,
    )
    assertExit(await site.deploy(), 0)
    assert.equal(await site.live(), commit)
    assert.equal((await site.git`git push ${site.url} HEAD:refs/heads/evil`.nothrow()).ok, false)
  })
})
