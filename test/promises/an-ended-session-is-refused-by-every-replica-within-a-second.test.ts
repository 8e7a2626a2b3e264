import { Redis } from 'ioredis'
import pg from 'pg'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { markAll } from '../../src/sessions/marks.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import {
  guarded, holdFeed, pastFirstSeconds, servedAfterEnd, servedFromNow, servedUntil, settled, startReplicas
} from '../helpers/replicas.js'
import { until } from '../helpers/wait.js'

await need('postgres')
await need('redis-server')
/** Each test has its own stores and mostly waits. More than two at once would break each other's time limits. */
t.jobs = 2

/** REVOCATION_SECONDS. */
const BOUND_MS = 1_000
const PARALLEL = 50

// J5. In each test a replica refuses every request that is sent later than BOUND_MS after the answer to the end.
t.test('J5 ended where Redis cannot be reached, refused everywhere', async (t) => {
  const { replicas: [a, b, c], db } = await startReplicas(t, 3)
  const ada = await signUp(a!.app)
  const all = await sessionsOf(ada, PARALLEL)
  await pastFirstSeconds({ db })
  for (const person of all) {
    t.equal(await guarded(b!, person), 200)
    t.equal(await guarded(c!, person), 200)
  }

  await a!.redis.cut()
  const [viaMessage, ...others] = all
  const served = await Promise.all(others.map(async (person) => {
    expect(204, await person.request('POST', '/token/revoke'))
    const [atB, atC, atHome] = await Promise.all([servedFromNow(b!, person), servedFromNow(c!, person), guarded(a!, person)])
    t.equal(atHome, 401, 'the same replica knows')
    return Math.max(atB, atC)
  }))
  t.ok(Math.max(...served) <= BOUND_MS, `A cut off from Redis: served for ${Math.max(...served)} ms`)

  await a!.redis.restore()
  await settled(a!)
  const withMessage = await servedAfterEnd(b!, viaMessage!)
  t.ok(withMessage <= BOUND_MS, `notified by message: served for ${withMessage} ms`)
})

t.test('J5 the replica that ended it knows at once', async (t) => {
  const { replicas: [a, b] } = await startReplicas(t, 2)
  const ada = await signUp(a!.app)
  const people = await sessionsOf(ada, PARALLEL)
  for (const person of people) t.equal(await guarded(a!, person), 200)
  const release = holdFeed(a!)
  const answers = await Promise.all(people.map(async (person) => {
    expect(204, await person.request('POST', '/token/revoke'))
    const [atHome, atB] = await Promise.all([guarded(a!, person), servedFromNow(b!, person)])
    t.ok(atB <= BOUND_MS, `the other one served for ${atB} ms`)
    return atHome
  }))
  t.same(new Set(answers), new Set([401]), 'before its own poll of revocations')
  release()
})

t.test('J5 fifty thousand end in one commit while a transaction is open in another database', async (t) => {
  const { replicas: [a, b], db } = await startReplicas(t, 2)
  const ada = await signUp(a!.app)
  const elsewhere = new pg.Client(new URL('/postgres', db.url).href)
  await elsewhere.connect()
  t.teardown(() => elsewhere.end())
  await elsewhere.query('begin')
  await elsewhere.query('select pg_current_xact_id()')
  await db.query(`insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    select 'crowd', i, now(), now() + interval '1 day', now(), '{pwd}', false, now(), '', '' from generate_series(1, 50000) i`)
  const people = await sessionsOf(ada, 10)
  const [spared, ...others] = people as [Person, ...Person[]]
  for (const person of people) t.equal(await guarded(b!, person), 200)

  await db.query(`update otp_session set ended_at = clock_timestamp(), ended_xid = pg_current_xact_id(), end_reason = 'logged_out'
    where ended_at is null and id <> $1`, [spared.claims()['sid']])
  const served = await Promise.all(others.flatMap((person) => [servedFromNow(a!, person), servedFromNow(b!, person)]))
  t.ok(Math.max(...served) <= BOUND_MS, `served for ${Math.max(...served)} ms`)
  for (const replica of [a!, b!]) {
    t.equal(await guarded(replica, spared), 200, 'the one that did not end')
    const { sessions } = insideOf(replica.app)
    const before = sessions.state()
    for (let i = 0; i < 3; i++) {
      await sessions.poll()
      t.equal(await guarded(replica, spared), 200)
    }
    t.equal(sessions.state().postgres, before.postgres, 'it is remembered again, though the transaction is still open')
    t.ok(before.oldestWriteSeconds > 0)
  }
})

t.test('J5 Redis comes back with an old cache, or empty', async (t) => {
  const { replicas: [a, b, c], db, redisServer, another } = await startReplicas(t, 3)
  const ada = await signUp(a!.app)
  await pastFirstSeconds({ db })
  const people = await sessionsOf(ada, PARALLEL)
  for (const person of people) t.equal(await guarded(b!, person), 200)

  const redis = new Redis(redisServer.url)
  t.teardown(() => redis.disconnect())
  await until('the Redis cache to be filled', async () => (await redis.keys('*:session:*')).length === PARALLEL)
  const keys = await redis.keys('*:session:*')
  const dumped = await Promise.all(keys.map(async (key) => [key, await redis.dumpBuffer(key)] as const))

  const served = await Promise.all(people.map((person) => servedAfterEnd(b!, person)))
  t.ok(Math.max(...served) <= BOUND_MS, `served for ${Math.max(...served)} ms`)
  await redisServer.restart()
  await Promise.all([a!, b!, c!].map(settled))
  for (const [key, bytes] of dumped) await redis.restore(key, 60_000, bytes, 'REPLACE')
  t.equal((await redis.keys('*:session:*')).length, PARALLEL)

  const late = await another()
  for (const replica of [a!, b!, c!, late]) {
    t.same(new Set(await Promise.all(people.map((person) => guarded(replica, person)))), new Set([401]),
      'whether it knew the session, heard of its end only, or started after it')
  }
  await redis.flushall()
  for (const replica of [a!, b!, c!, late]) {
    t.same(new Set(await Promise.all(people.map((person) => guarded(replica, person)))), new Set([401]), 'after FLUSHALL')
  }
})

t.test('J5 a replica without revocation readings asks PostgreSQL, or answers 503', async (t) => {
  const { replicas: [a, b] } = await startReplicas(t, 2)
  const ada = await signUp(a!.app)
  const [first, second, third] = await sessionsOf(ada, 3) as [Person, Person, Person]
  for (const person of [first, second, third]) t.equal(await guarded(b!, person), 200)
  await a!.redis.cut()

  const release = holdFeed(b!)
  const served = await servedAfterEnd(b!, first)
  t.ok(served <= BOUND_MS, `its revocation readings held back: served for ${served} ms`)
  await until('the revocation readings to be stale', () => !insideOf(b!.app).sessions.state().areRevocationsFresh)
  t.equal(await guarded(b!, second), 200, 'one that is alive is served, from Postgres')
  const before = insideOf(b!.app).sessions.state().postgres
  t.equal(await guarded(b!, second), 200)
  t.equal(insideOf(b!.app).sessions.state().postgres, before + 1)
  release()
  await until('the revocation readings to be fresh', () => insideOf(b!.app).sessions.state().areRevocationsFresh)

  t.equal(await guarded(b!, second), 200)
  b!.postgres.pause()
  expect(204, await second.request('POST', '/token/revoke'))
  const halfOpenMs = await servedUntil(503, b!, second)
  t.ok(halfOpenMs <= BOUND_MS, `Postgres half-open: served for ${halfOpenMs} ms`)
  t.equal(await guarded(b!, third), 503, 'and a session that it cannot read is not served either')
  b!.postgres.resume()
  await until('B to serve again', async () => await guarded(b!, third) === 200)
  t.equal(await guarded(b!, second), 401)

  await b!.postgres.cut()
  expect(204, await third.request('POST', '/token/revoke'))
  t.ok(await servedUntil(503, b!, third) <= BOUND_MS, 'cut off from Postgres')
  await b!.postgres.restore()
  await until('B to refuse', async () => await guarded(b!, third) === 401)
})

t.test('J5 one mark ends every session of every user, also those that continue at that moment', async (t) => {
  const { replicas: [a, b, c], db } = await startReplicas(t, 3)
  const people = await Promise.all(Array.from({ length: 8 }, (_, i) => signUp(a!.app, `user${i}`)))
  for (const person of people) await person.enrol()
  const pending = people.map((person) => person.elsewhere(a!.app))
  for (const person of pending) expect(200, await person.login())
  await pastFirstSeconds({ db })
  for (const person of people) for (const replica of [a!, b!, c!]) t.equal(await guarded(replica, person), 200)
  const notified: string[] = []
  const { sessions } = insideOf(b!.app)
  for (const person of people) {
    const { sub: userId, sid: sessionId } = person.claims() as { sub: string, sid: string }
    sessions.onEnd((await sessions.find(userId, sessionId, null))!, () => { notified.push(userId) })
  }
  const codes = await Promise.all(pending.map((person) => person.nextCode()))
  await b!.redis.cut()
  const release = holdFeed(c!)
  await until('the revocation readings of C to be stale', () => !insideOf(c!.app).sessions.state().areRevocationsFresh)

  const [mark, ...verified] = await Promise.all([
    markAll(insideOf(a!.app).db), ...pending.map((person, i) => person.verify(codes[i]))
  ])
  const markedAtMs = performance.now()
  t.same(verified.filter(({ statusCode }) => ![200, 400, 401].includes(statusCode)), [])
  const served = await Promise.all([...people, ...pending].flatMap((person) => [a!, b!].map((at) => servedFromNow(at, person))))
  t.ok(Math.max(...served) <= BOUND_MS, `served for ${Math.max(...served)} ms`)
  t.equal(await guarded(c!, people[0]!), 401, 'without revocation readings, PostgreSQL is asked')
  release()
  await until('the revocation readings of C to be fresh', () => insideOf(c!.app).sessions.state().areRevocationsFresh)
  for (const person of [...people, ...pending]) t.equal((await person.refreshTokens()).statusCode, 401)
  await until('the watched connections to be ended', () => notified.length === people.length)
  t.equal((await db.query('select from otp_session where ended_at is null')).length >= people.length, true, 'no row was updated')

  await db.clock.advance(Math.max(0, mark.waitMs - (performance.now() - markedAtMs)) / 1000 + 1)
  for (const person of people) expect(200, await person.login())
  for (const replica of [a!, c!]) t.equal(await guarded(replica, people[0]!), 403, 'a log-in after the mark owes its code')
})
