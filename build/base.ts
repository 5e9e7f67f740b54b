import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The kind of machine that a binary is for, in the words of `process.platform` and `process.arch`. */
export interface Target {
  readonly os: 'linux' | 'darwin'
  readonly arch: string
}

export const root = join(import.meta.dirname, '..')
export const host: Target = { os: process.platform as Target['os'], arch: process.arch }
export const nameOf = ({ os, arch }: Target) => `${os}-${arch}`

/**
 * The Node that becomes the target's binaries, from the npm package that package-lock.json pins. If there is no package
 * for this machine (macOS; not tried yet), it is the Node that runs the build.
 *
 * @throws if another version of Node runs the build, because the layout of what is injected depends on the version
 */
export function findBase(target: Target, work: string): string {
  const name = `node-${nameOf(target)}`
  const pinned = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).optionalDependencies[name]
  if (pinned === undefined && nameOf(target) === nameOf(host)) return process.execPath
  if (pinned !== process.versions.node) {
    throw new Error(`${name} is ${pinned}, but this is Node ${process.versions.node}: start it by \`npm run build\`.`)
  }
  const node = join('node_modules', name, 'bin/node')
  if (existsSync(join(root, node))) return join(root, node)
  // npm has installed only the package for this machine.
  const folder = copyPackage(work)
  const foreign = [`--os=${target.os}`, `--cpu=${target.arch}`, '--omit=dev', '--ignore-scripts']
  execFileSync('npm', ['ci', ...foreign], { cwd: folder })
  return join(folder, node)
}

/** A folder for npm to work in. It has the project's name, because npm takes that from the folder. */
export function copyPackage(work: string): string {
  const folder = join(work, 'pushlive')
  mkdirSync(folder, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(root, file), join(folder, file))
  return folder
}

/** Copies a base without its symbols, 17 MB less. A binary that is stripped after the injection crashes. */
export function stripBase(base: string, stripped: string, { os, arch }: Target): void {
  if (os === 'linux') {
    const strip = `${arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu-strip`
    // A plain strip usually handles only this machine's binaries, and fails on others.
    for (const program of [strip, 'strip']) {
      if (spawnSync(program, ['--strip-all', '-o', stripped, base]).status === 0) return
    }
    console.log(`There is no ${strip} (binutils): binaries for ${os}-${arch} keep 17 MB of symbols.`)
  }
  copyFileSync(base, stripped)
}
