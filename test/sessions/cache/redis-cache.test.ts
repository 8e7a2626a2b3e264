import { createHmac } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { insideOf } from '../../../src/attach/inside.js'
import { createSeal } from '../../../src/core/keys/seal.js'
import { parseRing } from '../../../src/core/keys/key-ring.js'
import { need } from '../../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../../helpers/person.js'
import { guarded, holdFeed, pastFirstSeconds, servedAfterEnd, settled, startReplicas } from '../../helpers/replicas.js'
import { until } from '../../helpers/wait.js'

await need('postgres')
await need('redis-server')
/** Each test has its own stores and mostly waits; with more at once, their time limits would not hold. */
t.jobs = 2

const SEAL_KEYS = 'one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'
const NAMESPACE = 'copies'
/** Of one user: one that lives, one for the last copy, one for each of the other copies. */
const SESSIONS = 19

async function withCopies (t: Test, count: number) {
  const started = await startReplicas(t, count, { SEAL_KEYS }, NAMESPACE)
  const redis = new Redis(started.redisServer.url)
  t.teardown(() => redis.disconnect())
  await pastFirstSeconds(started)
  const keyOf = (person: Person) => `${NAMESPACE}:{${String(person.claims()['sub'])}}:session:${String(person.claims()['sid'])}`
  /** Waits until the Redis copies are written, since no request waits for that, and deletes them. */
  async function forgetCopies (...people: Person[]): Promise<void> {
    await until('the copies', async () => await redis.exists(...people.map(keyOf)) === people.length)
    await redis.flushall()
  }
  return { ...started, redis, keyOf, forgetCopies }
}

/** Returns a Redis copy as a replica would write it: the other rules must hold even for an attacker with the key. */
function signed (body: object): string {
  const [macKey] = createSeal(parseRing(SEAL_KEYS)!, NAMESPACE).derive('session copy')
  const text = JSON.stringify(body)
  return `${createHmac('sha256', macKey!).update(text).digest().subarray(0, 16).toString('base64url')}.${text}`
}

interface Body { context: object, readAtMs: number, server: string, trustMs: number }

t.test('J5 copies that nobody may believe: each is as good as none', async (t) => {
  const { replicas: [a, b], redis, keyOf, db } = await withCopies(t, 2)
  const ada = await signUp(a!.app)
  const eve = await signUp(a!.app, 'eve')
  const sessions = await sessionsOf(ada, SESSIONS)
  const [other] = await sessionsOf(eve, 1) as [Person]
  // Redis may be late for some of them.
  const copies = await until('a copy', async () => {
    const texts = await redis.mget(sessions.map(keyOf))
    return texts.some((text) => text !== null) ? texts : undefined
  })
  const [copy] = copies.filter((text) => text !== null) as [string]
  const [last] = sessions.splice(copies.indexOf(copy), 1) as [Person]
  t.ok(await redis.pttl(keyOf(last)) > 0, 'L4 copies go by themselves')
  const body = JSON.parse(copy.slice(copy.indexOf('.') + 1)) as Body
  t.equal(signed(body), copy, 'this test can sign')
  const live = sessions.pop()!
  const copyOf = (person: Person) => {
    const { sub: userId, sid: sessionId } = person.claims()
    return { ...body, context: { ...body.context, userId, sessionId } }
  }
  const shown = insideOf(b!.app).sessions
  const nowMs = async () => (await db.clock.now()).getTime()

  /** Ends a session directly in the table, named by no revocation reading: only a copy could show it as alive. */
  const kill = (person: Person) => db.query('update otp_session set ended_at = now() where id = $1', [person.claims()['sid']])
  /** Each copy has a session of its own: a replica that was told of an end by PostgreSQL goes by no copy of that session. */
  async function refuses (copies: Record<string, (good: string, body: Body) => string>): Promise<void> {
    for (const [what, make] of Object.entries(copies)) {
      const dead = sessions.pop()!
      await kill(dead)
      const own = copyOf(dead) as Body
      await redis.set(keyOf(dead), make(signed(own), own))
      const before = shown.state()
      t.equal(await guarded(b!, dead), 401, what)
      t.equal(shown.state().copy, before.copy, `${what}: not taken`)
    }
  }

  const startMs = await nowMs()
  await refuses({
    'no MAC': (good) => good.slice(good.indexOf('.') + 1),
    'an empty MAC': (good) => good.slice(good.indexOf('.')),
    'another MAC': (good) => `${'A'.repeat(22)}${good.slice(good.indexOf('.'))}`,
    'a changed body': (good) => good.replace('"otpRequired":false', '"otpRequired":null'),
    "another session's": () => signed(copyOf(live)),
    "another user's": () => signed(copyOf(other)),
    'this session of another user': (_, body) => signed({ ...body, context: { ...body.context, userId: 'eve' }, readAtMs: startMs }),
    'from the future': (_, body) => signed({ ...body, readAtMs: startMs + 20_000 }),
    'from before this replica followed': (_, body) => signed({ ...body, readAtMs: startMs - 30_000 }),
    'no JSON': () => 'x',
    nothing: () => ''
  })

  // Late enough that each of these would be accepted if it were younger.
  await db.clock.advance(120)
  await settled(b!)
  const laterMs = await nowMs()
  const { trustMs } = body
  await refuses({
    'older than it may be': (_, body) => signed({ ...body, readAtMs: laterMs - trustMs - 1_000, trustMs }),
    'older than any may be, whatever it says': (_, body) => signed({ ...body, readAtMs: laterMs - 61_000, trustMs: 600_000 }),
    'one that does not say how old it may be': (_, { trustMs: _trust, ...body }) => signed({ ...body, readAtMs: laterMs }),
    'one that does not say which server was read': (_, { server: _server, ...body }) => signed({ ...body, readAtMs: laterMs }),
    "another server's, which has a clock of its own": (_, body) => signed({ ...body, readAtMs: laterMs, server: `${body.server}0` })
  })
  const [listed] = sessions
  await kill(listed!)
  await redis.del(keyOf(listed!))
  await redis.lpush(keyOf(listed!), 'a list')
  t.equal(await guarded(b!, listed!), 401, 'another type')
  await settled(b!)

  await kill(last)
  // The Redis copy decides here: a copy that is signed with the key is accepted.
  await redis.set(keyOf(last), signed({ ...body, readAtMs: laterMs - 30_000 }))
  t.equal(await guarded(b!, last), 200, 'DESIGN §1.1: Redis can at most keep an ended session alive, and only with our MAC')
})

t.test('J5 read alive, ended, and only then cached', async (t) => {
  const { replicas: [a, b, c], redis, keyOf, forgetCopies } = await withCopies(t, 3)
  const ada = await signUp(a!.app)
  const [first, second] = await sessionsOf(ada, 2) as [Person, Person]

  // The answer of PostgreSQL is on its way while the session ends.
  await forgetCopies(first, second)
  const answer = b!.postgres.holdNext((bytes) => bytes.includes(String(first.claims()['sid'])))
  const requester = guarded(b!, first)
  const held = performance.now()
  await answer.held
  expect(204, await first.request('POST', '/token/revoke'))
  await insideOf(b!.app).sessions.poll()
  await until('300 ms to pass', () => performance.now() - held > 300)
  answer.release()
  t.equal(await requester, 401, 'the end was heard while the answer was under way')
  await until('the late copy to be written', async () => await redis.exists(keyOf(first)) === 1)
  for (const replica of [a!, b!, c!]) t.equal(await guarded(replica, first), 401)

  // The same with the answer of Redis.
  t.equal(await guarded(b!, second), 200)
  await until('the copy to be written', async () => await redis.exists(keyOf(second)) === 1)
  await settled(c!)
  const copy = c!.redis.holdNext((bytes) => bytes.includes(String(second.claims()['sid'])))
  const askingC = guarded(c!, second)
  await Promise.race([copy.held, askingC])
  expect(204, await second.request('POST', '/token/revoke'))
  await insideOf(c!.app).sessions.poll()
  copy.release()
  t.equal(await askingC, 401)
  t.equal(await guarded(c!, second), 401)
})

t.test('J5 a replica that starts: what it read before its feed began is not trusted after', async (t) => {
  const { replicas: [a], forgetCopies, db, another } = await withCopies(t, 1)
  const ada = await signUp(a!.app)
  const [early, held] = await sessionsOf(ada, 2) as [Person, Person]
  await forgetCopies(early, held)
  const b = await another()
  const { sessions } = insideOf(b.app)

  // The same as a request to B before its first reading: a gap, as each first reading is.
  t.equal(await guarded(b, early), 200)
  t.equal(sessions.state().remembered, 1)
  const answer = b.postgres.holdNext((bytes) => bytes.includes(String(held.claims()['sid'])))
  const requester = guarded(b, held)
  await answer.held
  const release = holdFeed(b)
  // Too many for one reading, these two among them: none is named.
  await db.query(`with ended as (update otp_session set ended_at = now(), ended_xid = pg_current_xact_id() where id = any ($1))
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent, ended_at, ended_xid)
    select 'x', 'many ' || i, now(), now(), now(), '{pwd}', false, now(), '', '', now(), pg_current_xact_id()
    from generate_series(1, 10001) i`,
  [[early, held].map((person) => person.claims()['sid'])])
  release()
  await sessions.poll()
  answer.release()
  await requester
  t.equal(sessions.state().remembered, 0)
  t.equal(await guarded(b, early), 401)
  t.equal(await guarded(b, held), 401)
})

t.test('J5 requests share a question only while it is young', async (t) => {
  const { replicas: [a, b], forgetCopies } = await withCopies(t, 2)
  const ada = await signUp(a!.app)
  const [person] = await sessionsOf(ada, 1) as [Person]
  await forgetCopies(person)
  const release = holdFeed(b!)
  await until('the feed to be stale', () => !insideOf(b!.app).sessions.state().areRevocationsFresh)
  release()
  const answer = b!.postgres.holdNext((bytes) => bytes.includes(String(person.claims()['sid'])))
  const requester = Promise.all([guarded(b!, person), guarded(b!, person)])
  const askedAtMs = performance.now()
  await answer.held
  const blind = holdFeed(b!)
  expect(204, await person.request('POST', '/token/revoke'))
  await until('the bound to pass', () => performance.now() - askedAtMs > 1_050)
  const later = guarded(b!, person)
  answer.release()
  t.equal(await later, 401, 'asked later than the bound: by a question of its own')
  await requester
  blind()
  t.ok(await servedAfterEnd(b!, (await sessionsOf(ada, 1))[0]!) <= 1_000)
})

t.test('J5 requests do not share a question over a connection that was replaced', async (t) => {
  const { replicas: [a, b], forgetCopies, db } = await withCopies(t, 2)
  const [person] = await sessionsOf(await signUp(a!.app), 1) as [Person]
  await forgetCopies(person)
  const answer = b!.postgres.holdNext((bytes) => bytes.includes(String(person.claims()['sid'])))
  const requester = guarded(b!, person)
  await answer.held
  await db.query(`alter database ${new URL(db.url).pathname.slice(1)} set default_transaction_read_only = off`)
  await insideOf(b!.app).sessions.poll()
  t.equal(await guarded(b!, person), 200, 'answered while the first one waits')
  answer.release()
  await requester
})
