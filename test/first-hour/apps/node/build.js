const { mkdirSync, writeFileSync, readFileSync } = require('node:fs')

mkdirSync('dist', { recursive: true })
writeFileSync('dist/page.txt', `version ${readFileSync('version.txt', 'utf8').trim()}\n`)
