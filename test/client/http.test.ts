import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
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

/** A server in a thread of its own: it answers once, closes and resets the connection, then says so in the shared memory. */
const CLOSING = `
const { parentPort, workerData } = require('node:worker_threads')
const isClosed = new Int32Array(workerData)
let connections = 0
const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
  const isFirst = ++connections === 1
  socket.on('error', () => {}).on('data', () => { socket.write(${JSON.stringify(ANSWER)}) })
  if (isFirst) parentPort.once('message', () => {
    socket.end(() => {
      socket.once('close', () => { Atomics.store(isClosed, 0, 1); Atomics.notify(isClosed, 0) })
      socket.resetAndDestroy()
    })
  })
}).listen(0, '127.0.0.1', () => { parentPort.postMessage(server.address().port) })`

t.test('a kept connection whose end this process has not read of yet is no fault either', async (t) => {
  const memory = new SharedArrayBuffer(4)
  const server = new Worker(CLOSING, { eval: true, workerData: memory })
  t.teardown(() => server.terminate())
  const [port] = await once(server, 'message') as [number]
  const http = createHttp(`http://127.0.0.1:${port}`)
  t.teardown(() => http.close())
  t.match(await http.get('/', ASKED), { status: 200 })
  // The agent keeps the connection once its answer is over.
  await new Promise(setImmediate)
  server.postMessage('close')
  // It may have closed it before this waits.
  t.not(Atomics.wait(new Int32Array(memory), 0, 0, 5_000), 'timed-out')
  t.match(await http.get('/', ASKED), { status: 200, text: 'ok' })
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
