const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const express = require('express')

const page = readFileSync(join(__dirname, 'dist/page.txt'), 'utf8')
const app = express()
app.get('/', (_request, response) => response.type('text').send(page))
app.listen(process.env.PORT || 3000, '127.0.0.1')
