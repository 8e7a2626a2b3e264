import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { connectRedis } from '../../../src/redis/connect.js'
import { readEnds } from '../../../src/sessions/revocations/revocations.js'
import { createExchange, newMark, type SharedReading } from '../../../src/sessions/revocations/exchange.js'
import { need } from '../../helpers/need.js'
import { startNode } from '../../helpers/node-process.js'
import { pollers } from '../../helpers/pollers.js'
import { startRedisServer } from '../../helpers/redis-server.js'
import { targetOf, tcpProxy } from '../../helpers/tcp-proxy.js'
import { until } from '../../helpers/wait.js'

/* Replicas that read the revocations for one another: docs/consistency.md, "Shared readings". */

await need('postgres')
await need('redis-server')

const KEY = Buffer.alloc(32)
const quiet = () => {}
const silent = { info: quiet, warn: quiet, error: quiet }

async function redisStage (t: Test) {
  const base = await pollers(t)
  const server = await startRedisServer(t)
  async function exchange (macKeys: readonly Buffer[] = [KEY], leaseMs = 2000) {
    const network = await tcpProxy(t, targetOf(server.url))
    const redis = connectRedis(network.url(server.url), silent)
    t.teardown(() => redis.close())
    await until('Redis to be up', () => redis.state === 'up')
    return { redis, network, exchange: createExchange({ redis, namespace: 'shared', macKeys, leaseMs }) }
  }
  async function replica (seconds: number) {
    const postgres = await tcpProxy(t, targetOf(base.url))
    const { exchange: own, network } = await exchange([KEY], 2000 * seconds)
    return { postgres, network, ...base.poller(base.database(postgres.url(base.url)), own, seconds) }
  }
  return { ...base, server, exchange, replica }
}

type Replica = Awaited<ReturnType<Awaited<ReturnType<typeof redisStage>>['replica']>>

const followers = (replicas: readonly Replica[]) => replicas.filter(({ poller }) => poller.readings().isFollower)

async function untilShared (replicas: readonly Replica[], more = 2): Promise<void> {
  const before = replicas.map(({ poller }) => poller.readings().shared)
  await until('one reader, and the others to follow it', () => followers(replicas).length === replicas.length - 1 &&
    replicas.every(({ poller }, i) => !poller.readings().isFollower || poller.readings().shared >= before[i]! + more))
}

t.test('J5 one replica reads for the others; each hears of each end, also without Redis, and once it is back', async (t) => {
  const { server, replica, end } = await redisStage(t)
  const replicas = [await replica(4), await replica(4), await replica(4)]
  await untilShared(replicas)
  const before = followers(replicas).map(({ poller }) => poller.readings())
  await untilShared(replicas, 6)
  const after = followers(replicas).map(({ poller }) => poller.readings())
  const sum = (key: 'own' | 'shared') => after.reduce((total, each, i) => total + each[key] - (before[i]?.[key] ?? 0), 0)
  t.ok(sum('own') < sum('shared'), `${sum('own')} readings of their own, ${sum('shared')} shared`)
  const heardBy = async (id: string, by = replicas) => {
    await end(id)
    await until(`${id} to be heard`, () => by.every(({ heard }) => heard.includes(id)))
  }
  await heardBy('shared')

  await server.kill()
  await heardBy('without Redis')
  t.ok(replicas.every(({ poller }) => poller.isFresh()))
  await server.restart()
  await untilShared(replicas)
  await heardBy('with Redis again')
  for (const { heard } of replicas) t.same(heard, ['shared', 'without Redis', 'with Redis again'], 'each once, in order')
})

t.test('J5 a replica whose PostgreSQL is gone follows for some seconds at most', async (t) => {
  const { replica } = await redisStage(t)
  const replicas = [await replica(1), await replica(1)]
  await untilShared(replicas)
  const [follower] = followers(replicas)
  await follower!.postgres.cut()
  await until('it to be stale, although the reader goes on', () => !follower!.poller.isFresh())
  await follower!.postgres.restore()
  await until('it to be fresh', () => follower!.poller.isFresh())
})

t.test('J5 a reader that is killed or stands still is replaced, and what it says late does no harm', async (t) => {
  const { url, server, end } = await redisStage(t)
  const children = [1, 2, 3].map(() => startNode(t, ['build/test/helpers/poller-process.js'], {
    DATABASE_URL: url, REDIS_URL: server.url, REVOCATION_SECONDS: '1'
  }))
  const partOf = (said: string) => said.trim().split('\n').filter((line) => ['reader', 'follower'].includes(line)).at(-1)
  const readerOf = async (of: typeof children) => await until('one reader', () => {
    const parts = of.map((child) => partOf(child.said()))
    return parts.filter((part) => part === 'follower').length === of.length - 1 ? of[parts.indexOf('reader')] : undefined
  })
  const heardBy = async (id: string, by: typeof children) => await Promise.all(by.map((child) => (
    child.saying(new RegExp(`(heard ${id})\\.`), id)
  )))

  const stopped = await readerOf(children)
  const others = children.filter((child) => child !== stopped)
  stopped.child.kill('SIGSTOP')
  await end('while it stands still')
  await heardBy('while it stands still', others)
  await readerOf(others)
  stopped.child.kill('SIGCONT')
  await heardBy('while it stands still', [stopped])
  await end('afterwards')
  await heardBy('afterwards', children)

  const killed = await readerOf(children)
  await killed.kill('SIGKILL')
  const left = children.filter((child) => child !== killed)
  await end('after its death')
  await heardBy('after its death', left)
  await readerOf(left)
})

t.test('J5 news of an end goes to the replica that reads alone, and to another one once that one reads', async (t) => {
  const { server, replica, exchange, end } = await redisStage(t)
  const replicas = [await replica(4), await replica(4)]
  const raw = new Redis(server.url)
  t.teardown(() => raw.disconnect())
  const { exchange: ender } = await exchange()
  const subscriptions = async () => (await raw.pubsub('NUMSUB', 'shared:ends'))[1]
  await untilShared(replicas)
  await until('the reader to be subscribed alone', async () => await subscriptions() === 1)
  await end('told')
  ender.tellNews()
  await until('both to hear of it', () => replicas.every(({ heard }) => heard.includes('told')))

  const [follower] = followers(replicas)
  const reader = replicas.find((each) => each !== follower)!
  await reader.network.cut()
  await until('the other one to read', () => followers([follower!]).length === 0)
  await until('it to be subscribed', async () => await subscriptions() === 1)
})

t.test('J5 in Redis, nobody makes a reading without the key, and marks are bounded', async (t) => {
  const { server, exchange, database } = await redisStage(t)
  const [one, two, stranger] = [await exchange(), await exchange(), await exchange([Buffer.alloc(32, 1)])]
  const raw = new Redis(server.url)
  t.teardown(() => raw.disconnect())
  const heard: SharedReading[] = []
  two.exchange.onReading((reading) => { heard.push(reading) })
  const texts: string[] = []
  const tap = raw.duplicate()
  t.teardown(() => tap.disconnect())
  await tap.subscribe('shared:readings-2')
  tap.on('message', (_channel, text: string) => { texts.push(text) })

  const first = await readEnds(database(), null)
  const reading: SharedReading = { ...first, since: first.snapshot, named: [], marked: [], marks: [newMark()] }
  await until('the subscription', () => {
    one.exchange.publish(reading)
    return heard.length > 0 && texts.length > 0
  })
  t.match(heard[0], { server: reading.server, snapshot: reading.snapshot, marks: reading.marks })
  const [text] = texts as [string]
  stranger.exchange.publish({ ...reading, nowMs: -1 })
  const forged = [
    '', '.', text.slice(0, -1), `${text} `, text.slice(text.indexOf('.')), text.replace('"timeline":', '"timeline":1'),
    text.slice(0, 10), 'x'.repeat(2 << 20), `${'A'.repeat(22)}.${text.slice(text.indexOf('.') + 1)}`
  ]
  for (const each of forged) await raw.publish('shared:readings-2', each)
  one.exchange.publish({ ...reading, nowMs: 0 })
  await until('the last one', () => heard.at(-1)?.nowMs === 0)
  t.notOk(heard.some(({ nowMs }) => nowMs !== reading.nowMs && nowMs !== 0))

  t.match(await one.exchange.announce(newMark(), null), { isReader: true, marks: [] })
  const [mark, left] = [newMark(), newMark()]
  const answer = await two.exchange.announce(mark, null)
  t.match(answer, { isReader: false })
  t.equal(await two.exchange.remind(left), true)
  await raw.rpush('shared:{readings-2}:marks', 'x'.repeat(1000), ...Array.from({ length: 5000 }, newMark))
  const { marks } = (await one.exchange.announce(newMark(), null))!
  t.ok(marks.length < 1000 && marks.includes(mark) && marks.includes(left))
  await raw.del('shared:{readings-2}:marks')
  const reminded = newMark()
  await two.exchange.remind(reminded)
  await until('the list to have an end', async () => await raw.pttl('shared:{readings-2}:marks') > 0)
  await raw.rpush('shared:{readings-2}:marks', 'x'.repeat(1000), ...Array.from({ length: 5000 }, newMark))
  const collected = (await one.exchange.collect())!
  t.ok(collected.length < 1000 && collected[0] === reminded)
  await raw.del('shared:{readings-2}:marks')
  t.same(await one.exchange.collect(), [])
  await one.exchange.announce(newMark(), null)
  t.same((await one.exchange.announce(newMark(), null))!.marks, [])
  t.match(await two.exchange.announce(newMark(), answer!.reader), { isReader: true }, 'it takes the place of a silent reader')
  t.match(await one.exchange.announce(newMark(), null), { isReader: false })
  await raw.set('shared:{readings-2}:marks', 'of another type')
  t.equal(await one.exchange.announce(newMark(), null), undefined)
  t.equal(await two.exchange.remind(newMark()), false)
  t.equal(await one.exchange.collect(), undefined)
})
