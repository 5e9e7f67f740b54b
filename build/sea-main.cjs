// The main of every binary. The program that it runs has been compiled already: see code-cache.cjs.
const { getRawAsset } = require('node:sea')
const { Script } = require('node:vm')

// zx takes defaults from ZX_*, its shell among them.
for (const name of Object.keys(process.env)) if (name.startsWith('ZX_')) delete process.env[name]

// If the cache is empty or does not fit, V8 compiles as usual.
const program = new Script(Buffer.from(getRawAsset('bundle.js')).toString(), {
  filename: 'bundle.js',
  cachedData: new Uint8Array(getRawAsset('code-cache')),
})
program.runInThisContext()(exports, require, module, __filename, __dirname)
