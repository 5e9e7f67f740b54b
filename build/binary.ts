import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { log } from '@yao-pkg/pkg/lib-es5/log.js'
import pkg from '@yao-pkg/pkg/lib-es5/sea.js'
import { nameOf, stripBase, type Target } from './base.ts'

/** Makes V8's code cache of a bundle. The base must run on this machine. */
export function makeCodeCache(base: string, bundled: string, cache: string): void {
  const program = join(import.meta.dirname, 'code-cache.cjs')
  // Without a seed, V8's hashes and so the cache would differ from run to run; NODE_OPTIONS could change V8's flags.
  execFileSync(base, ['--random-seed=42', program, bundled, cache], { env: {} })
}

/** Puts a base, without its symbols, where pkg looks for its own downloads if `work` is its home. */
export function offerBase(base: string, target: Target, work: string): void {
  const archive = join(work, '.pkg-cache/sea', `node-${process.version}-${nameOf(target)}`)
  const node = join(archive, 'bin/node')
  mkdirSync(dirname(node), { recursive: true })
  stripBase(base, node, target)
  for (const mark of [`${archive}.tar.gz`, `${archive}.tar.gz.ok`, `${node}.ok`]) writeFileSync(mark, '')
}

log.info = () => {}

/** Makes pkg inject a bundle and its code cache into that base, and moves the finished binary into place. */
export async function makeBinary({ os, arch }: Target, assets: Assets, binary: string, work: string): Promise<void> {
  const main = join(work, 'sea-main.cjs')
  copyFileSync(join(import.meta.dirname, 'sea-main.cjs'), main)
  const seaConfig = {
    // Relative to the temporary folder that pkg makes in `work`: Node stores this path, which must be the same anywhere.
    main: '../sea-main.cjs',
    assets,
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: false,
    // SIGUSR1 opens a debugger's port, a broken OPENSSL_CONF prevents the start, NODE_OPTIONS can run foreign code.
    // With its usual 1 MB for new objects V8 collects garbage twice in a deployment, 5 ms in all.
    // After `--` Node no longer looks for an --env-file of its own, to stop where it is missing.
    execArgv: ['--disable-sigusr1', '--openssl-config=/dev/null', '--min-semi-space-size=16', '--'],
    execArgvExtension: 'none',
  }
  const output = join(work, 'binary')
  const platform = os === 'darwin' ? 'macos' : os
  const targets = [{ platform, arch, nodeRange: `node${process.versions.node}`, output } as const]
  await withEnvironment({ HOME: work, TMPDIR: work }, () => pkg.default(main, { targets, seaConfig, signature: true }))
  chmodSync(output, 0o755)
  mkdirSync(dirname(binary), { recursive: true })
  renameSync(output, binary)
}

/** Files, by the names that sea-main.cjs asks for. */
interface Assets extends Record<string, string> {
  'bundle.js': string
  'code-cache': string
}

async function withEnvironment(variables: Record<string, string>, action: () => Promise<void>): Promise<void> {
  const before = Object.keys(variables).map(name => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  try {
    await action()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}
