import { insideOf } from '../../src/attach/inside.js'
import '../helpers/attached.js'
import { Redis } from 'ioredis'
import t from 'tap'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, type Person } from '../helpers/person.js'
import { guarded, holdFeed, pastFirstSeconds, servedFromNow, settled, startReplicas, type Replica } from '../helpers/replicas.js'
import { until } from '../helpers/wait.js'

/*
 * The same promise, kept by replicas of an app that is quite different from the service. Its own session goes on; here it
 * ends when another session of the user confirms the first device. The revocation poller has no connection of its own.
 */

await need('redis-server')

/** Option `revocationSeconds`, in milliseconds. */
const BOUND_MS = 1_000
const PARALLEL = 20

/** Returns the different answers of a replica's guard to these sessions. */
const statuses = async (replica: Replica, sessions: Person[]) =>
  [...new Set(await Promise.all(sessions.map((session) => guarded(replica, session))))]

/** Makes sessions of one user, without a device yet, known to every replica; and the session that will end them. */
async function sessionsAt ([home, ...others]: Replica[]): Promise<{ owner: Person, sessions: Person[] }> {
  const owner = await signUp(home!.app)
  const sessions = await sessionsOf(owner, PARALLEL)
  expect(200, await owner.login())
  expect(201, await owner.create())
  for (const replica of others) if (String(await statuses(replica, sessions)) !== '200') throw new Error('A replica does not know them')
  return { owner, sessions }
}

t.test('J5 ended where Redis cannot be reached, refused everywhere, and at once where it ended', async (t) => {
  const { replicas, db } = await startReplicas(t, 3)
  const [a, b, c] = replicas as [Replica, Replica, Replica]
  await pastFirstSeconds({ db })
  const { owner, sessions } = await sessionsAt(replicas)
  await a.redis.cut()
  expect(200, await owner.confirm())
  const [atHome, ...served] = await Promise.all([
    statuses(a, sessions),
    ...[b, c].flatMap((replica) => sessions.map((session) => servedFromNow(replica, session)))
  ])
  t.same(atHome, [401])
  t.ok(Math.max(...served) <= BOUND_MS, `served for ${Math.max(...served)} ms`)
})

t.test('J5 Redis comes back with old copies, or empty', async (t) => {
  const { replicas, db, redisServer, another } = await startReplicas(t, 2)
  await pastFirstSeconds({ db })
  const { owner, sessions } = await sessionsAt(replicas)
  const redis = new Redis(redisServer.url)
  t.teardown(() => redis.disconnect())
  const copies = async () => await redis.keys('*:session:*')
  await until('the copies to be there', async () => (await copies()).length > PARALLEL)
  const dumped = await Promise.all((await copies()).map(async (key) => [key, await redis.dumpBuffer(key)] as const))

  expect(200, await owner.confirm())
  const served = await Promise.all(sessions.map((session) => servedFromNow(replicas[1]!, session)))
  t.ok(Math.max(...served) <= BOUND_MS, `served for ${Math.max(...served)} ms`)
  await redisServer.restart()
  await Promise.all(replicas.map(settled))
  for (const [key, bytes] of dumped) await redis.restore(key, 60_000, bytes!, 'REPLACE')
  const all = [...replicas, await another()]
  for (const replica of all) t.same(await statuses(replica, sessions), [401], 'whether it knew the session or started after it')
  await redis.flushall()
  for (const replica of all) t.same(await statuses(replica, sessions), [401], 'after FLUSHALL')
})

t.test('J5 a replica that hears of no ends asks Postgres', async (t) => {
  const { replicas } = await startReplicas(t, 2)
  const [a, b] = replicas as [Replica, Replica]
  const { owner, sessions } = await sessionsAt(replicas)
  await a.redis.cut()
  const release = holdFeed(b)
  t.teardown(release)
  await until('the feed to be stale', () => !insideOf(b.app).sessions.state().areRevocationsFresh)
  t.same(await statuses(b, sessions), [200], 'those that are alive are served, from Postgres')
  expect(200, await owner.confirm())
  const served = await Promise.all(sessions.map((session) => servedFromNow(b, session)))
  t.ok(Math.max(...served) <= BOUND_MS, `served for ${Math.max(...served)} ms`)
})
