import { Redis } from 'ioredis'
import t from 'tap'
import type { Test } from 'tap'
import { connectRedis } from '../../src/redis/connect.js'
import { adoptRedis, noRedis } from '../../src/redis/link.js'
import type { RedisClient } from '../../src/redis/client.js'
import type { RedisLink } from '../../src/redis/link.js'
import { freePort } from '../helpers/free-port.js'
import { need } from '../helpers/need.js'
import { redisLog } from '../helpers/redis-log.js'
import { startRedisServer, type RedisServer } from '../helpers/redis-server.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('redis-server')
/** Each test has a server of its own, and waits most of the time. */
t.jobs = 4

/** Longest time until Redis is used again after an outage. */
const RECOVERY_MS = 2000
/** REDIS_COMMAND_MS, and a margin for a busy machine. */
const ONE_WAIT_MS = 400
/** "At once" on a busy machine: less than one time-out, so no request waited for a time-out. */
const AT_ONCE_MS = 200

/** Client with all methods of ioredis: the product uses fewer. */
const whole = (client: RedisClient) => client as Redis
const increment = (client: RedisClient) => whole(client).incr('counter')

async function linked (t: Test, url: string): Promise<{ link: RedisLink, log: ReturnType<typeof redisLog> }> {
  const log = redisLog()
  const link = connectRedis(url, log)
  t.teardown(() => link.close())
  await until('Redis to be up', () => link.state === 'up')
  return { link, log }
}

async function timed<T> (work: () => Promise<T>): Promise<{ answer: T, tookMs: number }> {
  const startMs = performance.now()
  const answer = await work()
  return { answer, tookMs: performance.now() - startMs }
}

/** Checks that commands no longer wait: a hundred in sequence return at once. */
async function isFast (t: Test, link: RedisLink): Promise<void> {
  const { answer, tookMs } = await timed(async () => {
    let last: unknown
    for (let i = 0; i < 100; i++) last = await link.run(increment)
    return last
  })
  t.equal(answer, undefined)
  t.ok(tookMs < AT_ONCE_MS, `100 requests in ${tookMs} ms`)
}

async function isBackInTime (t: Test, link: RedisLink): Promise<void> {
  const { tookMs } = await timed(() => until('Redis to be up again', () => link.state === 'up'))
  t.ok(tookMs < RECOVERY_MS, `back after ${tookMs} ms`)
  t.type(await link.run(increment), 'number')
}

/** [name of the outage, its begin, its end, longest wait of the first requests] */
const outages = [
  ['killed and restarted', (server: RedisServer) => server.kill(), (server: RedisServer) => server.restart(), AT_ONCE_MS],
  ['paused and resumed', async (server: RedisServer) => server.pause(), async (server: RedisServer) => server.resume(), ONE_WAIT_MS]
] as const

for (const [what, begin, end, firstMs] of outages) {
  t.test(`O1 ${what}: one wait at most, then none, back within 2 s`, async (t) => {
    const server = await startRedisServer(t)
    const { link, log } = await linked(t, server.url)
    await begin(server)
    const first = await timed(() => Promise.all(Array.from({ length: 20 }, () => link.run(increment))))
    t.same(new Set(first.answer), new Set([undefined]))
    t.ok(first.tookMs < firstMs, `first requests took ${first.tookMs} ms`)
    t.equal(link.state, 'down')
    await isFast(t, link)
    await end(server)
    await isBackInTime(t, link)
    t.same(log.lines.map((line) => line.message), ['Redis is up', 'Redis is down: working without it', 'Redis is up'],
      'one line for each change')
  })
}

t.test('O1 a pause is noticed without a request', async (t) => {
  const server = await startRedisServer(t)
  const { link } = await linked(t, server.url)
  server.pause()
  await until('the probe to notice', () => link.state === 'down', RECOVERY_MS)
  await isFast(t, link)
})

t.test('O4 half-open: a connection that gives no answer is given up for a new one', async (t) => {
  const server = await startRedisServer(t)
  const proxy = await tcpProxy(t, targetOf(server.url))
  const { link } = await linked(t, proxy.url(server.url))
  const hold = proxy.holdNext((bytes) => String(bytes) === ':1\r\n')
  const { answer, tookMs } = await timed(() => link.run(increment))
  t.equal(answer, undefined)
  t.ok(tookMs < ONE_WAIT_MS, `took ${tookMs} ms`)
  await hold.held
  await isFast(t, link)
  await isBackInTime(t, link)
})

t.test('O4 slow by 500 ms is as good as down, 50 ms is not', async (t) => {
  const server = await startRedisServer(t)
  const proxy = await tcpProxy(t, targetOf(server.url))
  proxy.delayMs = 50
  const { link } = await linked(t, proxy.url(server.url))
  t.equal(await link.run(increment), 1)
  proxy.delayMs = 500
  const { answer, tookMs } = await timed(() => link.run(increment))
  t.equal(answer, undefined)
  t.ok(tookMs < ONE_WAIT_MS, `took ${tookMs} ms`)
  await isFast(t, link)
  proxy.delayMs = 0
  await isBackInTime(t, link)
})

t.test('O1 out of memory: writes are refused at once, reads go on, said once', async (t) => {
  const server = await startRedisServer(t)
  const { link, log } = await linked(t, server.url)
  await link.run((client) => whole(client).set('known', 'x'))
  await link.run((client) => whole(client).config('SET', 'maxmemory', '1'))
  const { answer, tookMs } = await timed(() => Promise.all(Array.from({ length: 20 }, () => link.run(increment))))
  t.same(new Set(answer), new Set([undefined]))
  t.ok(tookMs < AT_ONCE_MS, `took ${tookMs} ms`)
  t.equal(await link.run((client) => client.get('known')), 'x')
  t.equal(link.state, 'up')
  t.equal(log.lines.filter((line) => line.message === 'Redis did not do a command').length, 1)
})

/** [name, begin, end] of outages during which the server answers PING. */
const refusals = [
  ['read-only', 'REPLICAOF 127.0.0.1 1', 'REPLICAOF NO ONE'],
  ['CLIENT PAUSE', 'CLIENT PAUSE 60000 WRITE', 'CLIENT UNPAUSE']
] as const

for (const [what, begin, end] of refusals) {
  t.test(`O1 ${what}: down, and stays down until it is over`, async (t) => {
    const server = await startRedisServer(t)
    const { link, log } = await linked(t, server.url)
    const operator = new Redis(server.url)
    t.teardown(() => operator.disconnect())
    const say = ([command = '', ...args]: string[]) => operator.call(command, args)
    const connections = async () => Number(/total_connections_received:(\d+)/.exec(await operator.info('stats'))?.[1])
    await say(begin.split(' '))
    t.equal(await link.run(increment), undefined)
    t.equal(link.state, 'down')
    await isFast(t, link)
    const seen = await connections()
    await until('two more connections to have tried', async () => await connections() >= seen + 2)
    t.equal(link.state, 'down')
    await say(end.split(' '))
    await isBackInTime(t, link)
    t.equal(log.lines.filter((line) => line.message.startsWith('Redis is down')).length, 1, 'it did not flap')
  })
}

t.test('O9 absent at start: down, said once, and up when it comes', async (t) => {
  const server = await startRedisServer(t)
  await server.kill()
  const log = redisLog()
  const link = connectRedis(server.url, log)
  t.teardown(() => link.close())
  t.equal(link.state, 'down')
  await isFast(t, link)
  await until('it to be said', () => log.lines.length > 0)
  await server.restart()
  await isBackInTime(t, link)
  t.same(log.lines.map((line) => line.message), ['Redis is down: working without it', 'Redis is up'])
})

t.test('O9 closing while Redis is absent takes no time', async (t) => {
  const link = connectRedis(`redis://127.0.0.1:${await freePort()}`, redisLog())
  await until('the first attempt to have failed', () => link.state === 'down')
  const { tookMs } = await timed(() => link.close())
  t.ok(tookMs < ONE_WAIT_MS, `took ${tookMs} ms`)
})

t.test('L4 an evicting server is warned of, another is not', async (t) => {
  const evicting = await linked(t, (await startRedisServer(t, ['--maxmemory-policy', 'allkeys-lru'])).url)
  await until('the warning', () => evicting.log.lines.some((line) => line['policy'] === 'allkeys-lru'))
  const keeping = await linked(t, (await startRedisServer(t)).url)
  t.type(await keeping.link.run(increment), 'number')
  t.same(keeping.log.lines.map((line) => line.message), ['Redis is up'])
})

t.test('E3 a wrong password is not logged', async (t) => {
  const server = await startRedisServer(t, ['--requirepass', 'right'])
  const log = redisLog()
  const link = connectRedis(server.url.replace('//', '//:hunter2@'), log)
  t.teardown(() => link.close())
  await until('it to be said', () => log.lines.length > 0)
  t.match(log.lines[0], { reason: /^WRONGPASS/ })
  t.notMatch(JSON.stringify(log.lines), /hunter2/)
  await linked(t, server.url.replace('//', '//:right@'))
})

t.test('a mistake in a command is said aloud and breaks nothing', async (t) => {
  const { link, log } = await linked(t, (await startRedisServer(t)).url)
  t.equal(await link.run(() => { throw new TypeError('no such thing') }), undefined)
  t.match(log.lines.at(-1), { level: 'error', err: TypeError })
  t.equal(link.state, 'up')
})

t.test('messages arrive, also after the server was away', async (t) => {
  const server = await startRedisServer(t)
  const { link } = await linked(t, server.url)
  const got: string[] = []
  link.subscribe('ends', (message) => got.push(message))
  const arrives = (message: string) => until(`"${message}"`, async () => {
    await link.run((client) => client.publish('ends', message))
    return got.includes(message)
  })
  await arrives('one')
  link.subscribe('more', (message) => got.push(message))
  await server.restart()
  await arrives('two')
  server.pause()
  await until('the probe to notice', () => link.state === 'down')
  server.resume()
  await arrives('three')
})

t.test('a host\'s client: used, never closed, never subscribed', async (t) => {
  const server = await startRedisServer(t)
  const client = new Redis(server.url, { lazyConnect: true })
  t.teardown(() => client.disconnect())
  const before = client.eventNames()
  const link = adoptRedis(client, redisLog())
  await until('Redis to be up', () => link.state === 'up')
  const got: string[] = []
  link.subscribe('ends', (message) => got.push(message))
  await until('the message', async () => {
    await link.run((to) => to.publish('ends', 'one'))
    return got.length > 0
  })
  await server.kill()
  await link.run(increment)
  t.equal(link.state, 'down')
  await isFast(t, link)
  await server.restart()
  await until('Redis to be up again', () => link.state === 'up')
  await link.close()
  t.equal(await link.run(increment), undefined)
  t.equal(await client.ping(), 'PONG')
  t.same(client.eventNames(), before)
})

t.test('no REDIS_URL is like a Redis that is down', async (t) => {
  t.equal(noRedis.state, 'none')
  t.equal(await noRedis.run(increment), undefined)
  noRedis.subscribe('ends', () => t.fail('nobody speaks here'))
  await noRedis.close()
})
