// A worker of pm2: starts server.js of the release that the link leads to now. See ecosystem.config.cjs.
const cluster = require('node:cluster')
const { realpathSync } = require('node:fs')
const { pathToFileURL } = require('node:url')

const release = realpathSync('/home/seita/flexmeasures')
process.chdir(release)

// A worker that just exits loses requests that it was given. This one answers them, and gives those that come back.
function stop() {
  if (cluster.worker.isConnected()) cluster.worker.disconnect()
}
cluster.worker.once('disconnect', () => process.exit())
process.on('SIGINT', stop)
process.on('message', message => message === 'shutdown' && stop())

import(pathToFileURL(`${release}/server.js`))
