// Compiling the sources takes several times as long as what most programs of a test do. Not by the environment: steps
// would inherit it.
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/node', import.meta.url)))
