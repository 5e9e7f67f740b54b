/** examples/pm2/ecosystem.config.cjs. */
export const ecosystem = `// pm2 serves the code in PATH_TO_GIT_WORK_TREE. At a reload it starts the new workers, and ends each old one as soon
// as a new one listens. It remembers the real path of \`script\` and \`cwd\` for ever, whatever this file says later: so
// both stay outside of the releases, and start.cjs looks where the link leads to.
//
//   PATH_TO_GIT_WORK_TREE=/home/seita/flexmeasures
//   RESTART="pm2 startOrReload /home/seita/ecosystem.config.cjs"
//   HEALTH_CHECK_URL=http://127.0.0.1:8000/health
//
// Before the first deployment: cd /home/seita && pm2 ping. pm2's own process stays in the folder where it was started.
module.exports = {
  apps: [
    {
      name: 'flexmeasures',
      script: '/home/seita/start.cjs',
      cwd: '/home/seita',
      exec_mode: 'cluster',
      instances: 2,
      // Milliseconds that an old worker has for the requests that run.
      kill_timeout: 30_000,
      // Milliseconds that a new worker has until it listens. After them pm2 ends the old one all the same.
      listen_timeout: 60_000,
    },
  ],
}
`

/** examples/pm2/start.cjs. */
export const start = `// A worker of pm2: starts server.js of the release that the link leads to now. See ecosystem.config.cjs.
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

import(pathToFileURL(\`\${release}/server.js\`))
`
