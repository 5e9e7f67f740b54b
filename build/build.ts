import { copyFileSync, mkdirSync, mkdtempDisposableSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findBase, host, nameOf, root, type Target } from './base.ts'
import { makeBinary, makeCodeCache, offerBase } from './binary.ts'
import { bundleForBinary, bundleForNode } from './bundle.ts'
import { makePackages } from './packages/packages.ts'
import { completeRelease, compressAll } from './release.ts'
import { readVersion } from './version.ts'

const programs = ['deploy', 'setup-ssh', 'post-receive']
const released: Target[] = [
  { os: 'linux', arch: 'x64' },
  { os: 'linux', arch: 'arm64' },
]

// --uncompressed, because xz takes most of the time of a release.
const options = { release: { type: 'boolean' }, uncompressed: { type: 'boolean' } } as const
const { values, positionals } = parseArgs({ allowPositionals: true, options })
const targets = [host, ...released].filter(target => positionals.includes(nameOf(target)))
const unknown = positionals.filter(name => !targets.some(target => nameOf(target) === name))
if (unknown.length > 0) {
  console.error(`${unknown.join(' ')}: there are ${released.map(nameOf).join(' and ')}, and this machine.`)
  process.exit(2)
}
const version = readVersion()
console.log(`pushlive ${version}`)
const dist = join(root, 'dist')
mkdirSync(dist, { recursive: true })
// Inside dist, so that a rename can put the results into place.
using folder = mkdtempDisposableSync(join(dist, '.build-'))
const work = folder.path

for (const program of programs) bundleForBinary(`scripts/${program}.ts`, version, bundleOf(program))
const action = join(work, 'action')
bundleForNode('build/packages/action.ts', version, join(action, 'deploy.cjs'))
copyFileSync(join(import.meta.dirname, 'action.yml'), join(action, 'action.yml'))

if (values.release) {
  const release = join(work, 'release')
  bundleForBinary('build/packages/pushlive.ts', version, bundleOf('pushlive'))
  // A release's files are downloaded to one folder, so each has its platform in its name.
  const placeOf = (program: string, target: Target) =>
    join(program === 'pushlive' ? work : release, `${program}-${nameOf(target)}`)
  for (const target of released) {
    await build(target, [...programs, 'pushlive'], program => placeOf(program, target))
  }
  const inOne = new Map(released.map(target => [target, placeOf('pushlive', target)]))
  if (!values.uncompressed) compressAll(release)
  await makePackages(release, inOne, action, version, work)
  completeRelease(release, work)
  rmSync(join(dist, 'release'), { recursive: true, force: true })
  renameSync(release, join(dist, 'release'))
} else {
  for (const target of targets.length > 0 ? targets : [host]) {
    await build(target, programs, program => join(dist, nameOf(target), program))
  }
  rmSync(join(dist, 'action'), { recursive: true, force: true })
  renameSync(action, join(dist, 'action'))
}

async function build(target: Target, programs: readonly string[], placeOf: (program: string) => string) {
  const base = findBase(target, work)
  offerBase(base, target, work)
  // By its name and not by trial: whether this machine has an emulator must not change what is built.
  const runsHere = nameOf(target) === nameOf(host)
  if (!runsHere)
    console.log(`${nameOf(target)} does not run here: its binaries get no code cache and start 4 ms later.`)
  for (const program of programs) {
    const cache = join(work, 'code-cache')
    if (runsHere) makeCodeCache(base, bundleOf(program), cache)
    else writeFileSync(cache, '')
    const binary = placeOf(program)
    await makeBinary(target, { 'bundle.js': bundleOf(program), 'code-cache': cache }, binary, work)
    console.log(`${nameOf(target)} ${program}: ${(statSync(binary).size / 1e6).toFixed(1)} MB`)
  }
}

function bundleOf(program: string) {
  return join(work, `${program}.js`)
}
