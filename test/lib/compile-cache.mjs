// Without it, compiling the sources takes most of the time of a program that a test starts. It is not set in the
// environment, because steps would inherit it.
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/node', import.meta.url)))
