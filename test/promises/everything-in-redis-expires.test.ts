import { Redis } from 'ioredis'
import t from 'tap'
import { connectRedis } from '../../src/redis/connect.js'
import { freshApp } from '../helpers/app.js'
import { doorOf } from '../helpers/door.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { redisLog } from '../helpers/redis-log.js'
import { untilReady } from '../helpers/readiness.js'
import { startRedisServer } from '../helpers/redis-server.js'
import { serviceTest } from '../helpers/service-test.js'
import { until } from '../helpers/wait.js'

await need('redis-server')

/** Longest window of a rate limit: an hour. */
const LONGEST_MS = 3_600_000

t.test('L4 after a whole life of requests every key has an end, a namespace and its owner as hash tag', async (t) => {
  const server = await startRedisServer(t)
  const { app } = await freshApp(t, { REDIS_URL: server.url, NETWORK_LIMITS: 'on' }, { namespace: 'life' })
  const { isHost } = doorOf(app)
  await untilReady(app, 'up')

  const ada = await signUp(app)
  t.equal((await ada.login('wrong')).statusCode, 401)
  expect(200, await ada.login())
  expect(201, await ada.create())
  t.equal((await ada.verify(await ada.wrongCode())).statusCode, 400)
  expect(200, await ada.confirm())
  expect(200, await ada.verify())
  expect(201, await ada.request('POST', '/totp/recovery_code/create'))
  for (let i = 0; i < 2; i++) {
    expect(200, await ada.login())
    t.equal((await ada.verify(await ada.wrongCode())).statusCode, 400)
    expect(200, await ada.verify())
    expect(200, await ada.refreshTokens())
    expect(200, await ada.request('GET', '/session'))
    expect(200, await ada.request('GET', '/account'))
  }
  await app.inject({ url: '/nothing/here' })
  expect(204, await ada.request('POST', '/token/revoke'))

  const redis = new Redis(server.url)
  t.teardown(() => redis.quit())
  const keys = await redis.keys('*')
  const limits = ['limit:token', 'limit:signUp', 'limit:enrol', 'limit:code', 'limit:other']
  for (const kind of ['session', ...(isHost ? [] : limits)]) t.ok(keys.some((key) => key.includes(`:${kind}`)), kind)
  for (const key of keys) {
    t.match(key, /^life:\{[^{}]+\}:/)
    const ttlMs = await redis.pttl(key)
    t.ok(ttlMs > 0 && ttlMs <= LONGEST_MS, `${key}: ${ttlMs} ms`)
  }
})

/** [policy, warned of?] */
const policies = [['noeviction', false], ['allkeys-lru', true], ['volatile-ttl', true]] as const

// Only the service: a host configures its own Redis.
serviceTest('L4 a Redis that may evict keys is warned of, at start and when it comes back', async (t) => {
  for (const [policy, isWarned] of policies) {
    const server = await startRedisServer(t, ['--maxmemory-policy', policy])
    const log = redisLog()
    const link = connectRedis(server.url, log)
    t.teardown(() => link.close())
    const warnings = () => log.lines.filter((line) => line['policy'] === policy && line.level === 'warn').length
    await until('Redis to be up', () => link.state === 'up')
    if (isWarned) await until('the warning', () => warnings() === 1)
    await link.run((client) => client.ping())
    t.equal(warnings(), isWarned ? 1 : 0, policy)
    if (policy !== 'allkeys-lru') continue
    await server.kill()
    await until('it to be missed', () => link.state === 'down')
    await server.restart()
    await until('the second warning', () => warnings() === 2)
  }
})
