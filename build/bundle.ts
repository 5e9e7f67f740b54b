import { chmodSync } from 'node:fs'
import { type BuildOptions, buildSync } from 'esbuild'
import { root } from './base.ts'

/** Bundles a script for its binary, as a function with the parameters of a CommonJS module. */
export function bundleForBinary(script: string, version: string, outfile: string): void {
  bundle(script, version, outfile, {
    target: 'node24',
    // In a vm.Script, `import()` would need a loader of its own.
    supported: { 'dynamic-import': false },
    banner: { js: '(function(exports,require,module,__filename,__dirname){' },
    footer: { js: '})' },
  })
}

/** Bundles a script into a program for any Node from 20.16 on: zx cannot load Node's modules in older ones. */
export function bundleForNode(script: string, version: string, outfile: string): void {
  // zx takes defaults from ZX_*, its shell among them.
  const clean = "for (const name of Object.keys(process.env)) if (name.startsWith('ZX_')) delete process.env[name]"
  bundle(script, version, outfile, { target: 'node20.16', banner: { js: `#!/usr/bin/env node\n${clean}` } })
  chmodSync(outfile, 0o755)
}

function bundle(script: string, version: string, outfile: string, options: BuildOptions) {
  buildSync({
    absWorkingDir: root,
    entryPoints: [script],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    // The bundle has the names of its files, which must be the same if node_modules is a link.
    preserveSymlinks: true,
    // People read the names in a stack trace, and Node shows them the whole line that an error comes from.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 120,
    legalComments: 'none',
    define: { PUSHLIVE_VERSION: JSON.stringify(version) },
    logLevel: 'warning',
    ...options,
  })
}
