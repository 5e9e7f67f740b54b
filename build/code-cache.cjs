// Compiles every function of a bundle, and writes V8's code cache. V8 accepts it only with the same version, flags and
// architecture, so the binary's own base runs this.
const { readFileSync, writeFileSync } = require('node:fs')
const { setFlagsFromString } = require('node:v8')
const { Script } = require('node:vm')

const [, , bundle, cache] = process.argv
const source = readFileSync(bundle, 'utf8')

// Lazy compilation would leave out the functions that have not run. A cache made after a run starts no faster, and is
// never the same twice.
setFlagsFromString('--no-lazy')
const program = new Script(source, { filename: 'bundle.js' })
// The cache contains the flags that it was made with. They have to be the binary's, which are V8's defaults.
setFlagsFromString('--lazy')
writeFileSync(cache, program.createCachedData())
