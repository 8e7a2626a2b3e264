import { isDeepStrictEqual } from 'node:util'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { freshApp, type App } from '../helpers/app.js'
import { appDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import { statementsDuring } from '../helpers/recorded-statements.js'
import { guarded, pastFirstSeconds, startReplicas, type Replica } from '../helpers/replicas.js'
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

/** Number of statements and transaction commands of the whole app: one Execute each (a prepared one is not parsed again), or one Query. */
const sentBy = ({ postgresMessages: { E = 0, Q = 0 } }: TcpProxy) => E + Q

/** Commands sent to Redis since `config resetstat`, by name, without those of the connection itself (its probe is a DEL). */
async function commands (redis: Redis): Promise<Record<string, number>> {
  const lines = (await redis.info('commandstats')).matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)
  const own = new Set(['del', 'ping', 'info', 'config|resetstat', 'config|get', 'subscribe'])
  return Object.fromEntries(Array.from(lines, ([, name, calls]) => [name!, Number(calls)] as const).filter(([name]) => !own.has(name)))
}

/** A poll or a renewed claim of the namespace can come between: then it is measured again. */
const TRIES = 3

for (const limits of ['off', 'on']) {
  t.test(`J5 GET /session, network limits ${limits}: nothing when hot, one Redis command when cold`, async (t) => {
    const started = await startReplicas(t, 2, { NETWORK_LIMITS: limits, REVOCATION_SECONDS, MAIL_URL })
    const { replicas, redisServer, another } = started
    const [a, b] = replicas as [Replica, Replica]
    const redis = new Redis(redisServer.url)
    t.teardown(() => redis.disconnect())
    const ada = await signUp(a.app)
    await pastFirstSeconds(started)
    const people = await sessionsOf(ada, limits === 'on' ? 10 : PARALLEL)
    await until('the copies', async () => (await redis.keys('*:session:*')).length === people.length)

    /** Asks for each session. @returns the statements of all replicas, and the commands */
    async function costs (app: App): Promise<object> {
      for (const { postgres } of replicas) postgres.resetCounts()
      await redis.config('RESETSTAT')
      t.same(new Set(await Promise.all(people.map((person) => guarded({ app }, person)))), new Set([200]))
      return { statements: replicas.reduce((sum, { postgres }) => sum + sentBy(postgres), 0), commands: await commands(redis) }
    }
    async function costsJust (expected: object, what: string, replicaOf: (tried: number) => Promise<Replica>): Promise<void> {
      const found: object[] = []
      do {
        found.unshift(await costs((await replicaOf(found.length)).app))
      } while (!isDeepStrictEqual(found[0], expected) && found.length < TRIES)
      t.same(found[0], expected, what)
    }
    const nothing = { statements: 0, commands: {} }
    await costsJust(nothing, 'at the replica at which they began', async () => a)
    let cold = b
    await costsJust({ ...nothing, commands: { get: people.length } }, 'where they are not known yet', async (tried) => {
      if (tried > 0) replicas.push(cold = await another())
      return cold
    })
    await costsJust(nothing, 'where they are known now', async () => cold)
  })
}

/** One instance without Redis, so that no message causes a poll: only the statements of the request are counted. */
async function counted (t: Test) {
  const db = await appDatabase(t, 'service')
  const proxy = await tcpProxy(t, targetOf(db.url))
  const { app } = await freshApp(t, { DATABASE_URL: proxy.url(db.url), REDIS_URL: '', REVOCATION_SECONDS, MAIL_URL }, { db })
  await insideOf(app).sessions.poll()
  async function cost (work: () => Promise<unknown>): Promise<number> {
    proxy.resetCounts()
    const { length } = await statementsDuring(work)
    // The app's background work can add to what the network saw.
    t.ok(sentBy(proxy) >= length, 'each of them went over the network')
    return length
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
