import assert from 'node:assert/strict'
import { chmodSync, chownSync, existsSync, mkdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { program } from '../lib/programs.ts'
import { type Site, startServer } from '../lib/site.ts'

const $ = zx({ quiet: true, nothrow: true })
const deployer = 65534
const webServer = 33
const as = (user: number, group = user) => ['--reuid', `${user}`, '--regid', `${group}`, '--clear-groups']

const releases = (site: Site) => `${site.workTree}.releases`
const servedRelease = (site: Site) => Number(readlinkSync(site.workTree).split('/').at(-1))
const describeFolder = (path: string) => {
  const { uid, gid, mode } = statSync(path)
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`
}

const isRoot = process.getuid?.() === 0

describe('A web server of another user', { skip: isRoot ? false : 'only root can make files of others' }, async () => {
  const { newSite } = await startServer({ after })
  type Test = Parameters<typeof newSite>[0]

  async function newServedSite(t: Test, settings: Record<string, string> = {}) {
    const site = await newSite(t)
    site.configure({ RELEASES: '3', SMOKE_TEST: '', INSTALL_DEPS: '', UPGRADE_DB: '', RESTART: '', ...settings })
    chmodSync(site.folder, 0o755)
    // git does not trust what belongs to another user.
    writeFileSync(join(site.home, '.gitconfig'), '[safe]\n\tdirectory = *\n')
    return site
  }

  /** Deploys through a local path, by a user and with a umask. */
  async function deploy(site: Site, user: number | undefined, umask: string, expected = 0, args: string[] = []) {
    if (args.length === 0) await site.commit({ 'page.txt': `${Math.random()}` })
    if (user !== undefined) await $`chown -R ${user}:${user} ${site.clone}`
    const env = { ...site.deployEnvironment, SSH_DEPLOYMENT_KEY: undefined, STAGING_REMOTE_REPO: site.repository }
    const run = user === undefined ? [] : ['setpriv', ...as(user)]
    const inClone = $({ cwd: site.clone, env })
    const { exitCode, stdout, stderr } = await inClone`
      umask ${umask}; exec ${run} ${program('deploy')} ${args}`
    return assertExit({ exitCode, output: `${stdout}${stderr}` }, expected).output
  }

  const read = (site: Site, file: string) => $`setpriv ${as(webServer)} cat ${join(site.workTree, file)}`

  it('reads each new release, whose folder is like the one that served: owner, group, setgid, and what the umask hid', async t => {
    const site = await newServedSite(t, {
      RELEASES: '1',
      SHARED_PATHS: 'media',
      INSTALL_DEPS: 'mkdir -p made; echo made > made/file',
    })
    mkdirSync(site.workTree)
    chownSync(site.workTree, deployer, webServer)
    chmodSync(site.workTree, 0o2750)
    await deploy(site, undefined, '027')
    mkdirSync(join(site.workTree, 'media'))
    writeFileSync(join(site.workTree, 'media/picture'), 'picture')
    site.configure({ RELEASES: '3' })
    for (const number of [2, 3, 1, 2]) {
      await deploy(site, undefined, '077')
      assert.equal(servedRelease(site), number)
      assert.equal(describeFolder(join(releases(site), `${number}`)), `${deployer}:${webServer} 2750`)
      for (const file of ['page.txt', 'made/file', 'media/picture']) {
        const { ok, stderr } = await read(site, file)
        assert.ok(ok, stderr)
      }
      const others = await $`setpriv ${as(12345)} cat ${join(site.workTree, 'page.txt')}`
      assert.ok(!others.ok, 'and nobody else does')
    }
  })

  it('that could not read a new release, because its group cannot be given, makes the deployment fail and say so', async t => {
    const site = await newServedSite(t)
    await $`chown -R ${deployer}:${deployer} ${site.folder}`
    await deploy(site, deployer, '022')
    chownSync(join(releases(site), '1'), deployer, webServer)
    chmodSync(join(releases(site), '1'), 0o2750)
    const output = await deploy(site, deployer, '022', 1)
    assert.match(output, /www\.releases\/2 cannot be as open as .*\/1: its web server could not read it\./)
    assert.match(output, /usermod --append --groups www-data nobody/)
    assert.equal(servedRelease(site), 1)

    chmodSync(join(releases(site), '1'), 0o2755)
    await deploy(site, deployer, '022')
    assert.equal(servedRelease(site), 2)
  })

  it('whose folder has replaced a link keeps it, or root is asked to move it where it cannot be moved', async t => {
    const site = await newServedSite(t, { SHARED_PATHS: 'media' })
    await $`chown -R ${deployer}:${deployer} ${site.folder}`
    const replace = async () => {
      const media = join(site.workTree, 'media')
      await $`rm -rf ${media} && mkdir ${media} && touch ${media}/picture && chown -R ${webServer}:${webServer} ${media}`
    }
    await deploy(site, deployer, '022')
    await replace()
    const output = await deploy(site, deployer, '022', 1)
    assert.match(output, /media, which SHARED_PATHS names, cannot be shared\./)
    assert.match(output, /To do: as root, move it to .*\/shared\/media, or give it to the user who deploys/)
    assert.equal(describeFolder(join(site.workTree, 'media')), `${webServer}:${webServer} 755`)
    await deploy(site, undefined, '022')
    assert.equal(describeFolder(join(site.workTree, 'media/')), `${webServer}:${webServer} 755`)
    writeFileSync(join(site.workTree, 'media/another'), '')
    await replace()
    await deploy(site, undefined, '022')
    assert.equal(describeFolder(join(site.workTree, 'media/')), `${webServer}:${webServer} 755`)
    assert.ok(existsSync(join(site.workTree, 'media/another')))
  })

  it('whose files cannot be removed: they are named, with two ways out, and another release is used', async t => {
    const site = await newServedSite(t, { RELEASES: '4' })
    site.write({ 'cache/.gitkeep': 'first' })
    await $`chown -R ${deployer}:${deployer} ${site.folder}`
    for (const number of [1, 2, 3, 4]) {
      await deploy(site, deployer, '022')
      assert.equal(servedRelease(site), number)
    }
    const cache = join(releases(site), '1/cache')
    writeFileSync(join(cache, 'page'), '')
    await $`chown -R ${webServer}:${webServer} ${cache}`
    site.write({ 'cache/.gitkeep': 'second' })
    const failed = await deploy(site, deployer, '022', 1)
    assert.match(failed, /nobody cannot remove files of www-data in .*\/1: cache\/\.gitkeep, cache\/page\./)
    assert.match(failed, /To do: put their folders into SHARED_PATHS; or run the web server as the user who deploys/)
    // As Go does with its modules.
    const own = join(releases(site), '2/modules')
    await $`mkdir ${own} && touch ${own}/module && chown -R ${deployer}:${deployer} ${own} && chmod 555 ${own}`
    const check = await deploy(site, deployer, '022', 1, ['check'])
    assert.match(check, /nobody cannot remove files of www-data in .*\/1: /)
    assert.doesNotMatch(check, /files of nobody/)
    await deploy(site, deployer, '022')
    assert.equal(servedRelease(site), 2)
    assert.ok(!existsSync(own))
    const install = await $`setpriv ${as(deployer)} ${program('post-receive')} install ${site.repository}`
    assert.match(`${install}`, /nobody cannot remove files of www-data in .*\/1: /)
  })
})
