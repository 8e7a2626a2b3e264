import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { RETRANSMIT_MS, tcpProxy } from './tcp-proxy.js'

/** Starts a server that returns each chunk. */
async function echo (t: Test): Promise<{ host: string, port: number }> {
  const server = createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

async function connected (t: Test, port: number) {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return { socket, next: async () => String((await once(socket, 'data'))[0]) }
}

t.test('it forwards, slows, freezes, holds and cuts', async (t) => {
  const proxy = await tcpProxy(t, await echo(t))
  const { socket, next } = await connected(t, proxy.port)
  socket.write('a')
  t.equal(await next(), 'a')

  proxy.delayMs = 100
  const startMs = performance.now()
  socket.write('b')
  t.equal(await next(), 'b')
  t.ok(performance.now() - startMs >= 99)
  proxy.delayMs = 0

  proxy.lossShare = 1
  const sentMs = performance.now()
  socket.write('l')
  t.equal(await next(), 'l')
  t.ok(performance.now() - sentMs >= 2 * RETRANSMIT_MS - 2, 'lost once each way')
  proxy.lossShare = 0

  const hold = proxy.holdNext((bytes) => String(bytes) === 'c')
  socket.write('c')
  t.same(await hold.held, Buffer.from('c'))
  hold.release()
  t.equal(await next(), 'c')

  proxy.pause()
  socket.write('d')
  const other = await connected(t, proxy.port)
  other.socket.write('e')
  let isEarly = true
  const both = Promise.all([next(), other.next()]).then((answers) => {
    t.notOk(isEarly)
    return answers
  })
  const third = await connected(t, proxy.port)
  third.socket.end()
  isEarly = false
  proxy.resume()
  t.same(await both, ['d', 'e'])

  const closed = Promise.all([once(socket, 'close'), once(other.socket, 'close')])
  await proxy.cut()
  await closed
  await t.rejects(connected(t, proxy.port), { code: 'ECONNREFUSED' })
  await proxy.restore()
  const again = await connected(t, proxy.port)
  t.equal(proxy.opened, 4, 'the refused one is none')
  again.socket.write('f')
  t.equal(await again.next(), 'f')
})
