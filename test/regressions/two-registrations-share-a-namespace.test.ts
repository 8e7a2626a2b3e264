import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import type pg from 'pg'
import t from 'tap'
import countersign, { type CountersignOptions } from '../../plugins/countersign.js'
import { freshDatabase, openPool } from '../helpers/database.js'
import { fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'
import { startRedisServer } from '../helpers/redis-server.js'
import { startServer } from '../helpers/server-process.js'
import { freshKeys } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'

/*
 * The Redis cache stores sessions by namespace. Two registrations with one namespace on one Redis, for customers and
 * for staff, read each other's: a customer's second factor opened the guard of staff. Registrations with an address in place
 * of a pool were not compared at all.
 */

await need('postgres')
const redisUrl = await need('redis')
const sealKeys = freshKeys()['SEAL_KEYS']!

/** A database with both kinds of tables. Their rows are bound to the namespace of their first use. */
async function freshTables (): Promise<string> {
  const { url } = await freshDatabase(t)
  for (const schema of ['customers', 'staff']) await countersign.migrate(url, { schema })
  return url
}
const url = await freshTables()

function redisOf (address = redisUrl): Redis {
  const redis = new Redis(address)
  redis.on('error', () => {})
  t.teardown(() => redis.disconnect())
  return redis
}

function poolOf (address: string): pg.Pool {
  const pool = openPool(address, { max: 3 })
  t.teardown(() => pool.end())
  return pool
}

function freshApp (lines: string[] = []): FastifyInstance {
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(() => app.close())
  return app
}

const STAFF = { prefix: '/staff/2fa', decorators: { otpVerified: 'staffVerified', countersign: 'staffCountersign' } }
const common = { ...fromHeaders, issuer: 'Acme', sealKeys }
const namespaceOf = () => `test_${randomBytes(6).toString('hex')}`
const register = async (app: FastifyInstance, options: Partial<CountersignOptions>) => {
  await app.register(countersign, { ...common, ...options } as CountersignOptions)
}

t.test('J5 the same namespace twice in one app on one Redis is refused at registration', async (t) => {
  const redis = redisOf()
  const pool = poolOf(url)
  /** [what they share, first database, second database, first Redis, second Redis] */
  const pairs = [
    ['a pool and a client', pool, pool, redis, redis],
    ['two pools, a client', poolOf(url), poolOf(url), redis, redis],
    ['a pool, two clients', pool, pool, redisOf(), redisOf()],
    ['an address', url, url, redis, redis],
    ['an address and a pool', url, poolOf(url), redis, redisOf()],
    ['databases apart', url, url.replace(/[^/]+$/, 'another'), redis, redisOf()]
  ] as const
  for (const [what, first, second, firstRedis, secondRedis] of pairs) {
    const app = freshApp()
    const namespace = namespaceOf()
    await register(app, { namespace, database: first, redis: firstRedis, tables: { schema: 'customers' } })
    await t.rejects(
      async () => {
        await register(app, { ...STAFF, namespace, database: second, redis: secondRedis, tables: { schema: 'staff' } })
      },
      { name: 'TypeError', message: /"namespace" must be another one/ },
      what
    )
    await app.close()
  }
})

t.test('J5 the same tables twice in a process are refused at registration, also by their address', async (t) => {
  const spelt = new URL(url)
  spelt.hostname = spelt.hostname === '127.0.0.1' ? 'localhost' : spelt.hostname
  spelt.port ||= '5432'
  spelt.searchParams.set('application_name', 'acme')
  for (const second of [url, spelt.href, url.replace('postgres://', 'postgresql://')]) {
    const app = freshApp()
    await register(app, { namespace: namespaceOf(), database: url, tables: { schema: 'customers' } })
    for (const where of [app, freshApp()]) {
      await t.rejects(
        async () => {
          await register(where, { ...STAFF, namespace: namespaceOf(), database: second, tables: { schema: 'customers' } })
        },
        { name: 'TypeError', message: /"tables.schema" must be another one/ }
      )
    }
    await app.close()
  }
})

t.test('J5 the same tables twice in an app, by two pools, are found at start', async (t) => {
  const app = freshApp()
  const namespace = namespaceOf()
  await register(app, { namespace, database: poolOf(url), tables: { schema: 'customers' } })
  await register(app, { ...STAFF, namespace, database: poolOf(url), tables: { schema: 'customers' } })
  await t.rejects(async () => { await app.ready() }, { name: 'TypeError', message: /"tables.schema" must be another one/ })
})

t.test('an app that is closed, or failed to start, releases its namespace; with separate ones both start', async (t) => {
  const [namespace, other] = [namespaceOf(), namespaceOf()]
  const [url, apart] = [await freshTables(), await freshTables()]
  for (let i = 0; i < 2; i++) {
    for (const schema of ['customers', 'staff']) {
      const app = freshApp()
      await register(app, { namespace, database: url, redis: redisOf(), tables: { schema } })
      await app.ready()
      await app.close()
    }
  }
  const failed = freshApp()
  await t.rejects(async () => {
    await register(failed, { namespace, database: {} as never, redis: redisOf(), tables: { schema: 'customers' } })
  }, TypeError)
  const app = freshApp()
  await register(app, { namespace, database: url, redis: redisOf(), tables: { schema: 'customers' } })
  await register(app, { ...STAFF, namespace: other, database: apart, redis: redisOf(), tables: { schema: 'staff' } })
  await app.ready()
  await t.rejects(async () => { await register(freshApp(), { namespace, database: apart, tables: { schema: 'staff' } }) }, TypeError)
  await app.close()
})

t.test('replicas in one process start, each with its connections; without Redis, or on two, a namespace shares no state', async () => {
  const namespace = namespaceOf()
  const url = await freshTables()
  const replicas: FastifyInstance[] = []
  for (const database of [poolOf(url), poolOf(url), url, url]) {
    const app = freshApp()
    replicas.push(app)
    await register(app, { namespace, database, redis: redisOf(), tables: { schema: 'customers' } })
    await app.ready()
  }
  await Promise.all(replicas.map((app) => app.close()))
  const app = freshApp()
  await register(app, { namespace, database: poolOf(url), tables: { schema: 'customers' } })
  await register(app, { ...STAFF, namespace, database: poolOf(url), tables: { schema: 'staff' } })
  await app.ready()
  const apart = freshApp()
  const second = new URL(redisUrl)
  second.pathname = '/1'
  await register(apart, { namespace, database: poolOf(url), redis: redisOf(), tables: { schema: 'customers' } })
  await register(apart, { ...STAFF, namespace, database: poolOf(url), redis: redisOf(second.href), tables: { schema: 'staff' } })
  await apart.ready()
})

/** Starts an app as in another process: the check at registration takes it for a replica. */
const elsewhere = async (options: Partial<CountersignOptions>) => {
  const app = freshApp()
  await register(app, options)
  await app.ready()
  return app
}

t.test('J5 the same namespace on other tables is found at start, through Redis', async (t) => {
  const namespace = namespaceOf()
  const [url, other] = [await freshTables(), await freshTables()]
  const first = await elsewhere({ namespace, database: url, redis: redisOf(), tables: { schema: 'customers' } })
  for (let i = 0; i < 2; i++) {
    const app = freshApp()
    await register(app, { namespace, database: other, redis: redisOf(), tables: { schema: 'customers' } })
    await t.rejects(async () => { await app.ready() }, new RegExp(`namespace "${namespace}" is used on this Redis`))
    await app.close()
  }
  t.equal(
    (await first.inject({ url: '/totp/status', headers: { user: 'ada', session: 's', at: '1' } })).statusCode,
    200,
    'the first one goes on'
  )
  await first.close()
  await (await elsewhere({ namespace, database: other, redis: redisOf(), tables: { schema: 'customers' } })).close()
})

t.test('J5 twenty apps start at once: only apps of one database use Redis', async (t) => {
  const namespace = namespaceOf()
  const urls = [await freshTables(), await freshTables()]
  const started = await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    const app = freshApp()
    await register(app, { namespace, database: poolOf(urls[i % 2]!), redis: redisOf(), tables: { schema: 'customers' } })
    return await app.ready().then(() => i % 2, () => null)
  }))
  const databases = new Set(started.filter((database) => database !== null))
  t.equal(databases.size, 1, JSON.stringify(started))
})

t.test('the service on the Redis of a service with another database ends with one line; on another database number it runs', async (t) => {
  const { port } = await startRedisServer(t)
  const settings = async (number: number) => {
    const { url } = await freshDatabase(t)
    return { ...freshKeys(), SEAL_KEYS: sealKeys, DATABASE_URL: url, REDIS_URL: `redis://127.0.0.1:${port}/${number}` }
  }
  await startServer(t, await settings(0)).ready()
  const second = startServer(t, { ...await settings(0), LOG_LEVEL: 'silent' })
  t.equal(await second.exited, 1)
  t.match(second.said(), /^countersign: the namespace [^\n]* is used on this Redis [^\n]*\n$/)
  await startServer(t, await settings(1)).ready()
})

t.test('L1 with Redis down a host starts and says so; of two, one goes on without Redis when that is back', async (t) => {
  const server = await startRedisServer(t)
  await server.kill()
  const namespace = namespaceOf()
  const lines: Array<string[]> = [[], []]
  const apps: FastifyInstance[] = []
  for (const [i, database] of [await freshTables(), await freshTables()].entries()) {
    const app = freshApp(lines[i])
    await register(app, { namespace, database, redis: redisOf(server.url), tables: { schema: 'customers' } })
    app.get('/guarded', { onRequest: app.otpVerified }, async () => ({}))
    await app.ready()
    t.ok(lines[i]!.some((line) => line.includes('not known until both stores answer')))
    apps.push(app)
  }
  await server.restart()
  const without = () => lines.map((of) => of.filter((line) => line.includes('Going on without Redis')).length)
  let asked = 0
  await until('one of them to give way', async () => {
    asked++
    for (const app of apps) {
      t.equal((await app.inject({ url: '/guarded', headers: { user: 'ada', session: `s ${asked}`, at: '1' } })).statusCode, 200)
    }
    return without().includes(1)
  })
  t.same(without().sort(), [0, 1])
  const redis = redisOf(server.url)
  const copies = (await redis.keys(`${namespace}:{ada}:*`)).length
  const giving = apps[without().indexOf(1)]!
  for (let i = 0; i < 5; i++) await giving.inject({ url: '/guarded', headers: { user: 'ada', session: `later ${i}`, at: '1' } })
  t.equal((await redis.keys(`${namespace}:{ada}:*`)).length, copies, 'it writes nothing there')
  await Promise.all(apps.map((app) => app.close()))
})

t.test('a claim that another program wrote does not stop a process from starting', async () => {
  const namespace = namespaceOf()
  const url = await freshTables()
  const redis = redisOf()
  const forged = JSON.stringify({ database: 'x', schema: 'y', name: 'z', id: '0', since: 0 })
  await redis.zadd(
    `${namespace}:{registrations}:claims`,
    Number.MAX_SAFE_INTEGER,
    `${randomBytes(32).toString('base64url')}.${forged}`,
    Number.MAX_SAFE_INTEGER,
    'nonsense'
  )
  const app = await elsewhere({ namespace, database: url, redis, tables: { schema: 'customers' } })
  await until('the claim', async () => await redis.zcard(`${namespace}:{registrations}:claims`) === 3)
  await app.close()
  await redis.set(`${namespace}:{registrations}:claims`, 'nonsense')
  await (await elsewhere({ namespace, database: url, redis, tables: { schema: 'customers' } })).close()
})
