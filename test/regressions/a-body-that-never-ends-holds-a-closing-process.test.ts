import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { startServer } from '../helpers/server-process.js'
import { freshSettings } from '../helpers/settings.js'

// When a server begins to close, Node stops looking for requests that never arrive whole. One of those held the process
// until it was killed, with exit code 1.
t.test('O5 O6 a body that never ends is cut off while closing, too, and the process ends with 0', { timeout: 60_000 }, async (t) => {
  const server = startServer(t, await freshSettings(t))
  const { port } = new URL(await server.ready())
  const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
  t.teardown(() => socket.destroy())
  socket.resume()
  socket.write('POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n')
  // Its answer says that the request has begun.
  await once(socket, 'data')
  socket.write('{')
  const closed = once(socket, 'close')
  const toldAtMs = performance.now()
  const ended = server.kill('SIGTERM')
  await closed
  t.equal(await ended, 0)
  t.ok(performance.now() - toldAtMs < 10_000)
})
