import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createHttp } from '../../src/client/http.js'

const ASKED = { headers: {}, timeoutMs: 2_000 }
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Serves raw answers. @param onRequest gets the connection and the number of the request on it */
async function serve (t: Test, onRequest: (socket: Socket, number: number) => void) {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    let number = 0
    socket.on('error', () => {}).on('data', () => { onRequest(socket, ++number) })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const http = createHttp(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => {
    http.close()
    server.close()
  })
  return { http, connections: () => connections }
}

t.test('a kept connection that is closed at the moment of a request is no fault: the request goes out again', async (t) => {
  const { http, connections } = await serve(t, (socket, number) => {
    if (number === 1) socket.write(ANSWER)
    else socket.resetAndDestroy()
  })
  await Promise.all(Array.from({ length: 3 }, () => http.get('/', ASKED)))
  t.equal(connections(), 3)
  t.match(await http.get('/', ASKED), { status: 200, text: 'ok' })
  t.equal(connections(), 4, 'each kept connection was tried once')
})

t.test('a new connection that is closed is a fault, and so is one that breaks in its answer', async (t) => {
  const closing = await serve(t, (socket) => { socket.resetAndDestroy() })
  await t.rejects(closing.http.get('/', ASKED), { code: 'ECONNRESET' })
  t.equal(closing.connections(), 1)

  const breaking = await serve(t, (socket, number) => {
    if (number === 1) socket.write(ANSWER)
    else socket.write(ANSWER.slice(0, -1), () => { socket.resetAndDestroy() })
  })
  await breaking.http.get('/', ASKED)
  await t.rejects(breaking.http.get('/', ASKED), { code: 'ECONNRESET' })
  t.equal(breaking.connections(), 1)
})

t.test('all tries together take no longer than one may', async (t) => {
  const { http } = await serve(t, (socket, number) => { if (number === 1) socket.write(ANSWER) })
  await http.get('/', ASKED)
  const beganAtMs = performance.now()
  await t.rejects(http.get('/', { headers: {}, timeoutMs: 300 }))
  t.ok(performance.now() - beganAtMs < 1_500)
})

t.test('an answer that switches protocols is a fault: it came without an error, and the request waited for ever', async (t) => {
  const { http } = await serve(t, (socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  await t.rejects(http.get('/', ASKED), { message: /switched protocols/ })
  await t.rejects(http.open('/', ASKED))
})
