// Compiles a bundle, every function of it, and writes V8's code cache. V8 accepts it in the same version and flags for
// the same architecture only, so the binary's own base runs this.
const { readFileSync, writeFileSync } = require('node:fs')
const { setFlagsFromString } = require('node:v8')
const { Script } = require('node:vm')

const [, , bundle, cache] = process.argv
const source = readFileSync(bundle, 'utf8')

// Lazy compilation would leave out each function that has not run, and a run differs from the next one: a cache made
// after it starts no faster, and is never the same twice.
setFlagsFromString('--no-lazy')
const program = new Script(source, { filename: 'bundle.js' })
// The cache states the flags that it was made with, and the binary runs with V8's own.
setFlagsFromString('--lazy')
writeFileSync(cache, program.createCachedData())
