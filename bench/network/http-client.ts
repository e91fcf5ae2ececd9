// Asks a server for one page over and over, in a process of its own so that it does not take the
// host's time: node http-client.ts PORT CONNECTIONS WARM-UP-SECONDS SECONDS. Connections are kept, one
// request is under way on each. Prints the requests a second after the warm-up.

import { connect } from 'node:net'

const [port = 0, connections = 1, warmUpSeconds = 0, seconds = 1] = process.argv
  .slice(2)
  .map(Number)
const REQUEST = 'GET / HTTP/1.1\r\nHost: guest\r\n\r\n'

let requests = 0

/** One connection, one request at a time. */
function ask(): void {
  const socket = connect(port, '127.0.0.1', () => socket.write(REQUEST))
  let received = ''
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.on('close', () => setTimeout(ask, 10))
  socket.on('data', (bytes) => {
    received += bytes.toString('latin1')
    const end = received.indexOf('\r\n\r\n')
    const length = Number(/content-length: (\d+)/i.exec(received)?.[1])
    if (end < 0 || received.length < end + 4 + length) return
    received = ''
    requests++
    socket.write(REQUEST)
  })
}

for (let i = 0; i < connections; i++) ask()
setTimeout(() => {
  requests = 0
  const start = performance.now()
  setTimeout(() => {
    console.log((requests / (performance.now() - start)) * 1000)
    process.exit()
  }, seconds * 1000)
}, warmUpSeconds * 1000)
