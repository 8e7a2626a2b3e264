import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { promisify } from 'node:util'
import t from 'tap'
import { createHttp } from '../src/http.js'
import { until } from './helpers/wait.js'

const app = await createHttp({ logLevel: 'silent', trustedProxies: [] })
t.teardown(() => app.close())
let answer = (): void => {}
const isAnswered = new Promise<void>((resolve) => { answer = resolve })
app.get('/slow', async () => {
  await isAnswered
  return {}
})
app.get('/stream', async (_request, reply) => {
  const lines = new PassThrough()
  lines.write('{"line":1}\n')
  return await reply.type('application/x-ndjson').send(lines as never)
})
await app.listen({ port: 0, host: '127.0.0.1' })
const { port } = app.server.address() as AddressInfo
const countConnections = promisify(app.server.getConnections.bind(app.server))

t.test('a client that sends what is no request, and never closes, is cut off', async (t) => {
  const texts = {
    garbage: '\x16\x03\x01\x02\x00\r\n\r\n',
    'large headers': `GET /slow HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    'garbage behind a request': 'GET /slow HTTP/1.1\r\nHost: x\r\n\r\n\0\0\0\r\n\r\n'
  }
  const clients = await Promise.all(Object.entries(texts).map(async ([what, text]) => {
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
    t.teardown(() => client.destroy())
    client.write(text, 'latin1')
    const [chunk] = await once(client, 'data') as [Buffer]
    t.match(chunk.toString(), /^HTTP\/1.1 4(00|31) /, what)
    return client
  }))
  t.ok(clients.every((client) => client.writable), 'none has closed')
  await until('the connections to be closed', async () => await countConnections() === 0, 5_000)
  answer()
  t.equal((await fetch(`http://127.0.0.1:${port}/slow`)).status, 200, 'other requests are served')
})

t.test('garbage behind an answer that has begun cuts it off, and puts no other answer among its chunks', async (t) => {
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
  t.teardown(() => client.destroy())
  let received = ''
  client.on('data', (bytes: Buffer) => { received += bytes.toString() })
  const ended = once(client, 'close')
  client.on('end', () => client.end())
  client.write('GET /stream HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('the first line', () => received.includes('{"line":1}'))
  client.write('\0\0\0\r\n\r\n', 'latin1')
  await ended
  t.equal(received.match(/HTTP\/1\.1/g)?.length, 1, received)
  t.notMatch(received, /\r\n0\r\n\r\n/, 'not as if it had ended')
})
