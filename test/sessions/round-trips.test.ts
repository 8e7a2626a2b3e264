import { Redis } from 'ioredis'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { freshApp, type App } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import { guarded, pastFirstSeconds, startReplicas } from '../helpers/replicas.js'
import { targetOf, tcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('postgres')
await need('redis-server')
/** Each test has its own stores and mostly waits; with more at once, their time limits would not hold. */
t.jobs = 2

const PARALLEL = 50
/** Polls begin each quarter of this: not during a test, unless a message causes one. */
const REVOCATION_SECONDS = '60'
/** Mails read the outbox twice in a second. */
const MAIL_URL = ''

/** Number of statements and transaction commands: one Execute each (a prepared one is not parsed again), or one simple Query. */
const statements = ({ postgresMessages: { E = 0, Q = 0 } }: TcpProxy) => E + Q

/** Commands sent to Redis since `config resetstat`, by name, without those of the connection itself (its probe is a DEL). */
async function commands (redis: Redis): Promise<Record<string, number>> {
  const lines = (await redis.info('commandstats')).matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)
  const own = new Set(['del', 'ping', 'info', 'config|resetstat', 'config|get', 'subscribe'])
  return Object.fromEntries(Array.from(lines, ([, name, calls]) => [name!, Number(calls)] as const).filter(([name]) => !own.has(name)))
}

for (const limits of ['off', 'on']) {
  t.test(`J5 GET /session, network limits ${limits}: nothing when hot, one Redis command when cold`, async (t) => {
    const started = await startReplicas(t, 2, { NETWORK_LIMITS: limits, REVOCATION_SECONDS, MAIL_URL })
    const { replicas: [a, b], redisServer } = started
    const redis = new Redis(redisServer.url)
    t.teardown(() => redis.disconnect())
    const ada = await signUp(a!.app)
    await pastFirstSeconds(started)
    const people = await sessionsOf(ada, limits === 'on' ? 10 : PARALLEL)
    await until('the copies', async () => (await redis.keys('*:session:*')).length === people.length)

    const ask = async (app: App) => new Set(await Promise.all(people.map((person) => guarded({ app }, person))))
    async function costs (app: App, cold: boolean): Promise<void> {
      for (const replica of [a!, b!]) replica.postgres.resetCounts()
      await redis.config('RESETSTAT')
      t.same(await ask(app), new Set([200]))
      t.equal(statements(a!.postgres) + statements(b!.postgres), 0, 'no statement')
      t.same(await commands(redis), cold ? { get: people.length } : {})
    }
    await costs(a!.app, false) // the replica at which they began
    await costs(b!.app, true) // not known there yet
    await costs(b!.app, false) // known there now
  })
}

/** One instance without Redis, so that no message causes a poll: only the statements of the request are counted. */
async function counted (t: Parameters<typeof freshDatabase>[0]) {
  const db = await freshDatabase(t)
  const proxy = await tcpProxy(t, targetOf(db.url))
  const { app } = await freshApp(t, { DATABASE_URL: proxy.url(db.url), REDIS_URL: '', REVOCATION_SECONDS, MAIL_URL }, { db })
  await insideOf(app).sessions.poll()
  async function cost (work: () => Promise<unknown>): Promise<number> {
    proxy.resetCounts()
    await work()
    return statements(proxy)
  }
  return { app, cost }
}

t.test('T2, T10 an accepted code is two statements, each a commit of its own', async (t) => {
  const { app, cost } = await counted(t)
  const ada = await (await signUp(app)).enrol()
  const [later] = await sessionsOf(ada, 1) as [Person]
  const code = await later.nextCode()
  t.equal(await cost(async () => expect(200, await later.verify(code))), 2, 'unverified to verified, with a confirmed device')
  t.equal(later.claims()['otp_device_id'], ada.deviceId)

  const stepUp = await later.nextCode()
  t.equal(await cost(async () => expect(200, await later.verify(stepUp))), 2, 'a step-up')
  const [unsure] = await sessionsOf(ada, 1) as [Person]
  const wrong = await unsure.wrongCode()
  t.equal(await cost(async () => expect(400, await unsure.verify(wrong))), 2, 'a refused one: the attempt, and the event')
})

t.test('J6 a refresh is one statement, two with a token that was used before; a guarded request is none', async (t) => {
  const { app, cost } = await counted(t)
  const [person] = await sessionsOf(await signUp(app), 1) as [Person]
  const { refresh } = person
  t.equal(await cost(async () => expect(200, await person.refreshTokens())), 1)
  t.equal(await cost(async () => expect(200, await person.refreshTokens(refresh))), 2, 'the parent, within the grace')
  t.equal(await cost(async () => expect(200, await person.request('GET', '/session'))), 0)
  expect(200, await person.refreshTokens())
  t.equal(await cost(async () => expect(401, await person.refreshTokens(refresh))), 2, 'reused: ends the session')
  t.equal(await cost(async () => expect(401, await person.request('GET', '/session'))), 0, 'known at once')
  t.equal(await cost(async () => expect(401, await person.refreshTokens())), 0, 'what is known to have ended is not asked about')
})
