import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { SecurityEventNotice } from '../../../src/events/notice.js'
import { waitSeconds } from '../../../src/events/delivery-loop.js'
import { messageOf, signatureOf } from '../../../src/events/webhook/message.js'
import { createSender, type SenderOptions } from '../../../src/events/webhook/sender.js'
import { PrivateAddressError } from '../../../src/events/webhook/address.js'
import { receiver } from '../../helpers/receiver.js'

const keys = [{ kid: 'new', bytes: randomBytes(32) }, { kid: 'old', bytes: randomBytes(32) }]
const event: SecurityEventNotice = {
  id: randomUUID(),
  kind: 'otp_refused',
  at: new Date('2026-11-23T09:00:00.123Z'),
  userId: 'u',
  sessionId: null,
  ip: '198.51.100.7',
  agent: 'ü',
  deviceName: null,
  actorId: null,
  detail: null
}

t.test('the signature is that of standardwebhooks.com, by every key, over id, time and body', async (t) => {
  const { headers, body } = messageOf(event, keys, 1795424400.9)
  t.equal(headers['webhook-id'], event.id)
  t.equal(headers['webhook-timestamp'], '1795424400')
  t.same(JSON.parse(body), {
    type: 'otp_refused',
    timestamp: '2026-11-23T09:00:00.123Z',
    data: {
      id: event.id, userId: 'u', sessionId: null, ip: '198.51.100.7', agent: 'ü', deviceName: null, actorId: null, detail: null
    }
  })
  const signed = `${event.id}.1795424400.${body}`
  t.same(headers['webhook-signature']?.split(' '),
    keys.map(({ bytes }) => `v1,${createHmac('sha256', bytes).update(signed).digest('base64')}`))
  t.equal(headers['content-length'], String(Buffer.byteLength(body)))
  t.not(messageOf(event, keys, 1795424401).headers['webhook-signature'], headers['webhook-signature'])
  t.not(messageOf({ ...event, id: randomUUID() }, keys, 1795424400).headers['webhook-signature'], headers['webhook-signature'])
})

t.test('the vector of the Standard Webhooks libraries', async (t) => {
  // Secret MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, message and signature of their documentation's example.
  const bytes = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64')
  t.equal(signatureOf({ bytes }, 'msg_p5jXN8AQM9LWM0D4loKWxJek', '1614265330', '{"test": 2432232314}'),
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

t.test('waits double from 5 s to an hour, spread by a quarter each way', async (t) => {
  t.same([1, 2, 3, 10, 11, 60].map((attempts) => waitSeconds(attempts, 0.5)), [5, 10, 20, 2560, 3600, 3600])
  t.equal(waitSeconds(1, 0), 3.75)
  t.equal(waitSeconds(1, 1), 6.25)
})

t.test('2xx is taken, anything else is not, and no redirect is followed', async (t) => {
  const hook = await receiver(t)
  const elsewhere = await receiver(t)
  const sender = createSender({ url: `${hook.url}?token=1`, named: ['127.0.0.1'] })
  t.teardown(() => sender.close())
  const message = messageOf(event, keys, 1795424400)
  for (const status of [200, 201, 202, 204, 299]) {
    hook.answer = (response) => { response.writeHead(status).end() }
    await t.resolves(sender.send(message), String(status))
  }
  t.match(hook.received[0], {
    path: '/hook?token=1', body: message.body, headers: { 'webhook-id': event.id, 'content-type': 'application/json' }
  })
  for (const status of [301, 302, 303, 307, 308, 400, 401, 404, 410, 429, 500, 503]) {
    hook.answer = (response) => { response.writeHead(status, { location: elsewhere.url }).end('x'.repeat(10_000)) }
    await t.rejects(sender.send(message), { message: `The receiver answered ${status}` })
  }
  t.equal(elsewhere.received.length, 0)
})

t.test('a receiver that is slow, silent, endless or gone is given up in time', async (t) => {
  const hook = await receiver(t)
  const message = messageOf(event, keys, 1795424400)
  const sender = createSender({ url: hook.url, named: ['127.0.0.1'], timeoutMs: 150 })
  t.teardown(() => sender.close())
  hook.answer = () => {}
  const startedAtMs = performance.now()
  await t.rejects(sender.send(message), { message: 'The receiver did not answer within 150 ms' })
  t.ok(performance.now() - startedAtMs < 1_000)
  hook.answer = (response) => { response.writeHead(200).write('still going') }
  await t.resolves(sender.send(message), 'the status is enough')
  await hook.stop()
  await t.rejects(sender.send(message), 'nobody there')

  const garbage = createServer((socket) => { socket.end('SSH-2.0-x\r\n') }).listen(0, '127.0.0.1')
  await once(garbage, 'listening')
  t.teardown(() => garbage.close())
  const other = createSender({ url: `http://127.0.0.1:${(garbage.address() as AddressInfo).port}/`, named: ['127.0.0.1'], timeoutMs: 500 })
  t.teardown(() => other.close())
  await t.rejects(other.send(message), 'no HTTP at all')
})

type Resolve = NonNullable<SenderOptions['resolve']>

/** Makes a name server that gives these answers in turn, and then always the last one. */
function answering (...addresses: string[]) {
  const asked: string[] = []
  const resolve = (name: string, _options: object, done: (error: null, found: object[]) => void) => {
    const address = addresses[Math.min(asked.push(name), addresses.length) - 1]!
    done(null, [{ address, family: address.includes(':') ? 6 : 4 }])
  }
  return { asked, resolve: resolve as unknown as Resolve }
}

t.test('what was not named is not reached: by address, by name, by a name that changes its mind, by http', async (t) => {
  const hook = await receiver(t)
  const { port } = new URL(hook.url)
  const message = messageOf(event, keys, 1795424400)
  const rebinding = answering('192.0.2.1', '127.0.0.1')
  const outside = answering('93.184.216.34')
  const metadata = answering('169.254.169.254')
  const attempts: Array<[url: string, named: string[], resolve?: Resolve]> = [
    [`https://127.0.0.1:${port}/`, []], [`https://[::1]:${port}/`, []],
    [`https://localhost:${port}/`, []], [`https://2130706433:${port}/`, []],
    [`http://127.0.0.1:${port}/`, []], [`http://127.0.0.1:${port}/`, ['127.0.0.2', '10.0.0.0/8']],
    [`https://receiver.example:${port}/`, [], rebinding.resolve], [`https://receiver.example:${port}/`, [], rebinding.resolve],
    [`http://receiver.example:${port}/`, ['10.0.0.0/8'], rebinding.resolve],
    [`http://receiver.example:${port}/`, ['127.0.0.1'], outside.resolve],
    [`https://receiver.example:${port}/`, ['127.0.0.1'], metadata.resolve]
  ]
  for (const [url, named, resolve] of attempts) {
    const sender = createSender({ url, named, ...(resolve === undefined ? {} : { resolve }), timeoutMs: 500 })
    await t.rejects(sender.send(message), PrivateAddressError, url)
    sender.close()
  }
  t.equal(rebinding.asked.length + outside.asked.length + metadata.asked.length, 5, 'each connection is judged by its own look-up')
  t.equal(hook.received.length, 0)
  const sender = createSender({ url: `http://receiver.example:${port}/`, named: ['127.0.0.1'], resolve: rebinding.resolve })
  t.teardown(() => sender.close())
  await t.resolves(sender.send(message), 'what was named is')
  t.equal(hook.received.length, 1)
})

t.test('a receiver that switches protocols has not taken the event: no answer came, and the round never ended', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const sender = createSender({ url: `http://127.0.0.1:${port}/hook`, named: ['127.0.0.1'] })
  t.teardown(() => {
    sender.close()
    server.close()
  })
  await t.rejects(sender.send(messageOf(event, keys, 1795424400)), { message: 'The receiver switched protocols' })
})
