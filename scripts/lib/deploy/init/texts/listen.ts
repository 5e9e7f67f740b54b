/** What `node --require` loads before the application of a unit with a socket. */
export const listen = `// Loaded before the application (node --require): the first server that listens takes the socket that systemd holds open,
// whatever port the code names. So requests that come during a restart wait. And at SIGTERM, which Node by itself takes for
// "at once", the requests that run are answered first.
const { Server } = require('node:net')

const isForUs = process.env.LISTEN_PID === String(process.pid) && process.env.LISTEN_FDS === '1'
if (isForUs) {
  const { listen, close } = Server.prototype
  Server.prototype.listen = function (...given) {
    Server.prototype.listen = listen
    process.on('SIGTERM', () => {
      // An application that listens to the signal ends by itself.
      if (process.listenerCount('SIGTERM') > 1) return
      // Not http's own, which would cut off a connection whose request has not been read yet.
      close.call(this, () => process.exit())
      setInterval(() => this.closeIdleConnections?.(), 200)
    })
    const callback = given.find(each => typeof each === 'function')
    return listen.call(this, { fd: 3 }, callback)
  }
}
// What the application starts is not meant.
for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete process.env[name]
`
