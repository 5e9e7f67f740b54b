import { execFile, execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { nameOf, root, type Target } from '../base.ts'
import { bundleForNode } from '../bundle.ts'
import { manPage } from './man.ts'

const here = import.meta.dirname
const { version, description, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** What a platform's packages are named after. @see https://peps.python.org/pep-0600 */
const architectures: Record<string, { debian: string; wheel: string }> = {
  x64: { debian: 'amd64', wheel: 'x86_64' },
  arm64: { debian: 'arm64', wheel: 'aarch64' },
}

/**
 * Adds to a release what package managers install: an action, a package for npm, and for each platform a wheel and a
 * Debian package of its binary. They are bit for bit the same on every machine that builds them.
 *
 * @param action the folder of the action
 * @param builtVersion what the programs say of themselves
 */
export async function makePackages(
  release: string,
  binaries: ReadonlyMap<Target, string>,
  action: string,
  builtVersion: string,
  work: string,
): Promise<void> {
  const time = commitTime()
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(time), LC_ALL: 'C.UTF-8', TZ: 'UTC' }
  const command = (cwd: string, program: string, ...args: string[]) => promisify(execFile)(program, args, { cwd, env })

  copyFileSync(join(action, 'deploy.cjs'), join(release, 'deploy.cjs'))
  const everywhere = [
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=u=rwX,go=rX',
    `--mtime=@${time}`,
  ]
  await command(
    action,
    'tar',
    ...everywhere,
    '-czf',
    join(release, 'pushlive-action.tar.gz'),
    'action.yml',
    'deploy.cjs',
  )

  const npm = join(work, 'npm')
  write(npm, npmPackage)
  bundleForNode(join(here, 'npm.ts'), builtVersion, join(npm, 'pushlive.cjs'))
  await command(npm, 'npm', 'pack', '--silent', '--pack-destination', release)

  const venv = join(work, 'venv')
  await command(work, 'python3', '-m', 'venv', venv)
  const requirements = ['--require-hashes', '--requirement', join(here, 'requirements.txt')]
  await command(work, join(venv, 'bin/pip'), 'install', '--quiet', '--disable-pip-version-check', ...requirements)
  const page = manPage([process.execPath, '--', join(here, 'pushlive.ts')], new Date(time * 1000))
  const making = [...binaries].map(async ([target, binary]) => {
    const { debian, wheel } = architectures[target.arch] ?? { debian: target.arch, wheel: target.arch }
    const wheelFolder = join(work, 'wheel', nameOf(target))
    write(wheelFolder, wheelPackage(binary, wheel))
    const hatch = ['-m', 'hatchling', 'build', '--target', 'wheel', '--directory', release]
    await command(wheelFolder, join(venv, 'bin/python'), ...hatch)
    const debianFolder = join(work, 'debian', nameOf(target))
    write(debianFolder, debianPackage(binary, debian, page))
    const file = join(release, `pushlive_${version}_${debian}.deb`)
    await command(work, 'dpkg-deb', '--root-owner-group', '-Zxz', '-z1', '--build', debianFolder, file)
  })
  await Promise.all(making)
}

/** Of the commit, in seconds; without git another day that is the same for all. */
function commitTime(): number {
  try {
    return Number(
      execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] }),
    )
  } catch {
    return Date.UTC(2026, 0) / 1000
  }
}

/** What a package has: texts, and copies of files or folders. */
type Files = Record<string, string | Buffer | { readonly copyOf: string; readonly mode?: number }>

const documents: Files = {
  'README.md': { copyOf: join(root, 'README.md') },
  LICENSE: { copyOf: join(root, 'LICENSE') },
}

const npmPackage: Files = {
  ...documents,
  'package.json': JSON.stringify({
    name: 'pushlive',
    version,
    description,
    license,
    bin: { pushlive: 'pushlive.cjs' },
    engines: { node: '>=20.16' },
    files: ['pushlive.cjs'],
  }),
}

const wheelPackage = (binary: string, architecture: string): Files => ({
  ...documents,
  'bin/pushlive': { copyOf: binary, mode: 0o755 },
  'hatch_build.py': { copyOf: join(here, 'hatch_build.py') },
  'pyproject.toml': `[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "pushlive"
version = "${version}"
description = "${description}"
license = "${license}"
license-files = ["LICENSE"]
readme = "README.md"
requires-python = ">=3.8"
classifiers = ["Operating System :: POSIX :: Linux", "Topic :: Software Development :: Version Control :: Git"]

[tool.hatch.build.targets.wheel]
bypass-selection = true

[tool.hatch.build.targets.wheel.shared-scripts]
"bin/pushlive" = "pushlive"

[tool.hatch.build.targets.wheel.hooks.custom]
tag = "py3-none-manylinux_2_28_${architecture}"
`,
})

const debianPackage = (binary: string, architecture: string, page: string): Files => ({
  'usr/bin/pushlive': { copyOf: binary, mode: 0o755 },
  'usr/share/man/man1/pushlive.1.gz': gzipSync(page, { level: 9 }),
  'usr/share/bash-completion/completions/pushlive': { copyOf: join(here, 'completion.bash') },
  'usr/share/doc/pushlive/copyright': { copyOf: join(root, 'LICENSE') },
  'usr/share/doc/pushlive/changelog.gz': gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 }),
  ...Object.fromEntries(
    ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', '.env.example', 'docs', 'examples'].map(path => [
      `usr/share/doc/pushlive/${path}`,
      { copyOf: join(root, path) },
    ]),
  ),
  'DEBIAN/control': `Package: pushlive
Version: ${version}
Architecture: ${architecture}
Maintainer: The pushlive maintainers <maintainers@pushlive.invalid>
Section: vcs
Priority: optional
Installed-Size: ${Math.ceil(statSync(binary).size / 1024)}
Depends: libc6 (>= 2.28), libstdc++6, bash, git, openssh-client
Recommends: make, util-linux
Description: ${description.split(':')[0].toLowerCase()}
 pushlive deploy pushes a branch from CI to a bare repository on a server, where
 the hook post-receive puts it live. Its exit code says whether the commit is
 live. pushlive setup-ssh makes the deploy key, and with --hook the repository.
`,
})

/** Writes files with modes that do not depend on who builds. */
function write(folder: string, files: Files): void {
  for (const [path, file] of Object.entries(files)) {
    const place = join(folder, path)
    mkdirSync(dirname(place), { recursive: true })
    if (typeof file === 'string' || Buffer.isBuffer(file)) writeFileSync(place, file)
    else cpSync(file.copyOf, place, { recursive: true })
    if (typeof file === 'object' && 'mode' in file && file.mode) chmodSync(place, file.mode)
  }
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const place = join(entry.parentPath, entry.name)
    chmodSync(place, entry.isDirectory() || statSync(place).mode & 0o100 ? 0o755 : 0o644)
  }
  chmodSync(folder, 0o755)
}
